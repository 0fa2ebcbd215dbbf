"""How fast the checks are: operations/s of the machines on each backend, and states/s of the model's explorer."""

import time
from collections.abc import Callable
from random import Random
from typing import Final

import redis

from benchmarks.measures.growth import BACKENDS
from benchmarks.plan import Plan
from benchmarks.samples import Samples
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.queue.memory import TaskQueue as MemoryQueue
from worq.queue.redis import TaskQueue as RedisQueue
from worq.queue.sqlite import TaskQueue as SqliteQueue
from worq.testing.bench import Bench
from worq.testing.exploring import Progress, explored
from worq.testing.walk import STEPS_OF_A_WALK, walk

OPERATIONS, STATES, STEPS = "operations/s", "states/s", "steps/s"
SPACE: Final = "contract"
SEED: Final = 6

CLASSES: Final[dict[str, Callable[..., AbstractTaskQueue]]] = {
    "memory": MemoryQueue,
    "sqlite": SqliteQueue,
    "redis": RedisQueue,
}
assert set(CLASSES) == set(BACKENDS)


def measure_machine(backend: str, url: str, samples: Samples, plan: Plan) -> None:
    """A queue and the model in lockstep: each operation, and all that can be seen from outside after it."""

    def make(name: str, clock: ManualClock | None) -> AbstractTaskQueue:
        return CLASSES[backend](url, name, clock=clock)

    random = Random(SEED)
    bench = Bench(make)
    try:
        walk(bench, random, 1)
        count, begin_s = 0, time.perf_counter()
        while time.perf_counter() - begin_s < plan.machine_s:
            walk(bench, random, 1)
            count += STEPS_OF_A_WALK
        samples.add(OPERATIONS, backend, count / (time.perf_counter() - begin_s))
    finally:
        bench.close()
        if backend == "redis":
            with redis.Redis.from_url(url) as client:
                client.flushdb()


def measure_explorer(samples: Samples, plan: Plan) -> None:
    """Breadth first through the queue by itself, without a backend."""

    def ignore(progress: Progress) -> None:
        del progress

    found = explored(SPACE, seconds_max=plan.explore_s, progress=ignore)
    samples.add(STATES, SPACE, found.states / found.seconds)
    samples.add(STEPS, SPACE, found.edges / found.seconds)
