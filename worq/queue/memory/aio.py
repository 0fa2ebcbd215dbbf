"""The same queue for asyncio: operations are over at once, and who waits is woken in its event loop.

Source: SPEC.md, section 9a.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from worq.asynchronous import Wait
from worq.backend import Entry
from worq.const import TASK_EXPIRED, Sentinel, State
from worq.queue.memory.taskqueue import TaskQueue
from worq.values import Outcome, Submitted

if TYPE_CHECKING:
    from worq.queue.memory.tasks import Record
    from worq.queue.memory.waiting import Waiter

Answers = list[Outcome | Sentinel | None]


class LoopGate:
    """Where a call sleeps in its event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._opened = asyncio.Event()

    def open(self) -> None:
        """Let it go on. From any thread."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._opened.set)

    async def wait(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0, timeout_s)):
                await self._opened.wait()


class Pop:
    """One call that waits for the outcomes of some tasks: what it does whenever it has the lock."""

    def __init__(self, queue: TaskQueue, tasks: list[tuple[str, bytes | None]]) -> None:
        self._store = queue.store
        self._queue = queue
        self._tasks = tasks
        self._records: list[Record | None] | None = None
        self._waiter: Waiter | None = None
        self._is_poked = False
        self.gate: LoopGate = LoopGate()
        self.sleep_s: float = 0.0

    def look(self, *, waits: bool) -> Answers | None:
        """The answers; None if it is to sleep at the gate, for `sleep_s` at most, and look again."""
        self.leave()
        if self._records is None:
            self._records = [self._store.tasks.find(*task) for task in self._tasks]
            self._tasks[:] = [
                (task_id, incarnation if record is None else record.token.incarnation)
                for (task_id, incarnation), record in zip(self._tasks, self._records, strict=True)
            ]
        pop = self._store.tasks.pop
        answers = [TASK_EXPIRED if record is None else pop(record) for record in self._records]
        if not waits or self._is_poked or any(answer is not None for answer in answers):
            return answers
        there = [record for record in self._records if record is not None]
        self.gate = LoopGate()  # whatever opened the last one is seen by now
        self._waiter = self._store.waiter(self._queue, there, None)
        self._store.enter(self._waiter, self.gate)
        self.sleep_s = (self._waiter.until_ms - self._store.tasks.now_ms) / 1000
        return None

    def leave(self) -> None:
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            self._store.waiting.leave(waiter)

    def poke(self) -> None:
        self._is_poked = True
        self.gate.open()


class MemoryQueue:
    """A queue in this process, for one event loop."""

    def __init__(self, queue: TaskQueue) -> None:
        self._queue = queue

    async def submit_many(self, entries: Sequence[Entry]) -> list[Submitted]:
        submit = self._queue.store.tasks.submit
        return [self._queue.apply(submit, *entry) for entry in entries]

    async def pop_many(self, tasks: list[tuple[str, bytes | None]], wait: Wait | None) -> Answers:
        pop = Pop(self._queue, tasks)
        if wait is not None:
            wait.poke = pop.poke
        try:
            while (answers := self._queue.apply(pop.look, waits=wait is not None)) is None:
                await pop.gate.wait(pop.sleep_s)
        finally:
            self._queue.store.guard.run(pop.leave)
            if wait is not None:
                wait.poke = None
        return answers

    async def discard(self, task_id: str, incarnation: bytes | None) -> bool:
        return self._queue.apply(self._queue.store.tasks.discard, task_id, incarnation)

    async def purge(self) -> int:
        return self._queue.apply(self._queue.store.tasks.purge)

    async def size(self) -> int:
        return self._queue.apply(self._queue.store.tasks.size)

    async def status(self, task_id: str, incarnation: bytes | None) -> State | None:
        return self._queue.apply(self._queue.store.tasks.status, task_id, incarnation)

    async def aclose(self) -> None:
        self._queue.close()

    def abandon(self) -> None:
        self._queue.close()
