"""Coroutine tasks: SPEC.md, section 9, "asyncio"."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any, NoReturn, TypeVar

import pytest

from tests.backends.brokers import broker_of, call, work
from tests.backends.calls import PATIENCE_S
from tests.pool import tasks
from tests.pool.conftest import Plant
from tests.pool.gates import value_of
from worq import Broker, Task, TaskFailure, get_broker
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.pool import process
from worq.pool.thread import WorkerPool

T = TypeVar("T")

MakePool = Callable[..., WorkerPool]

seen: ContextVar[str] = ContextVar("seen", default="nothing")


async def add(x: int, y: int) -> int:
    await asyncio.sleep(0)
    return x + y


class Left:
    """What coroutines leave behind, and what becomes of it."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.loops: list[asyncio.AbstractEventLoop] = []
        self.tasks: list[asyncio.Task[None]] = []  # strong, as a program's own would be

    async def for_ever(self, name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.ended.append(name)

    async def numbers(self) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            self.ended.append("generator")

    async def start(self, *names: str) -> list[str]:
        """Return at once what has ended by then, and leave as many tasks running."""
        ended = list(self.ended)
        self.loops.append(asyncio.get_running_loop())
        self.tasks += [asyncio.create_task(self.for_ever(name)) for name in names]
        await asyncio.sleep(0)
        return ended

    async def first(self) -> int:
        self.loops.append(asyncio.get_running_loop())
        async for number in self.numbers():
            return number
        return 0


@pytest.mark.spec("ENV-AIO-1")
def test_a_coroutine_function_is_a_task_as_others(broker: Broker, make_pool: MakePool) -> None:
    broker.expose(add)
    make_pool(broker, 2).start()
    three = call(broker.queue().add, "a", 1, 2)
    assert value_of(call(broker.queue().add, "b", three, 4)) == 7


async def raises(name: str) -> NoReturn:
    await asyncio.sleep(0)
    raise {"ValueError": ValueError, "SystemExit": SystemExit, "Cancelled": asyncio.CancelledError}[
        name
    ]("because")


async def cancels_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def waits_too_long() -> None:
    async with asyncio.timeout(0):
        await asyncio.Event().wait()


async def ends_the_loop() -> None:
    def leave() -> None:
        raise SystemExit("stray")

    asyncio.get_running_loop().call_soon(leave)
    await asyncio.Event().wait()


@pytest.mark.spec("ENV-AIO-1", "RUN-2")
@pytest.mark.parametrize("in_pool", [True, False])
def test_whatever_a_coroutine_raises_is_its_failure_and_the_worker_goes_on(
    make_pool: MakePool,
    in_pool: bool,  # noqa: FBT001 - as pytest passes it
) -> None:
    with get_broker("memory://coroutines") as broker:
        for each in (add, raises, cancels_itself, waits_too_long, ends_the_loop):
            broker.expose(each)
        queue = broker.queue()
        deferreds = [
            queue.raises("ValueError"),
            queue.raises("SystemExit"),
            queue.raises("Cancelled"),
            queue.cancels_itself(),
            queue.waits_too_long(),
            queue.ends_the_loop(),
            queue.add(1, 2),
        ]
        if in_pool:
            make_pool(broker).start()
        else:
            work(broker)
        errors: list[str] = []
        for deferred in deferreds[:-1]:
            with pytest.raises(TaskFailure) as caught:
                value_of(deferred)
            errors.append(caught.value.error)
        assert errors == [
            "ValueError: because",
            "SystemExit: because",
            "CancelledError: because",
            "CancelledError: ",
            "TimeoutError: ",
            "SystemExit: stray",
        ]
        assert value_of(deferreds[-1]) == 3


@pytest.mark.spec("ENV-AIO-2")
def test_what_a_coroutine_left_running_has_ended_when_its_outcome_is_there(
    broker: Broker, make_pool: MakePool
) -> None:
    left = Left()
    broker.expose(left.start)
    make_pool(broker).start()
    assert value_of(call(broker.queue().start, "a", "x", "y")) == []
    assert sorted(left.ended) == ["x", "y"]
    assert sorted(value_of(call(broker.queue().start, "b", "z"))) == ["x", "y"]
    assert left.ended[2:] == ["z"]
    assert left.loops[0] is left.loops[1]
    assert all(task.cancelled() for task in left.tasks)


@pytest.mark.spec("ENV-AIO-2")
def test_a_generator_that_is_left_is_closed(broker: Broker, make_pool: MakePool) -> None:
    left = Left()
    broker.expose(left.first)
    make_pool(broker).start()
    assert value_of(call(broker.queue().first, "a")) == 1
    assert left.ended == ["generator"]
    assert value_of(call(broker.queue().first, "b")) == 1
    assert left.loops[0] is left.loops[1]


@pytest.mark.spec("ENV-AIO-2")
def test_what_fails_while_it_is_cancelled_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("no")

    async def leaves() -> str:
        kept.append(asyncio.create_task(stubborn()))
        await asyncio.sleep(0)
        return "left"

    kept: list[asyncio.Task[None]] = []
    with get_broker("memory://coroutines") as broker:
        broker.expose(leaves)
        deferred = broker.queue().leaves()
        work(broker)
        assert deferred.value == "left"
    assert "failed after its task had ended" in caplog.text
    assert "ValueError: no" in caplog.text


@pytest.mark.spec("ENV-AIO-2")
def test_each_coroutine_has_a_context_of_its_own(broker: Broker, make_pool: MakePool) -> None:
    async def look(then: str) -> str:
        before = seen.get()
        seen.set(then)
        return before

    broker.expose(look)
    make_pool(broker).start()
    assert value_of(call(broker.queue().look, "a", "first")) == "nothing"
    assert value_of(call(broker.queue().look, "b", "second")) == "nothing"


@pytest.mark.spec("ENV-AIO-2")
def test_a_pool_that_ends_closes_its_loops(broker: Broker, make_pool: MakePool) -> None:
    left = Left()
    broker.expose(left.start)
    pool = make_pool(broker)
    pool.start()
    value_of(call(broker.queue().start, "a"))
    assert not left.loops[0].is_closed()
    pool.stop()
    assert left.loops[0].is_closed()


@pytest.mark.spec("ENV-AIO-1")
def test_where_a_loop_runs_a_coroutine_task_fails_and_says_why() -> None:
    async def main() -> None:
        work(broker)

    with get_broker("memory://coroutines") as broker:
        broker.expose(add)
        deferred = broker.queue().add(1, 2)
        asyncio.run(main())
        with pytest.raises(TaskFailure, match="RuntimeError: a coroutine task needs a thread"):
            _ = deferred.value


class Endless:
    """Coroutine tasks that go on until they are cancelled, and some do so even then."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.cancelled = threading.Event()

    async def endless(self, then: Any = None) -> Any:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            if then is None:
                raise
        return then


@pytest.mark.spec("ENV-AIO-3")
@pytest.mark.parametrize("then", [None, "all the same"])
def test_a_coroutine_is_cancelled_when_its_time_limit_passes(
    queue: AbstractTaskQueue,
    clock: ManualClock,
    plant: Plant,
    make_pool: MakePool,
    caplog: pytest.LogCaptureFixture,
    then: str | None,
) -> None:
    broker, endless = plant(queue), Endless()
    broker.expose(endless.endless)
    broker.expose(add)
    make_pool(broker).start()
    deferred = Task(broker.queue().endless, id="a", time_limit=3, attempts=2)(then)
    assert endless.begun.wait(PATIENCE_S)
    clock.advance(2_999)
    assert not endless.cancelled.is_set()
    clock.advance(1)
    while not endless.cancelled.wait(0.01):
        clock.advance(0)
    if then is None:
        with pytest.raises(TaskFailure) as caught:
            value_of(deferred)
        assert caught.value.error == "time limit of 3 s passed"
    else:
        assert value_of(deferred) == then
    assert value_of(call(broker.queue().add, "b", 1, 2, time_limit=3)) == 3
    assert caplog.text.count("its time limit of 3 s has passed, so it is cancelled: endless") == 1


@pytest.mark.spec("ENV-AIO-3")
def test_a_limit_that_passed_before_the_coroutine_began_ends_it_then() -> None:
    from worq import coroutines  # noqa: PLC0415 - what this alone looks into

    with coroutines.limited() as end:
        assert not end("late")
        with pytest.raises(coroutines.LimitPassed, match="late"):
            coroutines.run(add(1, 2))
    assert coroutines.run(add(1, 2)) == 3


@pytest.mark.spec("ENV-AIO-3")
def test_a_limit_that_passes_while_the_rest_is_cancelled_comes_too_late() -> None:
    from worq import coroutines  # noqa: PLC0415 - what this alone looks into

    is_ended: list[bool] = []

    async def rest() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            is_ended.append(end("late"))
            await asyncio.sleep(0)

    async def leave_it(left: list[object]) -> str:
        left.append(asyncio.create_task(rest()))
        await asyncio.sleep(0)
        return "done"

    with coroutines.limited() as end:
        assert coroutines.run(leave_it([])) == "done"
    assert is_ended == [False]


@pytest.mark.spec("ENV-AIO-3")
def test_a_limit_that_passes_when_the_loop_has_just_been_closed_is_no_error() -> None:
    from worq import coroutines  # noqa: PLC0415 - what this alone looks into

    async def main() -> None:
        limit.task = asyncio.current_task()

    limit = coroutines.Limit()
    asyncio.run(main())
    assert not limit.end("late")


class Wrapped(Coroutine[Any, Any, T]):
    """A coroutine that Python has not made, like those of Cython."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def send(self, value: Any, /) -> Any:
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()


@pytest.mark.spec("ENV-AIO-1")
def test_a_coroutine_of_another_kind_is_run_too() -> None:
    def wrapped() -> Coroutine[Any, Any, int]:
        return Wrapped(add(1, 2))

    with get_broker("memory://coroutines") as broker:
        broker.expose(wrapped)
        deferred = broker.queue().wrapped()
        work(broker)
        assert deferred.wait(0)
        assert deferred.value == 3


@pytest.mark.spec("ENV-AIO-1", "ENV-AIO-2")
def test_worker_processes_run_coroutines_too() -> None:
    with get_broker("memory://", "coroutines") as broker:
        pool = process.WorkerPool(broker, tasks.init, init_args=("coroutines",), workers=1)
        with pool:
            loops = [value_of(broker.queue().loop(number)) for number in (1, 2)]
            assert [number for number, _ in loops] == [1, 2]
            assert loops[0][1] == loops[1][1]
            with pytest.raises(TaskFailure, match=r"time limit of 0\.1 s passed"):
                value_of(Task(broker.queue().loop, time_limit=0.1)(None))


@pytest.mark.spec("ENV-AIO-1")
def test_a_queue_on_a_manual_clock_runs_coroutines(queue: AbstractTaskQueue) -> None:
    broker = broker_of(queue)
    broker.expose(add)
    deferred = call(broker.queue().add, "a", 1, 2)
    assert work(broker) == 1
    assert deferred.value == 3
