"""Producers in asyncio on Redis, when connections fail and calls are cancelled. SPEC.md, section 9a."""

import asyncio
import random
import socket
from collections.abc import Iterator, Sequence

import pytest

from tests.aio.test_aio import run, waiting
from tests.backends.brokers import broker_of, work
from worq import BackendUnavailable, Broker, Deferred, QueueClosed, Task, TaskExpired, aio
from worq.pool.thread import WorkerPool
from worq.queue.redis import TaskQueue
from worq.queue.redis.aio import AsyncChannel
from worq.testing.proxy import LOSE, Command, Fault, FaultProxy

SEEDS = range(4)


@pytest.fixture
def proxy(redis_url: str) -> Iterator[FaultProxy]:
    with FaultProxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
def worker(redis_url: str) -> Iterator[Broker]:
    """On the same queue, past the proxy."""
    queue = TaskQueue(redis_url, "aio")
    yield broker_of(queue)
    queue.close()


@pytest.mark.spec("ENV-AIO-4", "ENV-RETRY-1")
@pytest.mark.parametrize("fault", LOSE)
def test_what_is_lost_is_sent_again_and_nothing_happens_twice(
    proxy: FaultProxy, worker: Broker, fault: Fault
) -> None:
    async def main() -> None:
        async with aio.get_broker(proxy.url, "aio") as broker:
            await broker.size()
            proxy.fail_at(0, fault)
            deferred = await broker.queue().give(1)
            assert await broker.size() == 1
            proxy.fail_at(0, fault)
            assert (await aio.wait([deferred], 0)).not_done
            assert sum(proxy.counts.values()) == 2
            work(worker)
            proxy.fail_at(0, fault)
            assert await deferred == 1
            proxy.fail_at(0, fault)
            many = await broker.map(broker.queue().give, range(300))
            assert await broker.size() == 300
            waiter = await waiting(asyncio.gather(*many))
            proxy.follow(lambda command: fault if command.name == b"BLPOP" else None)
            proxy.cut()
            await asyncio.to_thread(work, worker)
            proxy.follow(None)
            assert await waiter == list(range(300))

    run(main)


@pytest.mark.spec("ENV-AIO-9")
def test_those_who_wait_share_connections(proxy: FaultProxy, worker: Broker) -> None:
    async def main() -> None:
        async with aio.get_broker(proxy.url, "aio") as broker:
            deferreds = await broker.map(broker.queue().give, range(300))
            waiter = await waiting(asyncio.gather(*deferreds))
            assert proxy.open <= 2 + 2
            await asyncio.to_thread(work, worker)
            assert await waiter == list(range(300))

    run(main)


@pytest.mark.spec("ENV-AIO-5", "ENV-AIO-9")
def test_who_joins_others_that_sleep_is_told_too(proxy: FaultProxy, worker: Broker) -> None:
    async def main() -> None:
        async with aio.get_broker(proxy.url, "aio") as broker:
            second, first = [await broker.queue().give(number) for number in range(2)]
            sleeping = await waiting(first)
            joining = await waiting(second)
            task = worker.next_task(0)
            assert task is not None
            async with asyncio.timeout(4):  # they look by themselves after five seconds
                worker.invoke(task)
                assert await joining == 0
            work(worker)
            assert await sleeping == 1

    run(main)


@pytest.mark.spec("ENV-AIO-9", "ENV-WAIT-3")
def test_waiting_is_no_polling(proxy: FaultProxy, worker: Broker) -> None:
    async def main() -> None:
        async with aio.get_broker(proxy.url, "aio") as broker:
            deferred = await broker.queue().give(1)
            waiter = await waiting(deferred)
            proxy.follow(None)  # counts from 0
            await asyncio.sleep(0.3)
            assert proxy.commands == 0
            work(worker)
            assert await waiter == 1

    run(main)


@pytest.mark.spec("ENV-AIO-4", "ENV-RETRY-2")
def test_a_server_that_is_gone_is_told_to_all_who_wait(proxy: FaultProxy, worker: Broker) -> None:
    async def main() -> None:
        async with aio.get_broker(proxy.url, "aio", retry_deadline_s=0.1) as broker:
            deferred = await broker.queue().give(1)
            waiter = await waiting(deferred)
            proxy.stop()
            with pytest.raises(BackendUnavailable):
                await waiter
            with pytest.raises(BackendUnavailable) as caught:
                await broker.queue().give(2)
            assert caught.value.outcome == "not_sent"
        assert work(worker) == 1
        assert worker.pop_result(deferred) == 1

    run(main)


@pytest.mark.spec("ENV-AIO-7")
@pytest.mark.parametrize("turns", range(8))
def test_a_cancelled_call_leaves_no_connection_in_an_unknown_state(
    proxy: FaultProxy, worker: Broker, turns: int
) -> None:
    async def main() -> None:
        async with aio.get_broker(proxy.url, "aio") as broker:
            await broker.size()
            for number in range(10):
                call = asyncio.ensure_future(Task(broker.queue().give, id=f"{number}")(number))
                for _ in range(turns):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait({call})
                # A reply that was left would be the answer of this.
                assert await broker.status(broker.deferred("gone")) is None
            enqueued = work(worker)
            fetched = [await aio.wait([broker.deferred(f"{number}")]) for number in range(10)]
            held = [each.done.pop() for each in fetched]
            assert len([each for each in held if _value(each) is not None]) == enqueued

    run(main)


def _value(deferred: Deferred) -> object:
    try:
        return deferred.value
    except TaskExpired:
        return None


@pytest.mark.spec("ENV-AIO-6", "ENV-AIO-4")
@pytest.mark.parametrize("seed", SEEDS)
def test_cancelled_at_any_moment_over_bad_connections_none_is_lost_and_none_comes_twice(
    proxy: FaultProxy, worker: Broker, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - to repeat it
    runs: list[int] = []

    def count(number: int) -> int:
        runs.append(number)
        return number

    def plan(command: Command) -> Fault | None:
        return chance.choice(LOSE) if chance.random() < 0.05 else None

    async def follow(deferred: Deferred) -> object:
        """Its value, with many tries."""
        while True:
            try:
                async with asyncio.timeout(chance.uniform(0, 0.02)):
                    return await deferred
            except TimeoutError:
                continue

    async def produce(broker: aio.Broker, number: int) -> object:
        await asyncio.sleep(chance.uniform(0, 0.2))
        return await follow(await broker.queue().count(number))

    async def main() -> None:
        async with aio.get_broker(proxy.url, "aio") as broker:
            await broker.size()
            proxy.follow(plan)
            produced = await asyncio.gather(*(produce(broker, number) for number in range(60)))
            proxy.follow(None)
            assert produced == list(range(60))

    worker.expose(count)
    with WorkerPool(worker, workers=2):
        run(main)
    assert sorted(runs) == list(range(60))


@pytest.mark.spec("ENV-AIO-6")
@pytest.mark.parametrize("timeout", [None, 0])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_reply_that_is_on_its_way_when_the_loop_ends_is_not_lost(
    proxy: FaultProxy,
    worker: Broker,
    timeout: float | None,
    is_there: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swap = AsyncChannel.swap

    async def main() -> None:
        on_its_way = asyncio.Event()

        async def never_come(channel: AsyncChannel, *commands: Sequence[object]) -> object:
            reply = await swap(channel, *commands)
            if not on_its_way.is_set():
                on_its_way.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    await channel.drop()
            return reply

        async with aio.get_broker(proxy.url, "aio") as broker:
            deferred = await broker.queue().give(1)
            if is_there:
                work(worker)
            monkeypatch.setattr(AsyncChannel, "swap", never_come)
            waiter = asyncio.ensure_future(aio.wait([deferred], timeout))
            await on_its_way.wait()
            others = {waiter} | (asyncio.all_tasks() - {asyncio.current_task()})
            for task in others:
                task.cancel()  # as asyncio.run does at its end
            await asyncio.wait(others)
            assert (deferred.held is not None) == is_there
            work(worker)
            assert await deferred == 1

    run(main)


@pytest.mark.redis
@pytest.mark.spec("ENV-AIO-8")
@pytest.mark.parametrize("is_cancelled", [True, False])
def test_close_ends_a_look_for_rights_on_a_server_that_does_not_answer(
    is_cancelled: bool,  # noqa: FBT001
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setblocking(False)
            address = f"127.0.0.1:{server.getsockname()[1]}"
            broker = aio.get_broker(f"redis://user:password@{address}/0?socket_timeout=60", "aio")
            call = asyncio.ensure_future(broker.size())
            connection, _ = await loop.sock_accept(server)
            with connection:
                assert await loop.sock_recv(connection, 1000)
                if is_cancelled:
                    call.cancel()
                await broker.aclose()
                while await loop.sock_recv(connection, 1000):
                    pass
                with pytest.raises((asyncio.CancelledError, QueueClosed)):
                    await call

    run(main)


@pytest.mark.spec("ENV-AIO-8")
def test_close_ends_those_who_wait_also_where_the_server_does_not_answer(
    proxy: FaultProxy, worker: Broker
) -> None:
    async def main() -> None:
        async with aio.get_broker(proxy.url, "aio") as broker:
            deferred = await broker.queue().give(1)
            waiter = await waiting(deferred)
            proxy.fall_silent(for_all=True)
            await broker.aclose()
            await asyncio.wait({waiter}, timeout=1)
            assert waiter.exception() is not None
        assert work(worker) == 1
        assert worker.pop_result(deferred) == 1

    run(main)
