"""The work of `worq demo`: a task for each file, and a tree of tasks that merge their results."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, cast

from worq.cli import wordcount
from worq.cli.wordcount import Tally
from worq.core import Broker
from worq.errors import BackendUnavailable
from worq.pool.thread import WorkerPool
from worq.task import Deferred, Queue, Task

FAN_IN = 16
LOOK_SECONDS = 0.1
# A file takes far less; more would only be waited for if the server is gone.
DRAIN_SECONDS = 2.0

Watch = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much. What it raises ends the work."""


class Step(NamedTuple):
    """One task: of a file, or of other tasks' results."""

    id: str
    path: str | None
    arguments: tuple[str, ...] = ()


class Counted(NamedTuple):
    """A count, and how long it took."""

    tally: Tally
    seconds: float


def plan(paths: Sequence[str], fan_in: int = FAN_IN) -> list[Step]:
    """The tasks, each after those whose results it takes. The last one is the root."""
    steps = [Step(f"file-{number}", path) for number, path in enumerate(paths, start=1)]
    level = steps
    height = 0
    while len(level) > 1:
        height += 1
        level = [
            Step(f"merge-{height}-{number}", None, arguments)
            for number, arguments in enumerate(_groups(level, fan_in), start=1)
        ]
        steps = steps + level
    return steps


def _groups(steps: Sequence[Step], size: int) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(steps), size):
        yield tuple(step.id for step in steps[start : start + size])


def count_with_tasks(
    broker: Broker, steps: Sequence[Step], *, workers: int, watch: Watch
) -> Counted:
    """The result of the root. Raises its TaskFailure, or what `watch` raises.

    Nothing of it is left in the queue, however it ends; but if the server can't be reached
    (BackendUnavailable) nobody can say.
    """
    broker.expose(wordcount.tasks)
    begun = time.monotonic()
    try:
        root = _submit(broker.queue(wordcount.tasks.name), steps, watch)
        with WorkerPool(broker, workers=workers, drain_timeout=DRAIN_SECONDS):
            while not root.wait(LOOK_SECONDS):
                watch("tasks started", len(steps) - len(broker), len(steps))
        return Counted(cast("Tally", root.value), time.monotonic() - begun)
    except BackendUnavailable:
        raise
    except BaseException:
        discard(broker, steps)
        raise


def _submit(queue: Queue, steps: Sequence[Step], watch: Watch) -> Deferred:
    made: dict[str, Deferred] = {}
    for number, step in enumerate(steps):
        watch("tasks submitted", number, len(steps))
        if step.path is not None:
            deferred = Task(queue.count, id=step.id)(step.path)
        else:
            # The Deferreds themselves: the queue passes their results on as soon as they are there.
            deferred = Task(queue.merge, id=step.id)([made.pop(each) for each in step.arguments])
        made[step.id] = cast("Deferred", deferred)
    return made[steps[-1].id]


def discard(broker: Broker, steps: Sequence[Step]) -> None:
    """Leave none of these tasks in the queue; no worker runs any more."""
    broker.discard_pending_tasks()
    for step in steps:
        # Those that had been started: the others are gone.
        broker.task_failed(broker.deferred(step.id))


def count_serially(paths: Sequence[str], watch: Watch) -> Counted:
    """The same without a queue: one file after the other."""
    begun = time.monotonic()
    tally = wordcount.merge(_one_by_one(paths, watch))
    return Counted(tally, time.monotonic() - begun)


def _one_by_one(paths: Sequence[str], watch: Watch) -> Iterator[Tally]:
    for number, path in enumerate(paths):
        watch("files counted one by one", number, len(paths))
        yield wordcount.count(path)
