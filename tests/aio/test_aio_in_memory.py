"""Who waits in an event loop on a queue in memory, among those who wait in threads. SPEC.md, sections 7 and 9a."""

import asyncio

import pytest

from tests.aio.test_aio import opened, run, waiting
from tests.backends.brokers import broker_of, work
from tests.backends.conftest import Start
from worq import TaskExpired
from worq.clock import ManualClock
from worq.queue.memory import TaskQueue


@pytest.mark.spec("ENV-AIO-9", "ENV-WAIT-3")
def test_nobody_stays_registered() -> None:
    queue = TaskQueue("memory://aio")
    worker = broker_of(queue)

    async def main() -> None:
        async with opened(queue) as broker:
            first, second = await broker.queue().give(1), await broker.queue().give(2)
            one, two = await waiting(first), await waiting(second)
            assert queue.store.waiting
            two.cancel()
            await asyncio.wait({two})
            assert work(worker) == 2
            assert await one == 1
            assert not queue.store.waiting
            assert await second == 2

    run(main)
    queue.close()


@pytest.mark.spec("ENV-AIO-9", "ENV-WAIT-4")
def test_a_lease_that_passes_is_told_while_nobody_calls() -> None:
    queue = TaskQueue("memory://aio")
    worker = broker_of(queue)

    async def main() -> None:
        async with opened(queue) as broker:
            deferred = await broker.queue().give(1)
            claim = queue.claim(0)
            assert claim is not None
            queue.heartbeat(claim.id, 0.05, token=claim.token)
            with pytest.raises(TaskExpired):
                await deferred

    run(main)
    assert len(worker) == 0
    queue.close()


@pytest.mark.spec("ENV-AIO-9", "ENV-WAIT-8")
def test_a_clock_that_is_advanced_wakes_who_waits_in_a_loop() -> None:
    clock = ManualClock()
    queue = TaskQueue("memory://aio", clock=clock)

    async def main() -> None:
        async with opened(queue) as broker:
            deferred = await broker.queue().give(1)
            queue.claim(0)
            waiter = await waiting(deferred)
            clock.advance(65_000)
            with pytest.raises(TaskExpired):
                await waiter

    run(main)
    queue.close()


@pytest.mark.spec("ENV-AIO-9", "ENV-WAIT-6")
def test_a_thread_that_waits_for_a_task_is_woken_by_a_call_in_a_loop(start: Start) -> None:
    queue = TaskQueue("memory://aio")
    claim = start(lambda: queue.claim(None))

    async def main() -> None:
        async with opened(queue) as broker:
            deferred = await broker.queue().give(1)
            claimed = await asyncio.to_thread(claim.answer)
            assert claimed is not None
            assert claimed.id == deferred.id
            await broker.task_failed(deferred)

    run(main)
    queue.close()
