"""A queue for the tests of an application: in memory, on a clock that is advanced by hand, with workers that may die.

Nothing runs by itself, so the same test does the same each time, and hours of leases pass in no time.
"""

import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, Self, TypeVar

from worq.backend import LEASE_MARGIN_S
from worq.clock import ManualClock
from worq.core import Broker
from worq.queue.memory import TaskQueue
from worq.queue.memory.tasks import Record

Death = Literal["before", "after"]
"""When a worker dies: before its task runs, or after that and before its outcome is stored."""
STARTS_MAX = 10_000

R = TypeVar("R")


class Started(NamedTuple):
    """One start of a task, the first is number 1. `died`: what became of its worker, None if it lived."""

    name: str
    id: str
    start: int
    died: Death | None = None


class _Queue(TaskQueue):
    """Refuses to wait in the thread that drives it, where nobody would ever wake it."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._driver = threading.get_ident()

    def _wait(
        self, timeout_ms: int | None, look: Callable[[], R], records: Sequence[Record]
    ) -> R | None:
        if timeout_ms == 0 or threading.get_ident() != self._driver:
            return super()._wait(timeout_ms, look, records)
        answer = super()._wait(0, look, records)
        if answer is None:
            raise RuntimeError(
                "nothing runs while you wait in a sandbox: call run_all() or advance(), then wait(0)"
            )
        return answer


class Sandbox:
    """A broker on an empty queue of its own, and hands that work when they are told to. A context manager.

    `tasks`: what a Broker exposes. A worker that dies is noticed when its lease has passed; it passes at once here.
    In the thread that made it, a task within `run_all` too, a wait that would have to wait is a RuntimeError; other
    threads wait, on its clock.
    """

    def __init__(self, *tasks: Any, name: str = "default") -> None:
        self.clock: ManualClock = ManualClock()
        url = f"memory://sandbox-{secrets.token_hex(6)}"
        self._queue = _Queue(url, name, clock=self.clock)
        self.broker: Broker = Broker(self._queue)
        for each in tasks:
            self.broker.expose(each)
        self._deaths: list[Death | None] = []

    def queue(self, target: str = "", **options: Any) -> Any:
        """A queue to call tasks by, as `Broker.queue` gives."""
        return self.broker.queue(target, **options)

    def die(self, *deaths: Death | None) -> Self:
        """Have the workers of the next starts die, one after another; None: that one lives."""
        for death in deaths:
            if death not in (None, "before", "after"):
                raise ValueError(f"deaths: 'before', 'after' or None is needed, not {death!r}")
        self._deaths += deaths
        return self

    def run_one(self) -> Started | None:
        """Start the task that is first in line, if any is ready."""
        claim = self.broker.claim(0)
        if claim is None:
            return None
        task = self.broker.glance(claim)
        death = self._deaths.pop(0) if self._deaths else None
        if death != "before":
            message, failed = self.broker.perform(claim)
            if death is None:
                self.broker.finish(task, message, failed)
        if death is not None:
            self.advance(2 * task.heartrate + LEASE_MARGIN_S)
        return Started(task.name, task.id, claim.token.start, death)

    def run_all(self, deaths: Iterable[Death | None] = ()) -> list[Started]:
        """Start what is ready, one at a time and in order, until nothing is; what was started.

        `deaths`: as for `die`. RuntimeError after 10,000 starts: some task calls itself without end.
        """
        self.die(*deaths)
        started: list[Started] = []
        while (one := self.run_one()) is not None:
            started.append(one)
            if len(started) > STARTS_MAX:
                raise RuntimeError(f"more than {STARTS_MAX:,} starts, the last one: {one}")
        return started

    def advance(self, seconds: float) -> None:
        """Let this many seconds pass (`clock.advance` counts milliseconds).

        Leases and retentions that are over by then are applied, and those who wait are told.
        """
        self.clock.advance(round(seconds * 1000))

    def expire(self, task: Any) -> None:
        """Make a task expire, whatever its state, as if its worker had been lost: `task` is its Deferred, or its id."""
        self.broker.task_failed(task)

    def close(self) -> None:
        """Forget all tasks."""
        self._queue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
