"""Queues whose producers are in asyncio, with the contract of those of threads: for the machines, and for the kit.

What a producer asks (`submit`, `pop`, `discard`, `purge`, `size`, `status`, and many of the first two) goes through an
event loop in a thread of its own, as `worq.aio` does it: pops that wait are awaited by way of its groups, and are
cancelled when their timeout passes. What workers ask goes to the queue object itself.
"""

import asyncio
import threading
from collections.abc import Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from worq.aio.arrivals import Arrivals
from worq.backend import AbstractTaskQueue, Entry, Ticket
from worq.const import Sentinel, State
from worq.deferred import Deferred, DeferredBroker, Home
from worq.errors import QueueClosed
from worq.values import Outcome, Submitted, Token

if TYPE_CHECKING:
    from worq.asynchronous import Asynchronous

T = TypeVar("T")
Answer = Outcome | Sentinel | None


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="loop", daemon=True)
        self._thread.start()

    def run(self, act: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(act, self.loop).result()

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextmanager
def loops() -> Generator[Loop]:
    loop = Loop()
    try:
        yield loop
    finally:
        loop.end()


class _Task(NamedTuple):
    id: str
    name: str
    token: Token | None


class _Bound:
    """The broker of Deferreds of which nobody reads the outcome."""

    home = Home("looped://", "looped", None)


class Looped(AbstractTaskQueue):
    """The producers' part, before that of a backend in the order of the classes."""

    looping: Loop

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._queue = cast("Asynchronous", self).asynchronous()
        self._arrivals = Arrivals(self._queue)
        self._is_over = False

    def close(self) -> None:
        super().close()  # type: ignore[safe-super]  # of a backend
        if not self._is_over:
            self._is_over = True
            self.looping.run(self._aclose())

    async def _aclose(self) -> None:
        await self._queue.aclose()
        await self._arrivals.ended()

    def _run(self, act: Coroutine[Any, Any, T]) -> T:
        if self._is_over:
            act.close()
            raise QueueClosed(f"{self!r} is closed")
        return self.looping.run(act)

    def _submit(
        self,
        task: Ticket,
        message: bytes,
        args: Mapping[str, bytes | None],
        outcome: Outcome | None,
    ) -> Submitted:
        return self._submit_many([Entry(task, message, args, outcome)])[0]

    def _submit_many(self, entries: Sequence[Entry]) -> list[Submitted]:
        return self._run(self._queue.submit_many(entries)) if entries else []

    def _pop(self, task_id: str, timeout_ms: int | None, incarnation: bytes | None) -> Answer:
        return self._pop_many([(task_id, incarnation)], timeout_ms)[0]

    def _pop_many(
        self, tasks: Sequence[tuple[str, bytes | None]], timeout_ms: int | None
    ) -> list[Answer]:
        return self._run(self._apop(tasks, timeout_ms))

    async def _apop(
        self, tasks: Sequence[tuple[str, bytes | None]], timeout_ms: int | None
    ) -> list[Answer]:
        deferreds: list[Deferred] = [
            Deferred(
                cast("DeferredBroker", _Bound()),
                _Task(task_id, "", None if inc is None else Token(inc)),
            )
            for task_id, inc in tasks
        ]
        if timeout_ms != 0 and deferreds:
            await self._until_one(deferreds, timeout_ms)
        await self._arrivals.look([each for each in deferreds if _unread(each) is None])
        return [_unread(each) for each in deferreds]

    async def _until_one(self, deferreds: list[Deferred], timeout_ms: int | None) -> None:
        over = asyncio.Event()
        unsubscribe = self._have_it_end(over, timeout_ms)
        waits = [asyncio.ensure_future(self._arrivals.of(each)) for each in deferreds]
        end = asyncio.ensure_future(over.wait())
        try:
            done, _ = await asyncio.wait({end, *waits}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            unsubscribe()
            for each in (end, *waits):
                each.cancel()
            await asyncio.gather(end, *waits, return_exceptions=True)
        for each in done:
            each.result()

    def _have_it_end(self, over: asyncio.Event, timeout_ms: int | None) -> Any:
        """Set it when the timeout passes, by the clock of the queue."""
        loop = asyncio.get_running_loop()
        if timeout_ms is None:
            return lambda: None
        if self.clock is None:
            return loop.call_later((timeout_ms + 1) / 1000, over.set).cancel
        clock, end_ms = self.clock, self.clock.now_ms() + timeout_ms

        def look() -> None:
            if clock.now_ms() >= end_ms:
                loop.call_soon_threadsafe(over.set)

        return clock.subscribe(look)

    def _discard(self, task_id: str, incarnation: bytes | None) -> bool:
        return self._run(self._queue.discard(task_id, incarnation))

    def _purge(self) -> int:
        return self._run(self._queue.purge())

    def _size(self) -> int:
        return self._run(self._queue.size())

    def _status(self, task_id: str, incarnation: bytes | None) -> State | None:
        return self._run(self._queue.status(task_id, incarnation))


def _unread(deferred: Deferred) -> Answer:
    return deferred._unread  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
