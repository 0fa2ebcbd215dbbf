"""What a worker thread claims with an outcome that it stores, and in advance: SPEC.md, section 9."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.backends.brokers import call
from tests.pool.conftest import Plant, own
from tests.pool.gates import ThreadGate, value_of
from tests.pool.test_thread import LOST
from worq import Broker, Deferred, Task, wait
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.core import Ended
from worq.pool import hand
from worq.pool.hand import Hand
from worq.pool.thread import WorkerPool
from worq.task import FunctionTask
from worq.values import Claim, Token

MakePool = Callable[..., WorkerPool]


class Finishes:
    """The `finish_many` of a pool: how many outcomes, how many claims were asked for; which came."""

    def __init__(self, queue: AbstractTaskQueue) -> None:
        self.asked: list[tuple[int, int]] = []
        self.claimed: list[str] = []
        self._own = own(queue, "_finish_many")

    def method(self) -> Callable[..., Any]:
        def finish_many(this: Any, endings: Any, claims: int) -> Any:
            self.asked.append((len(endings), claims))
            finished, claimed = self._own(this, endings, claims)
            self.claimed += [claim.id for claim in claimed]
            return finished, claimed

        return finish_many


def deferreds_of(broker: Broker, ids: str, **options: Any) -> list[Deferred]:
    return [call(broker.queue().give, task_id, task_id, **options) for task_id in ids]


@pytest.fixture
def _doubling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims are 1, 2, 4, … together, however slow the machine is."""
    monkeypatch.setattr(hand, "WORK_S", 1e9)


@pytest.mark.spec("ENV-POOL-27")
def test_an_outcome_is_stored_together_with_the_next_claim(
    queue: AbstractTaskQueue, plant: Plant, make_pool: MakePool
) -> None:
    finishes = Finishes(queue)
    broker = plant(queue, _finish_many=finishes.method())
    deferreds = deferreds_of(broker, "abcdefgh")
    Task(broker.queue().give, id="i", ignore_result=True)()
    pool = make_pool(broker)
    pool.start()
    assert wait(deferreds).done == set(deferreds)
    pool.stop()
    assert [outcomes for outcomes, claims in finishes.asked if claims] == [1] * 8
    assert finishes.claimed == list("bcdefghi")


@pytest.mark.spec("ENV-POOL-28", "ENV-BULK-3")
@pytest.mark.usefixtures("_doubling")
def test_fast_tasks_that_may_start_again_share_their_operations(
    queue: AbstractTaskQueue, plant: Plant, make_pool: MakePool
) -> None:
    finishes = Finishes(queue)
    broker = plant(queue, _finish_many=finishes.method())
    deferreds = deferreds_of(broker, "abcdefg", attempts=2)
    make_pool(broker).start()
    assert wait(deferreds).done == set(deferreds)
    assert [deferred.value for deferred in deferreds] == list("abcdefg")
    assert finishes.asked == [(1, 2), (2, 8), (4, 64)]


@pytest.fixture
def held(
    queue: AbstractTaskQueue, plant: Plant, make_pool: MakePool, _doubling: None
) -> "Iterator[Held]":
    yield (made := Held(queue, plant, make_pool))
    made.gate.opened.set()


class Held:
    """A pool whose worker has run `a` to `d`, runs a gate, and has `e` and `f` in hand.

    The outcome of `d` is not stored: time stands still, or the keeper would do it.
    """

    def __init__(self, queue: AbstractTaskQueue, plant: Plant, make_pool: MakePool) -> None:
        self.troubles: list[BaseException] = []
        own_finish = own(queue, "_finish_many")

        def finish_many(this: Any, *args: Any) -> Any:
            if self.troubles:
                raise self.troubles.pop()
            return own_finish(this, *args)

        self.broker = plant(queue, _finish_many=finish_many)
        self.gate = ThreadGate(self.broker)
        self.done = deferreds_of(self.broker, "abcd", attempts=2)
        self.running = call(self.broker.queue().gate, "g", attempts=2)
        self.waiting = deferreds_of(self.broker, "ef", attempts=2)
        self.pool = make_pool(self.broker)
        self.pool.start()
        self.gate.wait()

    def states(self, deferreds: list[Deferred]) -> list[str | None]:
        return [self.broker.status(deferred) for deferred in deferreds]


@pytest.mark.spec("ENV-POOL-28")
def test_what_waits_in_hand_is_run_in_its_turn(held: Held) -> None:
    assert held.states(held.done) == ["completed"] * 3 + ["processing"]
    assert held.states(held.waiting) == ["processing"] * 2
    held.gate.opened.set()
    everything = [*held.done, held.running, *held.waiting]
    assert wait(everything).done == set(everything)
    assert [deferred.value for deferred in held.waiting] == ["e", "f"]


@pytest.mark.spec("ENV-POOL-28")
def test_what_waits_behind_a_long_task_is_stored_and_given_back(
    held: Held, clock: ManualClock, make_pool: MakePool
) -> None:
    clock.advance(49)
    assert held.states(held.waiting) == ["processing"] * 2
    clock.advance(1)
    assert value_of(held.done[3]) == "d"
    make_pool(held.broker).start()
    assert [value_of(deferred) for deferred in held.waiting] == ["e", "f"]
    assert held.states([held.running]) == ["processing"]


@pytest.mark.spec("ENV-POOL-28", "ENV-POOL-5")
def test_what_cannot_be_stored_out_of_a_hand_is_stored_later(
    held: Held, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    held.troubles.append(LOST)
    clock.advance(50)
    while "nothing can be stored, trying again in a second" not in caplog.text:
        held.broker.status(held.running)
    assert held.states(held.done[3:]) == ["processing"]
    clock.advance(1_000)
    assert value_of(held.done[3]) == "d"


@pytest.mark.spec("ENV-POOL-28", "ENV-POOL-3", "ENV-POOL-6")
def test_what_is_in_hand_when_a_pool_stops_is_run(held: Held) -> None:
    later = deferreds_of(held.broker, "hi", attempts=2)
    held.pool.stop(join=False)
    held.gate.opened.set()
    held.pool.join()
    everything = [*held.done, held.running, *held.waiting]
    assert wait(everything, 0).done == set(everything)
    assert held.states(later) == ["enqueued"] * 2


@pytest.mark.spec("ENV-POOL-28", "ENV-POOL-23")
def test_what_is_in_hand_when_a_pool_is_aborted_is_stored_or_given_back(held: Held) -> None:
    held.pool.abort()
    held.pool.join()
    assert wait(held.done, 0).done == set(held.done)
    assert held.states([held.running, *held.waiting]) == ["enqueued"] * 3
    held.gate.opened.set()


# A hand alone.


def claims_of(ids: str) -> list[Claim]:
    return [Claim(task_id, Token.new(), b"", {}) for task_id in ids]


def ended(task_id: str) -> Ended:
    return Ended(FunctionTask("f", task_id, Token.new(), (), {}), b"", failed=False)


def ids_in(some: Hand) -> list[str]:
    return [each.task.id for each in some.outcomes()]


@pytest.mark.spec("ENV-POOL-28")
def test_no_more_is_taken_in_hand_than_is_run_soon(clock: ManualClock) -> None:
    some = Hand(clock)
    wanted = [some.wanted]
    for task_s in (0.0, 0.0, 0.001, 0.001, 0.0, 0.006, 0.001, 0.001, 0.5, 0.001):
        some.took(task_s)
        wanted.append(some.wanted)
    assert wanted == [1, 2, 4, 8, 10, 13, 1, 2, 2, 1, 1]
    for _ in range(50):
        some.took(1e-6)
    assert some.wanted == 64


@pytest.mark.spec("ENV-POOL-28")
def test_a_claim_that_lay_in_hand_for_too_long_is_not_begun(clock: ManualClock) -> None:
    some = Hand(clock)
    first, second, _ = claims_of("abc")
    assert some.begin([first, second, _]) == first
    clock.advance(4_999)
    assert some.next() == second
    clock.advance(1)
    assert some.next() is None
    assert some.empty() == ([], [])


@pytest.mark.spec("ENV-POOL-28")
def test_a_hand_is_due_while_there_is_something_in_it(clock: ManualClock) -> None:
    some = Hand(clock)
    first, second = claims_of("ab")
    dues_ms: list[int | None] = []

    def look() -> None:
        dues_ms.append(some.due_ms and some.due_ms - clock.now_ms())

    some.begin([first])
    look()
    some.put(ended("a"))
    look()
    assert ids_in(some) == ["a"]
    some.begin([first, second])
    some.put_off(1_000)
    look()
    assert some.empty() == ([], [second])
    look()
    assert dues_ms == [None, 50, 1_000, None]
