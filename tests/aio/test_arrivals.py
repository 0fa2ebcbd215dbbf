"""Groups of those who wait, on a queue that says nothing unless it is told. SPEC.md, section 9a."""

import asyncio
from typing import Any, cast

import pytest

from tests.aio.test_aio import run
from worq import get_broker
from worq.aio import arrivals
from worq.aio.arrivals import Arrivals
from worq.asynchronous import AsyncQueue, Wait


class Silent:
    """A queue that has seen each task it is asked for, and never has an answer."""

    def __init__(self) -> None:
        self.asked: list[list[tuple[str, bytes | None]]] = []
        self.cancelled = 0

    async def pop_many(self, tasks: list[tuple[str, bytes | None]], wait: Wait | None) -> list[Any]:
        self.asked.append(list(tasks))
        tasks[:] = [(task_id, b"seen") for task_id, _ in tasks]
        poked = asyncio.Event()
        if wait is not None:
            wait.poke = poked.set
            await poked.wait()
            wait.poke = None
        return [None] * len(tasks)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.spec("ENV-AIO-6")
def test_a_group_asks_again_for_the_incarnations_it_has_seen_and_for_all_who_are_there() -> None:
    async def main() -> None:
        queue = Silent()
        waiting = Arrivals(cast("AsyncQueue", queue))
        with get_broker("memory://arrivals") as broker:
            tasks = [asyncio.ensure_future(waiting.of(broker.deferred(name))) for name in "ab"]
            await settled()
            tasks.append(asyncio.ensure_future(waiting.of(broker.deferred("c"))))
            await settled()
            tasks[0].cancel()
            await settled()
            assert queue.asked == [
                [("a", None), ("b", None)],
                [("a", b"seen"), ("b", b"seen"), ("c", None)],
                [("b", b"seen"), ("c", b"seen")],
            ]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() for task in tasks)
            await waiting.ended()
            assert len(queue.asked) <= 4

    run(main)


@pytest.mark.spec("ENV-AIO-9")
def test_a_group_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "TOGETHER", 2)

    async def main() -> None:
        queue = Silent()
        waiting = Arrivals(cast("AsyncQueue", queue))
        with get_broker("memory://arrivals") as broker:
            tasks = [asyncio.ensure_future(waiting.of(broker.deferred(name))) for name in "abcde"]
            await settled()
            assert [[name for name, _ in asked] for asked in queue.asked] == [
                ["a", "b"],
                ["c", "d"],
                ["e"],
            ]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await waiting.ended()

    run(main)


@pytest.mark.spec("ENV-AIO-6")
def test_who_is_cancelled_waits_no_longer_than_a_second_for_a_server_that_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrivals, "LEAVE_S", 0.01)
    answered = asyncio.Event()

    class Stuck(Silent):
        async def pop_many(
            self, tasks: list[tuple[str, bytes | None]], wait: Wait | None
        ) -> list[Any]:
            assert wait is not None
            wait.poke = lambda: None
            await answered.wait()
            return [None] * len(tasks)

    async def main() -> None:
        waiting = Arrivals(cast("AsyncQueue", Stuck()))
        with get_broker("memory://arrivals") as broker:
            task = asyncio.ensure_future(waiting.of(broker.deferred("a")))
            await settled()
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            answered.set()
            await waiting.ended()

    run(main)
