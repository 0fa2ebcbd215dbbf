"""What an operation costs with so many tasks queued, or in one of so many queues."""

import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from statistics import median
from typing import Any, Final

import worq
from benchmarks.measures.filling import fill, noop
from benchmarks.plan import Plan
from benchmarks.samples import Samples
from benchmarks.server import Server
from worq.urls import open_queue

REPEATS: Final = 200
BACKENDS: Final = ("memory", "sqlite", "redis")
QUEUES_TASKS: Final = 1000
OPERATIONS: Final = (
    "submit",
    "status",
    "size",
    "claim",
    "heartbeat",
    "finish",
    "pop",
    "cancel",
    "purge",
)


def name(backend: str, operation: str) -> str:
    return f"growth {backend} {operation}"


def tasks_name(tasks: int) -> str:
    return f"{tasks:,} tasks"


def queues_name(queues: int) -> str:
    return f"{queues} queue{'s' if queues > 1 else ''}"


@contextmanager
def urls(server: Server) -> Generator[dict[str, str]]:
    """Backend → URL."""
    with tempfile.TemporaryDirectory(prefix="worq-bench-") as folder:
        yield {"memory": "memory://", "sqlite": f"sqlite:///{folder}/jobs.db", "redis": server.url}


def with_tasks(backend: str, url: str, tasks: int, samples: Samples, plan: Plan) -> Iterator[str]:
    """Yields what it is doing."""
    column = tasks_name(tasks)
    with closing(open_queue(url, f"growth {tasks}")) as queue:
        for there in fill(queue, tasks):
            yield f"{backend}: {there:,} of {tasks:,} tasks"
        broker = worq.Broker(queue)
        broker.expose(noop)
        yield f"{backend}: operations with {tasks:,} tasks"
        _measure(backend, column, [broker], samples, min(REPEATS, plan.tasks_max))


def with_queues(backend: str, url: str, queues: int, samples: Samples, plan: Plan) -> Iterator[str]:
    """The same number of tasks spread over so many queues, which are used in turn."""
    with ExitStack() as opened:
        brokers: list[worq.Broker] = []
        for number in range(queues):
            queue = opened.enter_context(closing(open_queue(url, f"growth {queues}-{number}")))
            list(fill(queue, min(QUEUES_TASKS, plan.tasks_max) // queues + 1))
            broker = worq.Broker(queue)
            broker.expose(noop)
            brokers.append(broker)
        yield f"{backend}: operations in {queues} queues"
        _measure(backend, queues_name(queues), brokers, samples, min(REPEATS, plan.tasks_max))


def _measure(
    backend: str, column: str, brokers: list[worq.Broker], samples: Samples, repeats: int
) -> None:
    """The median of each operation, in microseconds. All together they leave the queue as it was."""
    turns = [brokers[number % len(brokers)] for number in range(repeats)]
    queues = {broker: broker.queue() for broker in brokers}

    def timed(operation: str, items: list[Any], do: Callable[[Any], Any]) -> list[Any]:
        took_s: list[float] = []
        answers: list[Any] = []
        for item in items:
            begin_s = time.perf_counter()
            answer = do(item)
            took_s.append(time.perf_counter() - begin_s)
            answers.append(answer)
        samples.add(name(backend, operation), column, 1e6 * median(took_s))
        return answers

    handles = timed("submit", turns, lambda broker: queues[broker].noop(1))
    timed("status", list(zip(turns, handles, strict=True)), lambda it: it[0].status(it[1]))
    timed("size", turns, len)
    claims = timed("claim", turns, lambda broker: broker.claim(0))
    tasks = [broker.read(claim) for broker, claim in zip(turns, claims, strict=True)]
    held = list(zip(turns, tasks, strict=True))
    timed("heartbeat", held, lambda it: it[0].heartbeat(it[1]))
    timed("finish", held, lambda it: it[0].set_result(it[1], 1))
    timed("pop", held, lambda it: it[0].pop_result(it[1]))
    timed("cancel", list(zip(turns, handles, strict=True)), lambda it: it[0].task_failed(it[1]))
    for broker in brokers:
        begin_s = time.perf_counter()
        broker.discard_pending_tasks()
        samples.add(name(backend, "purge"), column, 1e6 * (time.perf_counter() - begin_s))
