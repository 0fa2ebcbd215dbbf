"""What a worker thread has in hand: claims in advance, and outcomes that wait for company. SPEC.md, section 9."""

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.backends.brokers import call
from tests.backends.calls import PATIENCE_S
from tests.pool.conftest import Plant, own
from tests.pool.gates import ThreadGate, value_of
from tests.pool.test_next_claim import Finishes, MakePool, deferreds_of
from tests.pool.test_thread import LOST
from worq import Deferred, Task, wait
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.pool import hand
from worq.pool.hand import Hand

if TYPE_CHECKING:
    from worq.pool.thread import WorkerPool

HEARTRATE_S = 0.03


class Held:
    """A pool whose worker has run `a` to `d`, runs the gate `g`, and has `e` and `f` in hand.

    The outcome of `d` is not stored: time stands still, or the keeper would do it.
    """

    def __init__(self, queue: AbstractTaskQueue, plant: Plant, make_pool: MakePool) -> None:
        self.troubles: dict[str, list[Exception]] = {}
        self.calls: list[tuple[str, str]] = []
        names = ("_finish_many", "_release", "_heartbeat")
        self.broker = plant(queue, **{name: self._watched(queue, name) for name in names})
        self.gate = ThreadGate(self.broker)
        self.done = deferreds_of(self.broker, "abcd", attempts=2)
        give, gate = self.broker.queue().give, self.broker.queue().gate
        self.running = call(gate, "g", attempts=2)
        self.waiting = [call(give, each, each, attempts=2, heartrate=HEARTRATE_S) for each in "ef"]
        self.pool: WorkerPool = make_pool(self.broker)
        self.pool.start()
        self.gate.wait()

    def _watched(self, queue: AbstractTaskQueue, name: str) -> Callable[..., Any]:
        own_method = own(queue, name)

        def method(this: Any, *args: Any, **how: Any) -> Any:
            self.calls.append((name, args[0] if isinstance(args[0], str) else str(len(args[0]))))
            if self.troubles.get(name):
                raise self.troubles[name].pop()
            return own_method(this, *args, **how)

        return method

    def states(self, deferreds: list[Deferred]) -> list[str | None]:
        return [self.broker.status(deferred) for deferred in deferreds]

    def until(self, holds: Callable[[], bool]) -> None:
        """Ask something of the queue, which lets other threads go on, until that holds."""
        for _ in range(100_000):
            if holds():
                return
            self.broker.status(self.running)
        pytest.fail("it does not come")


@pytest.fixture
def doubling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims are 1, 2, 8, … together, however slow the machine is."""
    monkeypatch.setattr(hand, "WORK_S", 1e9)


@pytest.fixture
def held(
    queue: AbstractTaskQueue,
    plant: Plant,
    make_pool: MakePool,
    doubling: None,
) -> Iterator[Held]:
    yield (made := Held(queue, plant, make_pool))
    made.gate.opened.set()


def has_two_starts(queue: AbstractTaskQueue, task_id: str) -> bool:
    """Is it the next to be claimed, with two starts left? They are spent."""
    for state in ("enqueued", None):
        claim = queue.claim(0)
        if claim is None or claim.id != task_id:
            return False
        queue.release(task_id, token=claim.token)
        if queue.status(task_id) != state:
            return False
        if state and queue.size() > 1:  # it has gone behind the others
            while (other := queue.claim(0)) is not None and other.id != task_id:
                pass
            if other is None:
                return False
            queue.release(task_id, token=other.token)
            return queue.status(task_id) is None
    return True


@pytest.mark.spec("ENV-POOL-29", "ENV-POOL-27")
def test_fast_tasks_that_may_start_again_share_their_operations(
    queue: AbstractTaskQueue, plant: Plant, make_pool: MakePool, doubling: None
) -> None:
    finishes = Finishes(queue)
    broker = plant(queue, _finish_many=finishes.method())
    deferreds = deferreds_of(broker, "abcdefg", attempts=2)
    make_pool(broker).start()
    assert wait(deferreds, PATIENCE_S).done == set(deferreds)
    assert [deferred.value for deferred in deferreds] == list("abcdefg")
    assert finishes.asked == [(1, 2), (2, 8), (4, 64)]


@pytest.mark.spec("ENV-POOL-29", "ENV-BULK-3")
def test_a_last_start_is_not_claimed_in_advance(
    queue: AbstractTaskQueue, plant: Plant, make_pool: MakePool, doubling: None
) -> None:
    broker = plant(queue)
    gate = ThreadGate(broker)
    first = deferreds_of(broker, "ab", attempts=2)
    running = call(broker.queue().gate, "g", attempts=2)
    last = deferreds_of(broker, "c")
    pool = make_pool(broker)
    pool.start()
    gate.wait()
    assert [broker.status(each) for each in last] == ["enqueued"]
    gate.opened.set()
    assert wait([*first, running, *last], PATIENCE_S).not_done == set()


@pytest.mark.spec("ENV-POOL-29")
def test_what_is_in_hand_is_run_in_its_turn(held: Held) -> None:
    assert held.states(held.done) == ["completed"] * 3 + ["processing"]
    assert held.states(held.waiting) == ["processing"] * 2
    held.gate.opened.set()
    everything = [*held.done, held.running, *held.waiting]
    assert wait(everything, PATIENCE_S).done == set(everything)
    assert ("_release", "f") not in held.calls


@pytest.mark.spec("ENV-POOL-29", "REL-3")
def test_what_waits_behind_a_long_task_is_stored_and_given_back(
    held: Held, clock: ManualClock, queue: AbstractTaskQueue
) -> None:
    clock.advance(49)
    assert held.states(held.waiting) == ["processing"] * 2
    clock.advance(1)
    assert value_of(held.done[3]) == "d"
    held.until(lambda: held.states(held.waiting) == ["enqueued"] * 2)
    assert held.states([held.running]) == ["processing"]
    assert [each for each in held.calls if each[0] == "_release"] == [
        ("_release", "f"),
        ("_release", "e"),
    ]
    assert has_two_starts(queue, "e")


@pytest.mark.spec("ENV-POOL-29", "ENV-POOL-5")
def test_an_outcome_that_cannot_be_stored_out_of_a_hand_is_stored_later(
    held: Held, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    held.troubles["_finish_many"] = [LOST]
    clock.advance(50)
    held.until(lambda: "nothing can be stored or given back" in caplog.text)
    assert held.states(held.done[3:]) == ["processing"]
    clock.advance(1_000)
    assert value_of(held.done[3]) == "d"


@pytest.mark.spec("ENV-POOL-29", "ENV-POOL-5")
def test_a_claim_that_may_have_been_given_back_is_not_begun(
    held: Held, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    held.troubles["_release"] = [LOST]
    clock.advance(50)
    held.until(lambda: "nothing can be stored or given back" in caplog.text)
    held.gate.opened.set()
    assert value_of(held.waiting[0]) == "e"
    assert held.states(held.waiting[1:]) == ["processing"]
    clock.advance(950)
    while held.calls.count(("_release", "f")) < 2:  # put off while the worker stores something
        count = len(held.calls)
        clock.advance(50)
        held.until(lambda count=count: len(held.calls) > count)  # type: ignore[misc]
    assert value_of(held.waiting[1]) == "f"
    assert held.calls.count(("_release", "f")) == 2


@pytest.mark.spec("ENV-POOL-29", "ENV-POOL-3", "ENV-POOL-6")
def test_what_is_in_hand_when_a_pool_stops_is_given_back(
    held: Held, queue: AbstractTaskQueue
) -> None:
    held.pool.stop(join=False)
    held.gate.opened.set()
    held.pool.join()
    assert wait([*held.done, held.running], 0).not_done == set()
    assert held.states(held.waiting) == ["enqueued"] * 2
    assert has_two_starts(queue, "e")


@pytest.mark.spec("ENV-POOL-29", "ENV-POOL-3")
def test_what_is_in_hand_when_a_pool_stops_in_an_outage_is_not_begun(
    held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    held.troubles["_release"] = [LOST]
    held.pool.stop(join=False)
    held.gate.opened.set()
    held.pool.join()
    assert "claims can't be given back now" in caplog.text
    assert held.states(held.waiting) == ["enqueued"] * 2
    assert [each for each in held.calls if each[0] == "_release"] == [
        ("_release", "f"),
        ("_release", "f"),
        ("_release", "e"),
    ]


@pytest.mark.spec("ENV-POOL-29", "ENV-POOL-23")
def test_what_is_in_hand_when_a_pool_is_aborted_is_stored_and_given_back(
    held: Held, queue: AbstractTaskQueue, caplog: pytest.LogCaptureFixture
) -> None:
    held.pool.abort()
    held.pool.join()
    assert wait(held.done, 0).not_done == set()
    assert held.states([held.running, *held.waiting]) == ["enqueued"] * 3
    assert "still running at the drain deadline, released: gate [g]" in caplog.text
    assert "give [" not in caplog.text
    assert has_two_starts(queue, "e")


@pytest.mark.spec("ENV-POOL-29", "ENV-POOL-1")
def test_what_is_in_hand_gets_heartbeats(held: Held, clock: ManualClock) -> None:
    clock.advance(30)
    held.until(lambda: {("_heartbeat", "e"), ("_heartbeat", "f")} <= set(held.calls))
    assert held.states(held.waiting) == ["processing"] * 2


@pytest.mark.spec("ENV-POOL-29", "ENV-POOL-28")
def test_what_was_in_hand_for_too_long_is_begun_if_a_heartbeat_says_that_it_stands(
    held: Held, clock: ManualClock
) -> None:
    held.troubles["_heartbeat"] = [LOST] * 3  # so the keeper gives nothing back for now
    clock.advance(4_999)
    held.until(lambda: ("_heartbeat", "e") in held.calls or ("_heartbeat", "f") in held.calls)
    clock.advance(1)
    held.gate.opened.set()
    assert {value_of(each) for each in held.waiting} == {"e", "f"}


class Reading:
    """An argument that takes as long to read as the test wants."""

    reads = threading.Event()
    may_go_on = threading.Event()

    @classmethod
    def read(cls) -> str:
        cls.reads.set()
        assert cls.may_go_on.wait(PATIENCE_S)
        return "read"

    def __reduce__(self) -> tuple[Callable[[], str], tuple[()]]:
        return Reading.read, ()


@pytest.fixture
def reading() -> Iterator[type[Reading]]:
    Reading.reads.clear()
    Reading.may_go_on.clear()
    yield Reading
    Reading.may_go_on.set()


@pytest.mark.spec("ENV-POOL-28", "ENV-POOL-23", "REL-3")
def test_a_task_that_is_still_read_at_the_drain_deadline_is_given_back_and_not_begun(
    queue: AbstractTaskQueue,
    plant: Plant,
    make_pool: MakePool,
    doubling: None,
    reading: type[Reading],
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = plant(queue)
    begun: list[str] = []

    @broker.expose
    def note(value: str) -> None:
        begun.append(value)

    done = deferreds_of(broker, "ab", attempts=2)
    call(getattr(broker.queue(), note.__name__), "s", reading(), attempts=2)
    pool = make_pool(broker)
    pool.start()
    assert reading.reads.wait(PATIENCE_S)
    pool.abort()
    pool.join()
    assert wait(done, 0).not_done == set()
    assert "not begun by the drain deadline, released: note [s]" in caplog.text
    assert has_two_starts(queue, "s")
    reading.may_go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith(pool.name):
            thread.join()
    assert begun == []


@pytest.mark.spec("ENV-POOL-29")
def test_an_outcome_that_the_backend_trips_over_takes_no_other_with_it(
    queue: AbstractTaskQueue,
    plant: Plant,
    make_pool: MakePool,
    doubling: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    own_finish = own(queue, "_finish_many")

    def finish_many(this: Any, endings: Any, claims: int) -> Any:
        if any(each.task_id == "b" for each in endings):
            raise RuntimeError("planted")
        return own_finish(this, endings, claims)

    broker = plant(queue, _finish_many=finish_many)
    deferreds = deferreds_of(broker, "abcdefg", attempts=2)
    make_pool(broker).start()
    others = [each for each in deferreds if each.id != "b"]
    assert wait(others, PATIENCE_S).not_done == set()
    assert broker.status(deferreds[1]) == "processing"
    assert "given up: give [b]" in caplog.text
    assert "given up: give [c]" not in caplog.text


@pytest.mark.spec("REL-3", "RUN-7")
def test_a_task_that_was_given_back_and_whose_result_nobody_wants_is_ended(
    queue: AbstractTaskQueue, plant: Plant, make_pool: MakePool
) -> None:
    """By its token it might be at its last start, and gone: that knows its queue alone."""
    broker = plant(queue)
    Task(broker.queue().give, id="a", attempts=2, ignore_result=True)("a")
    claim = queue.claim(0)
    assert claim is not None
    queue.release("a", token=claim.token, begun=False)
    done = call(broker.queue().give, "b", "b")
    pool = make_pool(broker)
    pool.start()
    assert value_of(done) == "b"
    pool.stop()
    assert queue.status("a") is None


# A hand alone.


@pytest.mark.spec("ENV-POOL-29")
def test_no_more_is_taken_in_hand_than_is_run_soon(clock: ManualClock) -> None:
    some = Hand(clock)
    wanted = [some.wanted]
    for task_s in (0.0, 0.0, 0.002, 0.002, 0.0, 0.012, 0.002, 0.002, 1.0, 0.002):
        some.took(task_s)
        wanted.append(some.wanted)
    assert wanted == [1, 2, 4, 8, 10, 13, 1, 2, 2, 1, 1]
    for _ in range(50):
        some.took(1e-6)
    assert some.wanted == 64
