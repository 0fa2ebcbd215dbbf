"""Producers in asyncio, on each backend: SPEC.md, section 9a."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar, cast

import pytest

import worq
from tests.backends.brokers import TASKS, broker_of, call, pickled, take, work
from tests.backends.calls import PATIENCE_S
from tests.backends.conftest import MakeQueue
from worq import (
    BackendUnavailable,
    Broker,
    Deferred,
    DuplicateTask,
    QueueClosed,
    Task,
    TaskExpired,
    TaskFailure,
    TasksRefused,
    aio,
)
from worq.backend import AbstractTaskQueue

if TYPE_CHECKING:
    from worq.aio.broker import Calls

T = TypeVar("T")


@pytest.fixture
def flowing(make_queue: MakeQueue) -> AbstractTaskQueue:
    """A queue on the backend's own time."""
    return make_queue()


@asynccontextmanager
async def opened(queue: AbstractTaskQueue) -> AsyncIterator[aio.Broker]:
    async with aio.get_broker(queue.url, queue.name) as broker:
        broker.expose(TASKS)
        yield broker


def run(main: Callable[[], Awaitable[T]]) -> T:
    async def patiently() -> T:
        async with asyncio.timeout(PATIENCE_S):
            return await main()

    return asyncio.run(patiently())


async def waiting(awaitable: Awaitable[T]) -> asyncio.Task[T]:
    """A task that waits for it by now."""

    async def wait() -> T:
        return await awaitable

    task = asyncio.create_task(wait())
    await asyncio.sleep(0.02)
    assert not task.done()
    return task


@pytest.mark.spec("ENV-AIO-4", "ENV-AIO-5")
def test_a_call_is_awaited_and_so_is_its_deferred(flowing: AbstractTaskQueue) -> None:
    worker = broker_of(flowing)

    async def main() -> None:
        async with opened(flowing) as broker:
            first = await broker.queue().give(1)
            second = await Task(broker.queue().echo, id="b")(first, key=[2])
            assert await broker.size() == 2
            assert await broker.status(second) == "pending"
            third = await waiting(second)
            assert work(worker) == 2
            assert await third == ((1,), {"key": [2]})
            assert (second.has_value(), second.value, second.status) == (
                True,
                await second,
                "success",
            )

    run(main)


@pytest.mark.spec("ENV-AIO-5")
def test_what_is_awaited_raises_as_the_value_does(flowing: AbstractTaskQueue) -> None:
    worker = broker_of(flowing)

    async def main() -> None:
        async with opened(flowing) as broker:
            failing, cancelled = await broker.queue().boom(), await broker.queue().give(1)
            taken = await broker.queue().give(2)
            taker = await broker.queue().echo(taken)
            await broker.task_failed(cancelled)
            with pytest.raises(TaskExpired):
                await cancelled
            with pytest.raises(AttributeError, match="another task"):
                await taken
            work(worker)
            with pytest.raises(TaskFailure, match="ValueError: boom"):
                await failing
            assert await taker == ((2,), {})

    run(main)


@pytest.mark.spec("ENV-AIO-4")
def test_calls_are_refused_as_those_of_threads(flowing: AbstractTaskQueue) -> None:
    async def main() -> None:
        async with opened(flowing) as broker:
            queue = broker.queue()
            await Task(queue.give, id="a")(1)
            with pytest.raises(DuplicateTask):
                await Task(queue.give, id="a")(2)
            gone = broker.deferred("gone", "give")
            with pytest.raises(TaskFailure, match="result is not available"):
                await queue.echo(gone)
            with pytest.raises(TypeError, match=r"args\[0\]"):
                await queue.give(threading.Lock())
            with pytest.raises(TasksRefused) as refused:
                await broker.enqueue_many([Task(queue.give, id=name).prepare(1) for name in "ba"])
            assert [getattr(each, "id", None) for each in refused.value.deferreds] == ["b", None]
            assert await broker.purge() == 2
            assert await Task(queue.give, ignore_result=True)(3) is None
            assert await broker.purge() == 1

    run(main)


@pytest.mark.spec("ENV-AIO-4")
def test_many_calls_and_many_results(flowing: AbstractTaskQueue) -> None:
    worker = broker_of(flowing)

    async def main() -> None:
        async with opened(flowing) as broker:
            deferreds = await broker.map(broker.queue().give, range(600))
            results = await waiting(asyncio.gather(*deferreds))
            await asyncio.to_thread(work, worker)
            assert await results == list(range(600))

    run(main)


@pytest.mark.spec("ENV-AIO-5")
def test_several_may_await_one_deferred(flowing: AbstractTaskQueue) -> None:
    worker = broker_of(flowing)

    async def main() -> None:
        async with opened(flowing) as broker:
            deferred = await broker.queue().give(1)
            first, second, third = [await waiting(deferred) for _ in range(3)]
            first.cancel()
            work(worker)
            assert (await second, await third) == (1, 1)
            with pytest.raises(asyncio.CancelledError):
                await first

    run(main)


@pytest.mark.spec("ENV-AIO-6")
def test_a_cancelled_await_takes_nothing(flowing: AbstractTaskQueue) -> None:
    worker = broker_of(flowing)

    async def main() -> None:
        async with opened(flowing) as broker:
            deferred = await broker.queue().give(1)
            other = await broker.queue().give(2)
            kept = await waiting(other)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await deferred
            work(worker)
            assert await kept == 2
            assert not deferred.has_value()
            assert worker.pop_result(deferred) == 1  # somebody else may have it

    run(main)


@pytest.mark.spec("ENV-AIO-6")
def test_what_had_been_fetched_for_a_cancelled_await_is_in_the_deferred(
    flowing: AbstractTaskQueue,
) -> None:
    worker = broker_of(flowing)

    async def main() -> None:
        async with opened(flowing) as broker:
            for number in range(20):
                deferred = await broker.queue().give(number)
                task = await waiting(deferred)
                work(worker)
                for _ in range(number % 5):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait({task})
                assert await deferred == number

    run(main)


@pytest.mark.spec("ENV-AIO-6")
def test_an_await_without_a_token_waits_for_the_incarnation_it_first_saw(
    flowing: AbstractTaskQueue,
) -> None:
    worker = broker_of(flowing)

    async def main() -> None:
        async with opened(flowing) as broker:
            call(worker.queue().give, "a", 1)
            waiter = await waiting(broker.deferred("a"))
            worker.task_failed(worker.deferred("a"))
            call(worker.queue().give, "a", 2)
            with pytest.raises(TaskExpired):
                await waiter

    run(main)


@pytest.mark.spec("ENV-AIO-5")
def test_the_event_loop_goes_on_meanwhile(flowing: AbstractTaskQueue) -> None:
    worker = broker_of(flowing)

    async def main() -> None:
        async with opened(flowing) as broker:
            deferred = await broker.queue().give(1)
            waiter = await waiting(deferred)
            ticks: list[int] = []
            while len(ticks) < 50:
                ticks.append(await asyncio.sleep(0, 1))
            assert not waiter.done()
            work(worker)
            assert await waiter == 1

    run(main)


@pytest.mark.spec("ENV-AIO-5")
def test_what_would_block_is_refused(flowing: AbstractTaskQueue) -> None:
    async def main() -> None:
        async with opened(flowing) as broker:
            deferred = await broker.queue().give(1)
            with pytest.raises(RuntimeError, match="would block the event loop"):
                deferred.wait(0)
            with pytest.raises(RuntimeError, match="would block the event loop"):
                _ = deferred.value
            with pytest.raises(RuntimeError, match="would block the event loop"):
                _ = deferred.status
            with pytest.raises(RuntimeError, match="would block the event loop"):
                worq.wait([deferred], 0)
            with pytest.raises(TypeError):
                len(broker.queue())
            await broker.purge()

    run(main)


@pytest.mark.spec("ENV-AIO-5")
def test_deferreds_of_threads_are_bound_before_they_are_awaited(flowing: AbstractTaskQueue) -> None:
    worker = broker_of(flowing)

    async def main() -> None:
        deferred = pickled(call(worker.queue().give, "a", 1))
        assert deferred.broker is not None
        with pytest.raises(RuntimeError, match=r"one of worq\.aio is needed"):
            await deferred
        with pytest.raises(RuntimeError, match=r"one of worq\.aio is needed"):
            await aio.wait([deferred])
        async with opened(flowing) as broker:
            assert broker.bind(deferred) is deferred
            work(worker)
            assert await deferred == 1
        assert await deferred == 1
        assert await aio.wait([deferred]) == ({deferred}, set())

    run(main)


@pytest.mark.spec("ENV-AIO-8")
def test_who_waits_when_a_broker_is_closed_is_told(flowing: AbstractTaskQueue) -> None:
    async def main() -> None:
        async with opened(flowing) as broker:
            deferred = await broker.queue().give(1)
            waiter = await waiting(deferred)
            await broker.aclose()
            with pytest.raises(QueueClosed):
                await waiter
            with pytest.raises(QueueClosed):
                await broker.size()
            with pytest.raises(QueueClosed):
                await deferred
            await broker.aclose()
        async with opened(flowing) as broker:
            assert await broker.purge() == 1

    run(main)


@pytest.mark.spec("ENV-AIO-8")
def test_a_broker_that_was_closed_before_its_first_call_stays_closed(
    flowing: AbstractTaskQueue,
) -> None:
    async def main() -> None:
        broker = aio.get_broker(flowing.url, flowing.name)
        await broker.aclose()
        with pytest.raises(QueueClosed):
            await broker.size()

    run(main)


@pytest.mark.spec("ENV-AIO-8")
def test_a_broker_belongs_to_one_event_loop(flowing: AbstractTaskQueue) -> None:
    with asyncio.Runner() as runner:
        broker = aio.get_broker(flowing.url, flowing.name)
        assert runner.run(broker.size()) == 0
        with pytest.raises(RuntimeError, match="another event loop"):
            asyncio.run(broker.size())
        with pytest.raises(RuntimeError, match="another event loop"):
            asyncio.run(broker.aclose())
        assert runner.run(broker.size()) == 0
        runner.run(broker.aclose())
        asyncio.run(broker.aclose())


@pytest.mark.spec("ENV-AIO-8")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the sockets that the loop has left open
def test_a_broker_whose_event_loop_is_closed_is_closed_in_another_one(
    flowing: AbstractTaskQueue,
) -> None:
    broker = aio.get_broker(flowing.url, flowing.name)
    assert asyncio.run(broker.size()) == 0
    for _ in range(2):
        asyncio.run(broker.aclose())
    with pytest.raises(QueueClosed):
        asyncio.run(broker.size())
    del broker
    gc.collect()


@pytest.mark.spec("ENV-AIO-8")
@pytest.mark.parametrize("turns", range(1, 5))
def test_close_goes_on_when_one_who_calls_it_is_cancelled(
    flowing: AbstractTaskQueue, turns: int
) -> None:
    async def main() -> None:
        async with opened(flowing) as broker:
            waiter = await waiting(await broker.queue().give(1))
            closers = [asyncio.ensure_future(broker.aclose()) for _ in range(2)]
            for _ in range(turns):
                await asyncio.sleep(0)
            closers[0].cancel()
            await asyncio.wait(closers)
            assert waiter.done()
            with pytest.raises(QueueClosed):
                await waiter

    run(main)


@pytest.mark.spec("ENV-AIO-9")
def test_wait_says_what_is_done(flowing: AbstractTaskQueue) -> None:
    worker = broker_of(flowing)

    async def main() -> None:
        async with opened(flowing) as broker:
            queue = broker.queue()
            good, bad = await queue.give(1), await queue.boom()
            assert await aio.wait([good, bad], 0) == (set(), {good, bad})
            assert await aio.wait([good, bad], 0.01) == (set(), {good, bad})
            waiter = await waiting(aio.wait([good, bad], return_when=aio.FIRST_COMPLETED))
            worker.invoke(take(worker))
            assert await waiter == ({good}, {bad})
            waiter = await waiting(aio.wait([good, bad], return_when=aio.FIRST_EXCEPTION))
            last, taken = await queue.give(2), await queue.give(3)
            taker = await queue.echo(taken)
            assert await aio.wait([taken, good]) == ({good}, {taken})
            work(worker)
            assert await waiter == ({good, bad}, set())
            assert await aio.wait([last, taker]) == ({last, taker}, set())
            assert await aio.wait([]) == (set(), set())
            with pytest.raises(ValueError, match="return_when"):
                await aio.wait([], return_when="SOON")  # type: ignore[arg-type]
            with pytest.raises(TypeError, match=r"deferreds\[0\]"):
                await aio.wait([1])  # type: ignore[list-item]

    run(main)


@pytest.mark.spec("ENV-AIO-9")
def test_each_comes_when_it_is_there(flowing: AbstractTaskQueue) -> None:
    worker = broker_of(flowing)

    async def main() -> None:
        async with opened(flowing) as broker:
            queue = broker.queue()
            held, taken, soon, late = await broker.map(queue.give, range(4))
            taker = await queue.echo(taken)
            await broker.fetch([held])
            worker.invoke(take(worker))
            await held
            arriving = aio.as_completed([soon, held, taken, late], 0.2)
            assert await anext(arriving) is held
            begun = take(worker)
            worker.invoke(take(worker))
            assert await anext(arriving) is soon
            with pytest.raises(TimeoutError, match=r"1 \(of 4\)"):
                await anext(arriving)
            work(worker)
            assert [each async for each in aio.as_completed([late], 0)] == [late]
            more = await broker.map(queue.give, range(3))
            work(worker)
            async with aclosing(aio.as_completed(more)) as arriving:
                async for each in arriving:
                    assert each in more
                    break
            rest = [await each for each in more]
            assert rest == [0, 1, 2]
            worker.invoke(begun)
            work(worker)
            assert await taker == ((1,), {})

    run(main)


@pytest.mark.spec("ENV-AIO-9")
def test_deferreds_of_several_queues_are_waited_for_together(make_queue: MakeQueue) -> None:
    queues = [make_queue(), make_queue()]
    workers = [broker_of(each) for each in queues]

    async def main() -> None:
        async with opened(queues[0]) as one, opened(queues[1]) as two:
            deferreds: list[Deferred] = [await one.queue().give(1), await two.queue().give(2)]
            arriving = aio.as_completed(deferreds)
            work(workers[1])
            assert await anext(arriving) is deferreds[1]
            work(workers[0])
            assert [each.value async for each in arriving] == [1]

    run(main)


@pytest.mark.spec("ENV-AIO-9")
@pytest.mark.parametrize("timeout", [None, 0])
def test_what_comes_together_with_an_error_comes_first(
    make_queue: MakeQueue, timeout: float | None
) -> None:
    queues = [make_queue(), make_queue()]

    async def main() -> None:
        fetched = asyncio.Event()

        async def fail(_: object) -> None:
            await fetched.wait()
            raise BackendUnavailable("no server", "not_sent")

        async with opened(queues[0]) as one, opened(queues[1]) as two:

            async def come(deferred: Deferred) -> None:
                await one.fetch([deferred])
                fetched.set()

            good, bad = await one.queue().give(1), await two.queue().give(2)
            work(broker_of(queues[0]))
            cast("Calls", good.broker).arrival = come
            calls = cast("Calls", bad.broker)
            calls.arrival = calls.look = fail
            if timeout == 0:
                fetched.set()
            arriving = aio.as_completed([good, bad], timeout)
            assert await anext(arriving) is good
            with pytest.raises(BackendUnavailable):
                await anext(arriving)

    run(main)


def add(x: int, y: int = 0) -> int:
    return x + y


@pytest.mark.spec("ENV-AIO-4", "ENV-MANY-3")
def test_the_keywords_of_a_map_go_to_each_call(flowing: AbstractTaskQueue) -> None:
    worker = broker_of(flowing)
    worker.expose(add)

    async def main() -> None:
        async with opened(flowing) as broker:
            deferreds = await broker.map(broker.queue().add, [1, 2], y=3)
            work(worker)
            assert [await each for each in deferreds] == [4, 5]

    run(main)


@pytest.mark.spec("ENV-AIO-5")
def test_what_would_block_the_loop_says_what_is_to_be_awaited(flowing: AbstractTaskQueue) -> None:
    async def main() -> None:
        async with opened(flowing) as broker:
            assert broker
            with pytest.raises(TypeError, match=r"await broker\.size\(\)"):
                len(broker.queue())
            with pytest.raises(TypeError, match="async with"), cast("Broker", broker):
                pass

    run(main)


@pytest.mark.spec("ENV-AIO-4")
def test_typed_calls(flowing: AbstractTaskQueue) -> None:
    worker = broker_of(flowing)
    worker.expose(add)

    async def main() -> None:
        async with opened(flowing) as broker:
            broker.expose(add)
            deferred = await aio.typed(broker.queue(), add)(1, y=2)
            work(worker)
            assert await deferred == 3

    run(main)
