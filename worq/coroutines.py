"""Coroutine tasks: each is run to its end in the thread that runs the task, and leaves nothing running. [ENV-AIO-1]"""

import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it is slow to import, and most workers need it not
    import asyncio


class LimitPassed(Exception):
    """The time limit of a task has passed, and its coroutine was cancelled. [ENV-AIO-3]"""


class Limit:
    """What cancels the coroutine of one task."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Any] | None = None
        self.reason: str | None = None
        self.is_over = False

    def end(self, reason: str) -> bool:
        """Cancel it; False if there is none, or not yet: it ends when it begins. From any thread."""
        if self.is_over:
            return False
        self.reason = reason
        if self.task is None:
            return False
        with suppress(RuntimeError):  # the loop is closed
            self.task.get_loop().call_soon_threadsafe(self._cancel)
            return True
        return False

    def _cancel(self) -> None:
        """In its loop. What it has returned, or raised, counts while those are cancelled that it left running."""
        if self.task is not None and not self.is_over:
            self.task.cancel()


class Loop:
    """The event loop of one thread, made when it is first needed."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None

    def run(self, coroutine: Coroutine[Any, Any, Any], limit: Limit) -> Any:
        """What it returns, or raises. What it started has ended by then. [ENV-AIO-2]"""
        import asyncio  # noqa: PLC0415 - see above

        try:
            _check_no_loop_runs()
            if self._runner is None:
                self._runner = asyncio.Runner()
            return self._runner.run(_alone(coroutine, limit), context=copy_context())
        except asyncio.CancelledError as error:
            if limit.reason is None:
                raise
            raise LimitPassed(limit.reason) from error
        finally:
            if self._runner is not None and asyncio.all_tasks(self._runner.get_loop()):
                self.close()  # SystemExit of one asyncio task ends the loop in the midst of the others
            coroutine.close()  # if it could not be begun

    def close(self) -> None:
        """Cancel what is left, and close the loop. Idempotent; the next coroutine gets another one."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            runner.close()


async def _alone(coroutine: Coroutine[Any, Any, Any], limit: Limit) -> Any:
    import asyncio  # noqa: PLC0415 - see above

    limit.task = asyncio.current_task()
    if limit.reason is not None:
        raise asyncio.CancelledError
    try:
        return await coroutine
    finally:
        limit.is_over = True
        for _ in range(2):  # generators that nobody has any more are closed in the next turns
            await asyncio.sleep(0)
        while others := asyncio.all_tasks() - {limit.task}:
            await _cancel(others)


async def _cancel(tasks: "set[asyncio.Task[Any]]") -> None:
    import asyncio  # noqa: PLC0415 - see above

    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            import logging  # noqa: PLC0415 - see above

            log = logging.getLogger(__name__)
            log.error("failed after its task had ended: %r", task, exc_info=error)


def _check_no_loop_runs() -> None:
    import asyncio  # noqa: PLC0415 - see above

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("a coroutine task needs a thread in which no event loop runs, as a pool has")


class _Here(threading.local):
    loop: Loop | None = None
    limit: Limit | None = None


_here = _Here()


@contextmanager
def loop_kept() -> Generator[None]:
    """Have all coroutine tasks of this thread within the block run in one loop. [ENV-AIO-2]"""
    loop = _here.loop = Loop()
    try:
        yield
    finally:
        _here.loop = None
        loop.close()


@contextmanager
def limited() -> Generator[Callable[[str], bool]]:
    """What cancels the coroutine of the task that this thread runs within the block. [ENV-AIO-3]"""
    limit = _here.limit = Limit()
    try:
        yield limit.end
    finally:
        _here.limit = None


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What the coroutine of a task returns, or raises."""
    limit = _here.limit or Limit()
    if _here.loop is not None:
        return _here.loop.run(coroutine, limit)
    loop = Loop()
    try:
        return loop.run(coroutine, limit)
    finally:
        loop.close()
