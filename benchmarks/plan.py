"""How much a run measures."""

from typing import NamedTuple


class Plan(NamedTuple):
    """`slice_s`: how long a slice lasts, about; `lpush_s`: the measurement of LPUSH before and after each."""

    name: str
    rounds: int
    slice_s: float
    lpush_s: float
    tasks_max: int
    """In one slice."""
    idle_s: float
    idle_each_round: bool
    durable_rounds: int
    """On the server with everysec."""
    durable_rivals: bool
    """Are the peers measured there too, but for those that are slow?"""
    graph_tasks: int
    payloads: dict[str, int]
    """Name → letters."""
    growth: tuple[int, ...]
    sqlite_growth_max: int
    queues: tuple[int, ...]
    purge_tasks: int
    leases: int
    imports: int
    machine_s: float
    explore_s: float


FULL = Plan(
    "full",
    rounds=4,
    slice_s=0.4,
    lpush_s=0.1,
    tasks_max=6000,
    idle_s=2.0,
    idle_each_round=True,
    durable_rounds=2,
    durable_rivals=True,
    graph_tasks=1000,
    payloads={"10 KB": 10_000, "1 MB": 1_000_000},
    growth=(1_000, 100_000, 1_000_000),
    sqlite_growth_max=100_000,
    queues=(1, 10, 100),
    purge_tasks=1_000_000,
    leases=100_000,
    imports=5,
    machine_s=8.0,
    explore_s=15.0,
)
QUICK = FULL._replace(
    name="quick",
    rounds=2,
    slice_s=0.2,
    lpush_s=0.05,
    tasks_max=2000,
    idle_each_round=False,
    durable_rounds=1,
    durable_rivals=False,
    growth=(1_000, 10_000),
    sqlite_growth_max=10_000,
    purge_tasks=10_000,
    leases=3_000,
    imports=3,
    machine_s=1.5,
    explore_s=2.0,
)
TINY = QUICK._replace(
    name="tiny",
    rounds=1,
    slice_s=0.01,
    lpush_s=0.01,
    tasks_max=30,
    idle_s=0.0,
    graph_tasks=10,
    payloads={"1 KB": 1000},
    growth=(10, 20),
    sqlite_growth_max=20,
    queues=(1, 2),
    purge_tasks=50,
    leases=20,
    imports=1,
    machine_s=0.1,
    explore_s=0.1,
)
SLOW = ("rq, forking", "celery, prefork", "taskiq, stream", "arq", "streaq")
"""Peers that poll or fork: minutes for a figure that is far from the best."""
