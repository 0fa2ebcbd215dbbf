"""Queues that are called in threads."""

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest

from worq.aio.threads import ThreadedQueue
from worq.values import Outcome

if TYPE_CHECKING:
    from worq.backend import AbstractTaskQueue


class Slow:
    """A queue whose look takes until it is told to answer."""

    name = "slow"

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.answer = threading.Event()

    def pop_many(self, *_: object) -> list[Any]:
        self.asked.set()
        assert self.answer.wait(20)
        return [Outcome("result", b"1")]

    def close(self) -> None:
        pass


class Waiting:
    poke: Callable[[], object] | None = None


@pytest.mark.spec("ENV-AIO-6")
@pytest.mark.parametrize("wait", [None, Waiting()])
def test_what_a_thread_has_fetched_is_not_lost_when_the_loop_ends(wait: Any) -> None:
    queue = Slow()

    async def main() -> object:
        threaded = ThreadedQueue(cast("AbstractTaskQueue", queue))
        look = asyncio.ensure_future(threaded.pop_many([("a", None)], wait))
        await asyncio.to_thread(queue.asked.wait)
        look.cancel()  # as asyncio.run cancels all that is left
        await asyncio.sleep(0)
        queue.answer.set()
        try:
            return await look
        finally:
            await threaded.aclose()

    assert asyncio.run(main()) == [Outcome("result", b"1")]
