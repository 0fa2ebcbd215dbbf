"""Queues that know nothing of asyncio, as those in a file: called in a few threads. SPEC.md, section 9a."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

from worq.asynchronous import Wait
from worq.backend import AbstractTaskQueue, Entry
from worq.const import Sentinel, State
from worq.errors import QueueClosed
from worq.values import Outcome, Submitted, Token

THREADS_MAX: Final = 4
"""Of calls that don't wait. Each group that waits has one more."""
SLICE_S: Final = 0.05
"""How long such a thread waits before it looks who is waited for now."""

P = ParamSpec("P")
R = TypeVar("R")


class ThreadedQueue:
    """A queue object, and threads that call it. It closes both."""

    def __init__(self, queue: AbstractTaskQueue) -> None:
        self._queue = queue
        self._calls = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix=f"worq {queue.name} aio")
        self._waits = ThreadPoolExecutor(1000, thread_name_prefix=f"worq {queue.name} aio wait")
        self._is_closed = False

    async def _call(self, act: Callable[P, R], *args: P.args, **kw: P.kwargs) -> R:
        if self._is_closed:
            raise QueueClosed(f"{self._queue!r} is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._calls, partial(act, *args, **kw))

    async def submit_many(self, entries: Sequence[Entry]) -> list[Submitted]:
        submit = self._queue._submit_many  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - they have been checked
        return await self._call(submit, entries)

    async def pop_many(
        self, tasks: list[tuple[str, bytes | None]], wait: Wait | None
    ) -> list[Outcome | Sentinel | None]:
        named = [(task_id, None if inc is None else Token(inc)) for task_id, inc in tasks]
        if wait is None:
            return await self._fetched(self._calls, named, 0)
        poked: list[bool] = []
        wait.poke = partial(poked.append, True)
        try:
            return await self._wait(named, poked)
        finally:
            wait.poke = None

    async def _wait(
        self, named: list[tuple[str, Token | None]], poked: list[bool]
    ) -> list[Outcome | Sentinel | None]:
        while True:
            answers = await self._fetched(self._waits, named, SLICE_S)
            if poked or any(answer is not None for answer in answers):
                return answers

    async def _fetched(
        self, threads: ThreadPoolExecutor, named: list[tuple[str, Token | None]], wait_s: float
    ) -> list[Outcome | Sentinel | None]:
        """What a thread fetches, also when the event loop ends, which cancels all: it is nowhere else. [ENV-AIO-6]"""
        if self._is_closed:
            raise QueueClosed(f"{self._queue!r} is closed")
        loop = asyncio.get_running_loop()
        fetching = loop.run_in_executor(threads, partial(self._queue.pop_many, named, wait_s))
        try:
            return await asyncio.shield(fetching)
        except asyncio.CancelledError:
            answers = await fetching
            if all(answer is None for answer in answers):
                raise
            return answers

    async def discard(self, task_id: str, incarnation: bytes | None) -> bool:
        return await self._call(self._queue.discard, task_id, token=_token(incarnation))

    async def purge(self) -> int:
        return await self._call(self._queue.purge)

    async def size(self) -> int:
        return await self._call(self._queue.size)

    async def status(self, task_id: str, incarnation: bytes | None) -> State | None:
        return await self._call(self._queue.status, task_id, token=_token(incarnation))

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._end)

    def abandon(self) -> None:
        self._is_closed = True
        self._end()

    def _end(self) -> None:
        self._queue.close()
        self._calls.shutdown()
        self._waits.shutdown()


def _token(incarnation: bytes | None) -> Token | None:
    return None if incarnation is None else Token(incarnation)
