"""What a worker thread claims with an outcome that it stores, and claims that come late: SPEC.md, section 9."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.backends.brokers import call
from tests.backends.calls import PATIENCE_S
from tests.backends.conftest import Start
from tests.pool.conftest import Plant, own
from tests.pool.gates import ThreadGate, value_of
from tests.pool.test_thread import LOST
from worq import Broker, Deferred, Task, TaskExpired, wait
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.pool import keeper
from worq.pool.thread import WorkerPool

MakePool = Callable[..., WorkerPool]

# The shortest heartrate that is whole seconds, and how long its lease is.
HEARTRATE_S = 1
LEASE_MS = 7_000


class Finishes:
    """The `finish_many` of a pool: how many outcomes, how many claims were asked for; which came.

    `claims_came` is called when its answer, with claims, is on its way.
    """

    def __init__(self, queue: AbstractTaskQueue) -> None:
        self.asked: list[tuple[int, int]] = []
        self.claimed: list[str] = []
        self.claims_came: Callable[[], object] = lambda: None
        self._own = own(queue, "_finish_many")

    def method(self) -> Callable[..., Any]:
        def finish_many(this: Any, endings: Any, claims: int) -> Any:
            self.asked.append((len(endings), claims))
            finished, claimed = self._own(this, endings, claims)
            self.claimed += [claim.id for claim in claimed]
            if claimed:
                self.claims_came()
            return finished, claimed

        return finish_many


@pytest.fixture
def finishes(queue: AbstractTaskQueue) -> Finishes:
    return Finishes(queue)


def deferreds_of(broker: Broker, ids: str, **options: Any) -> list[Deferred]:
    return [call(broker.queue().give, task_id, task_id, **options) for task_id in ids]


@pytest.mark.spec("ENV-POOL-27")
def test_an_outcome_is_stored_together_with_the_next_claim(
    queue: AbstractTaskQueue, plant: Plant, make_pool: MakePool, finishes: Finishes
) -> None:
    broker = plant(queue, _finish_many=finishes.method())
    deferreds = deferreds_of(broker, "abcdefgh")
    Task(broker.queue().give, id="i", ignore_result=True)()
    pool = make_pool(broker)
    pool.start()
    assert wait(deferreds).done == set(deferreds)
    pool.stop()
    assert [outcomes for outcomes, claims in finishes.asked if claims] == [1] * 8
    assert finishes.claimed == list("bcdefghi")


@pytest.mark.spec("ENV-POOL-27", "ENV-POOL-3", "ENV-POOL-6")
def test_no_task_is_claimed_with_an_outcome_when_a_pool_stops(
    queue: AbstractTaskQueue, plant: Plant, make_pool: MakePool, finishes: Finishes
) -> None:
    broker = plant(queue, _finish_many=finishes.method())
    gate = ThreadGate(broker)
    running = call(broker.queue().gate, "a", 1)
    later = call(broker.queue().give, "b")
    pool = make_pool(broker)
    pool.start()
    gate.wait()
    pool.stop(join=False)
    gate.opened.set()
    pool.join()
    assert value_of(running) == 1
    assert later.status == "enqueued"
    assert finishes.asked == [(1, 0)]


# A claim that comes when the drain deadline has passed.


class Late:
    """A pool that is aborted while the claim of `b`, made with the outcome of `a`, is on its way."""

    def __init__(self, broker: Broker, finishes: Finishes, pool: WorkerPool, attempts: int) -> None:
        self.ran: list[str] = []
        broker.expose(self.run)
        self._arriving, self._answer = threading.Event(), threading.Event()
        finishes.claims_came = self._arrive
        self.tasks = [
            call(broker.queue().run, task_id, task_id, attempts=attempts) for task_id in "ab"
        ]
        pool.start()
        self.workers = [
            each for each in threading.enumerate() if each.name.startswith(f"{pool.name} worker")
        ]
        assert self._arriving.wait(PATIENCE_S)
        pool.abort()

    def run(self, task_id: str) -> None:
        self.ran.append(task_id)

    def _arrive(self) -> None:
        self._arriving.set()
        assert self._answer.wait(PATIENCE_S)

    def arrive(self) -> None:
        self._answer.set()


@pytest.fixture
def make_late(
    queue: AbstractTaskQueue, plant: Plant, make_pool: MakePool, finishes: Finishes
) -> Iterator[Callable[..., tuple[Late, WorkerPool]]]:
    made: list[Late] = []

    def make(attempts: int = 2, **methods: Any) -> tuple[Late, WorkerPool]:
        broker = plant(queue, _finish_many=finishes.method(), **methods)
        pool = make_pool(broker)
        made.append(Late(broker, finishes, pool, attempts))
        return made[-1], pool

    yield make
    for late in made:
        late.arrive()
        for worker in late.workers:
            worker.join()


MakeLate = Callable[..., tuple[Late, WorkerPool]]


@pytest.mark.spec("ENV-POOL-28", "ENV-POOL-23")
def test_a_claim_that_comes_after_the_drain_deadline_is_given_back(
    make_late: MakeLate,
    start: Start,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper, "RELEASES_S", PATIENCE_S)
    late, pool = make_late()
    joining = start(pool.join)
    assert joining.sleeps()  # it is not over before the claim has come
    late.arrive()
    joining.answer()
    assert late.ran == ["a"]
    assert [each.status for each in late.tasks] == ["success", "enqueued"]
    assert "not begun by the drain deadline: run [b]" in caplog.text
    assert "not released" not in caplog.text


@pytest.mark.spec("ENV-POOL-28")
def test_a_last_start_that_comes_after_the_drain_deadline_expires(
    make_late: MakeLate, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "RELEASES_S", PATIENCE_S)
    late, pool = make_late(attempts=1)
    late.arrive()
    pool.join()
    with pytest.raises(TaskExpired):
        _ = late.tasks[1].value
    assert late.ran == ["a"]
    assert "not begun by the drain deadline: run [b]" in caplog.text


@pytest.mark.spec("ENV-POOL-28", "ENV-POOL-3")
def test_a_pool_does_not_wait_long_for_a_claim_that_does_not_come(
    make_late: MakeLate, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "RELEASES_S", 0.01)
    late, pool = make_late()
    pool.join()
    late.arrive()
    for worker in late.workers:
        worker.join()
    assert late.ran == ["a"]
    assert "not begun by the drain deadline: run [b]" in caplog.text
    assert "not released, left to its lease: run [b]: QueueClosed" in caplog.text


# A claim whose answer took long.


class Heartbeats:
    """Those of a pool, and what goes wrong with them."""

    def __init__(self, queue: AbstractTaskQueue) -> None:
        self.sent: list[str] = []
        self.troubles: list[Exception] = []
        self._own = own(queue, "_heartbeat")

    def method(self) -> Callable[..., Any]:
        def heartbeat(this: Any, task_id: str, *args: Any) -> Any:
            self.sent.append(task_id)
            if self.troubles:
                raise self.troubles.pop()
            return self._own(this, task_id, *args)

        return heartbeat


@pytest.fixture
def heartbeats(queue: AbstractTaskQueue) -> Heartbeats:
    return Heartbeats(queue)


@pytest.fixture
def slow(
    queue: AbstractTaskQueue,
    plant: Plant,
    finishes: Finishes,
    heartbeats: Heartbeats,
    clock: ManualClock,
) -> Callable[[int], Broker]:
    """A broker whose answers to a finish that claims take so many ms, the first time."""

    def make(answer_ms: int) -> Broker:
        def take_long() -> None:
            finishes.claims_came = lambda: None
            clock.advance(answer_ms)

        finishes.claims_came = take_long
        return plant(queue, _finish_many=finishes.method(), _heartbeat=heartbeats.method())

    return make


MakeSlow = Callable[[int], Broker]


@pytest.mark.spec("ENV-POOL-28")
@pytest.mark.parametrize(("answer_ms", "asked"), [(4_999, []), (5_000, ["b"])])
def test_a_claim_that_may_have_passed_is_begun_if_a_heartbeat_says_that_it_stands(
    slow: MakeSlow,
    make_pool: MakePool,
    heartbeats: Heartbeats,
    answer_ms: int,
    asked: list[str],
) -> None:
    broker = slow(answer_ms)
    deferreds = deferreds_of(broker, "ab")
    make_pool(broker).start()
    assert [value_of(each) for each in deferreds] == ["a", "b"]
    assert heartbeats.sent == asked


@pytest.mark.spec("ENV-POOL-28")
def test_a_claim_that_has_passed_is_not_begun(
    slow: MakeSlow,
    make_pool: MakePool,
    heartbeats: Heartbeats,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = slow(LEASE_MS)
    deferreds = deferreds_of(broker, "abc", heartrate=HEARTRATE_S)
    make_pool(broker).start()
    assert [value_of(each) for each in (deferreds[0], deferreds[2])] == ["a", "c"]
    with pytest.raises(TaskExpired):
        _ = deferreds[1].value
    assert heartbeats.sent == ["b"]
    assert "the claim was lost before its task was begun: give [b]" in caplog.text


@pytest.mark.spec("ENV-POOL-28", "ENV-POOL-5")
def test_whether_a_claim_stands_is_asked_again_when_no_server_could_be_reached(
    slow: MakeSlow, make_pool: MakePool, heartbeats: Heartbeats
) -> None:
    broker = slow(5_000)
    heartbeats.troubles.append(LOST)
    deferreds = deferreds_of(broker, "ab")
    make_pool(broker).start()
    assert [value_of(each) for each in deferreds] == ["a", "b"]
    assert heartbeats.sent == ["b", "b"]


@pytest.mark.spec("ENV-POOL-28")
def test_a_claim_is_dropped_when_nobody_can_say_whether_it_stands(
    slow: MakeSlow, make_pool: MakePool, heartbeats: Heartbeats, caplog: pytest.LogCaptureFixture
) -> None:
    broker = slow(5_000)
    heartbeats.troubles.append(RuntimeError("planted"))
    deferreds = deferreds_of(broker, "abc")
    make_pool(broker).start()
    assert [value_of(each) for each in (deferreds[0], deferreds[2])] == ["a", "c"]
    assert deferreds[1].status == "processing"
    assert "given up: give [b]" in caplog.text


@pytest.mark.spec("ENV-POOL-28")
def test_a_start_that_has_no_lease_is_begun_however_late(
    slow: MakeSlow, make_pool: MakePool, heartbeats: Heartbeats
) -> None:
    broker = slow(1_000_000)
    begun = ThreadGate(broker)
    begun.opened.set()
    call(broker.queue().give, "a")
    Task(broker.queue().gate, id="b", ignore_result=True)()
    make_pool(broker).start()
    begun.wait()
    assert not heartbeats.sent


@pytest.mark.spec("ENV-POOL-28")
def test_a_claim_that_was_waited_for_has_to_stand_too(
    queue: AbstractTaskQueue,
    plant: Plant,
    make_pool: MakePool,
    heartbeats: Heartbeats,
    clock: ManualClock,
) -> None:
    late = [LEASE_MS]
    own_claim = own(queue, "_claim")

    def claim(this: Any, timeout_ms: int | None) -> Any:
        found = own_claim(this, timeout_ms)
        if found is not None and late:
            clock.advance(late.pop())
        return found

    broker = plant(queue, _claim=claim, _heartbeat=heartbeats.method())
    first, second = deferreds_of(broker, "ab", heartrate=HEARTRATE_S)
    make_pool(broker).start()
    assert value_of(second) == "b"
    with pytest.raises(TaskExpired):
        _ = first.value
    assert heartbeats.sent == ["a"]
