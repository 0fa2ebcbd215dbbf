"""Many Deferreds in asyncio, of whatever brokers: wait for them, or have each as it comes. SPEC.md, section 9a."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from types import TracebackType
from typing import Self

from worq import checks
from worq.aio.broker import Calls
from worq.collecting import (
    ALL_COMPLETED,
    ReturnWhen,
    Waited,
    check_return_when,
    is_enough,
    listed,
)
from worq.deferred import Deferred


async def wait(
    deferreds: Iterable[Deferred],
    timeout: float | None = None,  # noqa: ASYNC109 - it returns what is there, as asyncio.wait does
    return_when: ReturnWhen = ALL_COMPLETED,
) -> Waited:
    """As `worq.wait`, without blocking the event loop. [ENV-AIO-9]"""
    given = listed(deferreds)
    until = _Until(timeout)
    check_return_when(return_when)
    arrived: Sequence[Deferred] | None = [each for each in given if each.held is not None]
    async with _Pending(given) as pending:
        while pending and arrived is not None and not is_enough(arrived, return_when):
            arrived = await pending.next(until)
    done = {each for each in given if each.held is not None}
    return Waited(done, set(given) - done)


def as_completed(
    deferreds: Iterable[Deferred], timeout: float | None = None
) -> AsyncGenerator[Deferred]:
    """As `worq.as_completed`, for `async for`. [ENV-AIO-9]

    Who leaves the loop early, and wants what is left to be fetched no more at once, closes it: `aclosing(...)`.
    """
    return _as_they_come(listed(deferreds), _Until(timeout))


async def _as_they_come(given: list[Deferred], until: "_Until") -> AsyncGenerator[Deferred]:
    for deferred in given:
        if deferred.held is not None:
            yield deferred
    async with _Pending(given) as pending:
        while pending:
            arrived = await pending.next(until)
            if arrived is None and pending:
                raise TimeoutError(f"{len(pending)} (of {len(given)}) outcomes are not there")
            for deferred in arrived or ():
                yield deferred


class _Until:
    """When a timeout, which begins now, passes."""

    def __init__(self, timeout: float | None) -> None:
        timeout_s = checks.seconds_or_forever("timeout", timeout)
        self.looks_once: bool = timeout_s == 0
        self._end_s = None if timeout_s is None else time.monotonic() + timeout_s

    def left_s(self) -> float | None:
        return None if self._end_s is None else max(0.0, self._end_s - time.monotonic())


class _Pending:
    """The Deferreds that have no outcome yet, nor have been passed on; within the block they are waited for."""

    def __init__(self, deferreds: Sequence[Deferred]) -> None:
        self._calls = {each: _calls(each) for each in deferreds if each.held is None}
        self._tasks: dict[asyncio.Task[None], Deferred] = {}
        self._error: BaseException | None = None

    def __len__(self) -> int:
        return len(self._calls)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def next(self, until: _Until) -> list[Deferred] | None:
        """Those that hold their outcome now; None when the time is over. Errors come behind what is there."""
        if self._error is not None:
            raise self._error
        if until.looks_once:
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - it is raised when it is its turn
                self._error = error
            return self._behind(self._sort_out(list(self._calls))) or None
        self._tasks = self._tasks or {
            asyncio.ensure_future(calls.arrival(each)): each for each, calls in self._calls.items()
        }
        ended, _ = await asyncio.wait(
            self._tasks, timeout=until.left_s(), return_when=asyncio.FIRST_COMPLETED
        )
        if not ended:
            return None
        arrived = self._sort_out([self._tasks.pop(task) for task in ended])
        self._error = next(filter(None, (task.exception() for task in ended)), None)
        return self._behind(arrived)

    def _behind(self, arrived: list[Deferred]) -> list[Deferred]:
        if self._error is not None and not arrived:
            raise self._error
        return arrived

    async def _look(self) -> None:
        deferreds: dict[Calls, list[Deferred]] = {}
        for each, calls in self._calls.items():
            deferreds.setdefault(calls, []).append(each)
        for calls, some in deferreds.items():
            await calls.look(some)

    def _sort_out(self, deferreds: Iterable[Deferred]) -> list[Deferred]:
        """Wait no more for those that have an answer. The ones that hold their outcome."""
        arrived = [each for each in deferreds if each.held is not None]
        for each in deferreds:
            if each.has_value() or each.is_passed_on:
                del self._calls[each]
        return arrived


def _calls(deferred: Deferred) -> Calls:
    calls = deferred.broker
    if not isinstance(calls, Calls):
        raise RuntimeError(f"broker: one of worq.aio is needed to await it: {deferred!r}")  # noqa: TRY004 - as awaiting it
    return calls
