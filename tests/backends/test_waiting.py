"""Waiting: what ends it, and what does not. A call *sleeps* when its thread does nothing any more."""

import math
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial

import pytest

from tests.backends.calls import Call, WatchedClock
from tests.backends.conftest import MakeQueue, Start
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.const import RESERVED, TASK_EXPIRED, Sentinel
from worq.errors import QueueClosed
from worq.values import Claim, Outcome, Request, Token

LEASE_MS = 2 * 30_000 + 5_000  # at the default heartrate
AGES_MS = 10**12
LONG_S = 1000.0
RESULT = Outcome("result", b"r")

Act = Callable[[AbstractTaskQueue], object]
forever = pytest.mark.parametrize("timeout", [None, math.inf])
fractions = pytest.mark.parametrize(
    ("timeout", "passes_ms"), [(0.0001, 1), (0.0014, 1), (0.0026, 3), (1.25, 1250), (2, 2000)]
)


def submit(queue: AbstractTaskQueue, task_id: str, *args: str, attempts: int = 1) -> None:
    request = Request(task_id, attempts=attempts)
    assert queue.submit(request, b"", dict.fromkeys(args)).status == "accepted"


def claimed(queue: AbstractTaskQueue, task_id: str, *, attempts: int = 1) -> Token:
    """Submit and claim a task of a queue in which nothing is ready; the token of the claim."""
    submit(queue, task_id, attempts=attempts)
    claim = queue.claim(0)
    assert claim is not None
    return claim.token


class TestTimeouts:
    @pytest.mark.spec("ENV-WAIT-1", "CLM-2", "POP-4")
    def test_a_timeout_of_0_looks_once(self, queue: AbstractTaskQueue) -> None:
        claimed(queue, "a")
        assert queue.claim(0) is None
        assert queue.pop("a", 0) is None

    @pytest.mark.spec("ENV-WAIT-1", "ENV-WAIT-2")
    @forever
    def test_a_claim_waits_for_ever(
        self, queue: AbstractTaskQueue, clock: ManualClock, start: Start, timeout: float | None
    ) -> None:
        call = start(partial(queue.claim, timeout))
        assert call.sleeps()
        clock.advance(AGES_MS)
        assert call.sleeps()
        submit(queue, "a")
        claim = call.answer()
        assert claim is not None
        assert claim.id == "a"

    @pytest.mark.spec("ENV-WAIT-1", "ENV-WAIT-2")
    @forever
    def test_a_pop_waits_for_ever(
        self, queue: AbstractTaskQueue, clock: ManualClock, start: Start, timeout: float | None
    ) -> None:
        submit(queue, "a")
        call = start(partial(queue.pop, "a", timeout))
        assert call.sleeps()
        clock.advance(AGES_MS)
        assert call.sleeps()
        queue.claim(0)
        queue.finish("a", b"r", LONG_S)
        assert call.answer() == RESULT

    @pytest.mark.spec("ENV-WAIT-1", "ENV-WAIT-2", "ENV-WAIT-8", "CLM-2")
    @fractions
    def test_a_claim_ends_at_the_very_millisecond_of_its_timeout(
        self,
        queue: AbstractTaskQueue,
        clock: ManualClock,
        start: Start,
        timeout: float,
        passes_ms: int,
    ) -> None:
        call = start(partial(queue.claim, timeout))
        assert call.sleeps()
        clock.advance(passes_ms - 1)
        assert call.sleeps()
        clock.advance(1)
        assert call.answer() is None

    @pytest.mark.spec("ENV-WAIT-1", "ENV-WAIT-2", "ENV-WAIT-8", "POP-4")
    @fractions
    def test_a_pop_ends_at_the_very_millisecond_of_its_timeout(
        self,
        queue: AbstractTaskQueue,
        clock: ManualClock,
        start: Start,
        timeout: float,
        passes_ms: int,
    ) -> None:
        submit(queue, "a")
        call = start(partial(queue.pop, "a", timeout))
        assert call.sleeps()
        clock.advance(passes_ms - 1)
        assert call.sleeps()
        clock.advance(1)
        assert call.answer() is None

    @pytest.mark.spec("ENV-WAIT-2")
    @pytest.mark.parametrize("timeout", [0.001, 0.0307, 0.05])
    def test_on_its_own_clock_no_wait_ends_before_its_timeout(
        self, make_queue: MakeQueue, timeout: float
    ) -> None:
        queue = make_queue()
        claimed(queue, "a")
        for wait in (partial(queue.pop, "a", timeout), partial(queue.claim, timeout)):
            began = time.monotonic()
            assert wait() is None
            assert time.monotonic() - began >= timeout


class TestClaims:
    @pytest.mark.spec("ENV-WAIT-2")
    @pytest.mark.parametrize(
        "makes_ready",
        [
            lambda queue: submit(queue, "b"),
            lambda queue: queue.finish("a", b"", LONG_S),
            lambda queue: queue.set_argument("d", "a", b""),
            lambda queue: queue.release("r"),
            lambda queue: queue.release("r", begun=False),
        ],
        ids=["submit", "finish", "set_argument", "release", "give back"],
    )
    def test_whatever_makes_a_task_ready_ends_the_wait(
        self, queue: AbstractTaskQueue, start: Start, makes_ready: Act
    ) -> None:
        claimed(queue, "a")
        claimed(queue, "r", attempts=2)
        submit(queue, "d", "a")
        call = start(queue.claim)
        assert call.sleeps()
        makes_ready(queue)
        assert call.answer() is not None

    @pytest.mark.spec("ENV-WAIT-6")
    def test_one_ready_task_wakes_one_waiting_claim(
        self, make_queue: MakeQueue, start: Start
    ) -> None:
        clock = WatchedClock()
        queue = make_queue(clock=clock)
        calls = [start(queue.claim) for _ in range(4)]
        assert all(call.sleeps() for call in calls)
        looks = [clock.looks_of(call) for call in calls]
        submit(queue, "a")
        sleeping = [call for call in calls if call.sleeps()]
        woken = [clock.looks_of(call) > before for call, before in zip(calls, looks, strict=True)]
        assert len(sleeping) == 3
        assert woken.count(True) == 1
        for task_id in "bcd":
            submit(queue, task_id)
        answers = [call.answer() for call in calls]
        assert sorted(claim.id for claim in answers if claim) == ["a", "b", "c", "d"]

    @pytest.mark.spec("ENV-WAIT-6")
    def test_tasks_that_become_ready_together_wake_one_claim_each(
        self, queue: AbstractTaskQueue, clock: ManualClock, start: Start
    ) -> None:
        for task_id in "abc":
            claimed(queue, task_id, attempts=2)
        calls = [start(queue.claim) for _ in range(3)]
        assert all(call.sleeps() for call in calls)
        clock.advance(LEASE_MS)
        answers = [call.answer() for call in calls]
        assert sorted(claim.id for claim in answers if claim) == ["a", "b", "c"]

    @pytest.mark.spec("ENV-WAIT-6", "ENV-WAIT-7")
    @pytest.mark.parametrize("trial", range(10))
    def test_who_is_woken_and_leaves_does_not_swallow_the_task(
        self, make_queue: MakeQueue, clock: ManualClock, start: Start, trial: int
    ) -> None:
        del trial
        leaving = make_queue(clock=clock)
        queue = make_queue(leaving.name, clock=clock)
        leaver = start(leaving.claim)
        assert leaver.sleeps()
        stayer = start(queue.claim)
        assert stayer.sleeps()
        submit(queue, "a")
        leaving.close()
        # Whether the leaver got it is a matter of luck; then the other gets the next.
        if leaver.error() is None:
            submit(queue, "b")
        assert stayer.answer() is not None


ENDINGS: dict[str, tuple[Act, list[object]]] = {
    "delivered": (lambda q: q.finish("a", b"r", LONG_S), [RESULT, TASK_EXPIRED, TASK_EXPIRED]),
    "failed": (
        lambda q: q.finish("a", b"f", LONG_S, failed=True),
        [Outcome("failure", b"f"), TASK_EXPIRED, TASK_EXPIRED],
    ),
    "not kept": (lambda q: q.finish("a", b"r", 0), [TASK_EXPIRED] * 3),
    "reserved by submit": (lambda q: submit(q, "d", "a"), [RESERVED] * 3),
    "reserved": (lambda q: q.reserve_argument("a", "e"), [RESERVED] * 3),
    "released": (lambda q: q.release("a"), [TASK_EXPIRED] * 3),
    "discarded": (lambda q: q.discard("a"), [TASK_EXPIRED] * 3),
}


def ranked(answers: list[object]) -> list[object]:
    """The outcome first, then what the others were told."""
    return sorted(answers, key=lambda answer: isinstance(answer, Sentinel))


class TestAwaiting:
    @pytest.mark.spec("ENV-WAIT-10")
    def test_it_waits_for_a_task_and_leaves_it(
        self, queue: AbstractTaskQueue, start: Start
    ) -> None:
        assert not queue.await_ready(0)
        call = start(partial(queue.await_ready, None))
        assert call.sleeps()
        submit(queue, "a")
        assert call.answer()
        assert queue.await_ready(0)
        assert queue.claim(0) is not None
        assert not queue.await_ready(0)

    @pytest.mark.spec("ENV-WAIT-10", "ENV-WAIT-4")
    def test_it_ends_when_its_timeout_passes_and_sees_a_lease_that_does(
        self, queue: AbstractTaskQueue, clock: ManualClock, start: Start
    ) -> None:
        claimed(queue, "a", attempts=2)
        brief, long = (start(partial(queue.await_ready, seconds)) for seconds in (1, LONG_S))
        assert brief.sleeps()
        assert long.sleeps()
        clock.advance(1000)
        assert not brief.answer()
        assert long.sleeps()
        clock.advance(LEASE_MS)
        assert long.answer()

    @pytest.mark.spec("ENV-WAIT-10", "ENV-WAIT-6")
    def test_who_is_woken_and_takes_nothing_wakes_the_next(
        self, queue: AbstractTaskQueue, start: Start
    ) -> None:
        looks = [start(partial(queue.await_ready, None)) for _ in range(2)]
        assert all(call.sleeps() for call in looks)
        submit(queue, "a")
        assert [call.answer() for call in looks] == [True, True]
        assert queue.claim(0) is not None
        look = start(partial(queue.await_ready, None))
        assert look.sleeps()
        claim = start(partial(queue.claim, None))
        assert claim.sleeps()
        submit(queue, "b")
        assert claim.answer() is not None

    @pytest.mark.spec("ENV-WAIT-10", "ENV-WAIT-7")
    def test_close_ends_it(self, queue: AbstractTaskQueue, start: Start) -> None:
        call = start(partial(queue.await_ready, None))
        assert call.sleeps()
        queue.close()
        assert isinstance(call.error(), QueueClosed)

    @pytest.mark.spec("ENV-WAIT-10")
    def test_a_backend_that_lacks_it_says_so(self, queue: AbstractTaskQueue) -> None:
        methods = {"_await_ready": vars(AbstractTaskQueue)["_await_ready"]}
        lacking = type("Lacking", (type(queue),), methods)
        with (
            closing(lacking(queue.url, queue.name, clock=queue.clock)) as other,
            pytest.raises(NotImplementedError, match="without claiming it"),
        ):
            other.await_ready(0)


class TestPops:
    @pytest.mark.spec("ENV-WAIT-5", "POP-3", "POP-5", "RSV-4", "SUB-6", "OUT-6")
    @pytest.mark.parametrize(("ends", "told"), ENDINGS.values(), ids=ENDINGS)
    def test_all_who_wait_for_a_task_are_told(
        self, queue: AbstractTaskQueue, start: Start, ends: Act, told: list[object]
    ) -> None:
        claimed(queue, "a")
        queue.defer_task(Request("e"), b"", ["a"])
        calls = [start(partial(queue.pop, "a", None)) for _ in range(3)]
        assert all(call.sleeps() for call in calls)
        ends(queue)
        assert ranked([call.answer() for call in calls]) == told

    @pytest.mark.spec("ENV-WAIT-5", "PRG-1")
    def test_all_who_wait_are_told_of_a_purge(self, queue: AbstractTaskQueue, start: Start) -> None:
        submit(queue, "a")
        submit(queue, "b")
        calls = [start(partial(queue.pop, task_id, None)) for task_id in "abab"]
        assert all(call.sleeps() for call in calls)
        queue.purge()
        assert [call.answer() for call in calls] == [TASK_EXPIRED] * 4

    @pytest.mark.spec("ENV-WAIT-5", "OUT-3", "OUT-5")
    def test_who_waits_for_a_dependent_is_told_of_the_failure_of_its_argument(
        self, queue: AbstractTaskQueue, start: Start
    ) -> None:
        claimed(queue, "a")
        submit(queue, "b", "a")
        submit(queue, "d", "b")
        call = start(partial(queue.pop, "d", None))
        assert call.sleeps()
        queue.finish("a", b"f", LONG_S, failed=True)
        assert call.answer() == Outcome("failure", b"f", "a")

    @pytest.mark.spec("ENV-WAIT-5", "ENV-WAIT-4", "OUT-6")
    def test_who_waits_for_a_dependent_is_told_of_the_expiry_of_its_argument(
        self, queue: AbstractTaskQueue, clock: ManualClock, start: Start
    ) -> None:
        claimed(queue, "a")
        submit(queue, "b", "a")
        submit(queue, "d", "b")
        call = start(partial(queue.pop, "d", None))
        assert call.sleeps()
        clock.advance(LEASE_MS)
        assert call.answer() is TASK_EXPIRED

    @pytest.mark.spec("ENV-WAIT-5", "POP-1")
    def test_who_waits_without_a_token_waits_for_the_incarnation_that_it_first_saw(
        self, queue: AbstractTaskQueue, start: Start
    ) -> None:
        claimed(queue, "a")
        call = start(partial(queue.pop, "a", None))
        assert call.sleeps()
        queue.discard("a")
        claimed(queue, "a")
        queue.finish("a", b"r", LONG_S)
        assert call.answer() is TASK_EXPIRED
        assert queue.pop("a") == RESULT

    @pytest.mark.spec("ENV-WAIT-5", "TOK-1")
    def test_who_waits_with_a_token_waits_for_that_incarnation(
        self, queue: AbstractTaskQueue, start: Start
    ) -> None:
        token = claimed(queue, "a")
        call = start(partial(queue.pop, "a", None, token=token))
        assert call.sleeps()
        queue.discard("a")
        claimed(queue, "a")
        queue.finish("a", b"r", LONG_S)
        assert call.answer() is TASK_EXPIRED
        assert queue.pop("a") == RESULT

    @pytest.mark.spec("ENV-WAIT-2", "OUT-7")
    def test_an_outcome_that_was_freed_can_be_waited_for_again(
        self, queue: AbstractTaskQueue, start: Start
    ) -> None:
        token = claimed(queue, "a")
        submit(queue, "d", "a")
        assert queue.pop("a", None) is RESERVED
        queue.discard("d")
        call = start(partial(queue.pop, "a", None))
        assert call.sleeps()
        queue.finish("a", b"r", LONG_S, token=token)
        assert call.answer() == RESULT


class TestDeadlines:
    @pytest.mark.spec("ENV-WAIT-4", "ENV-WAIT-8", "TIM-3")
    def test_a_waiting_claim_gets_the_task_whose_lease_passes(
        self, queue: AbstractTaskQueue, clock: ManualClock, start: Start
    ) -> None:
        token = claimed(queue, "a", attempts=2)
        call = start(queue.claim)
        assert call.sleeps()
        clock.advance(LEASE_MS - 1)
        assert call.sleeps()
        clock.advance(1)
        assert call.answer() == Claim("a", token._replace(start=2), b"", {})

    @pytest.mark.spec("ENV-WAIT-4", "ENV-WAIT-8", "TIM-4")
    def test_a_waiting_pop_is_told_when_the_lease_passes(
        self, queue: AbstractTaskQueue, clock: ManualClock, start: Start
    ) -> None:
        claimed(queue, "a")
        calls = [start(partial(queue.pop, "a", None)) for _ in range(3)]
        assert all(call.sleeps() for call in calls)
        clock.advance(LEASE_MS)
        assert [call.answer() for call in calls] == [TASK_EXPIRED] * 3

    @pytest.mark.spec("ENV-WAIT-4")
    def test_on_its_own_clock_a_claim_gets_the_task_whose_lease_passes(
        self, make_queue: MakeQueue, start: Start
    ) -> None:
        queue = make_queue()
        token = claimed(queue, "a", attempts=2)
        call = start(queue.claim)
        assert call.sleeps()
        # Those who sleep already learn that the deadline is earlier than it was.
        assert queue.heartbeat("a", 0.05, token=token)
        began = time.monotonic()
        assert call.answer() == Claim("a", token._replace(start=2), b"", {})
        assert time.monotonic() - began < 4  # they would have looked again after 5 s anyway

    @pytest.mark.spec("ENV-WAIT-4")
    def test_on_its_own_clock_all_who_wait_are_told_when_a_lease_passes(
        self, make_queue: MakeQueue, start: Start
    ) -> None:
        queue = make_queue()
        submit(queue, "a")
        calls = [start(partial(queue.pop, "a", None)) for _ in range(4)]
        assert all(call.sleeps() for call in calls)
        queue.claim(0)
        queue.heartbeat("a", 0.05)
        began = time.monotonic()
        assert [call.answer() for call in calls] == [TASK_EXPIRED] * 4
        assert time.monotonic() - began < 4

    @pytest.mark.spec("ENV-WAIT-3")
    def test_who_waits_does_not_poll(self, make_queue: MakeQueue, start: Start) -> None:
        clock = WatchedClock()
        queue = make_queue(clock=clock)
        claimed(queue, "a")
        queue.heartbeat("a", 0.001)
        submit(queue, "b")
        calls = [start(partial(queue.pop, "b", 0.001)), start(partial(queue.pop, "b", None))]
        assert all(call.sleeps() for call in calls)
        looks = sum(map(clock.looks_of, calls))
        time.sleep(0.3)
        assert sum(map(clock.looks_of, calls)) - looks <= len(calls)  # 5 s may have passed

    @pytest.mark.spec("ENV-WAIT-3", "ENV-WAIT-2")
    def test_a_wake_up_that_is_not_needed_is_harmless(
        self, queue: AbstractTaskQueue, clock: ManualClock, start: Start
    ) -> None:
        claimed(queue, "a")
        calls: list[Call[object]] = [
            start(partial(queue.pop, "a", 1)),
            start(partial(queue.claim, 1)),
        ]
        assert all(call.sleeps() for call in calls)
        for _ in range(3):
            clock.advance(0)
        clock.advance(999)
        assert all(call.sleeps() for call in calls)
        clock.advance(1)
        assert [call.answer() for call in calls] == [None, None]

    @pytest.mark.spec("ENV-WAIT-8")
    def test_with_a_clock_given_real_time_ends_no_wait(
        self, queue: AbstractTaskQueue, clock: ManualClock, start: Start
    ) -> None:
        call = start(partial(queue.claim, 0.001))
        assert call.sleeps()
        time.sleep(0.05)
        assert call.sleeps()
        clock.advance(1)
        assert call.answer() is None


OPERATIONS: dict[str, Act] = {
    "submit": lambda q: q.submit(Request("a"), b""),
    "claim": lambda q: q.claim(0),
    "finish": lambda q: q.finish("a", b"", 1),
    "heartbeat": lambda q: q.heartbeat("a", 1),
    "release": lambda q: q.release("a"),
    "pop": lambda q: q.pop("a"),
    "discard": lambda q: q.discard("a"),
    "purge": lambda q: q.purge(),
    "size": lambda q: q.size(),
    "status": lambda q: q.status("a"),
    "enqueue_task": lambda q: q.enqueue_task(Request("a"), b""),
    "get": lambda q: q.get(0),
    "get_status": lambda q: q.get_status("a"),
    "set_task_timeout": lambda q: q.set_task_timeout("a", 1),
    "set_result": lambda q: q.set_result("a", b"", 1),
    "pop_result": lambda q: q.pop_result("a", 0),
    "discard_result": lambda q: q.discard_result("a"),
    "discard_pending": lambda q: q.discard_pending(),
    "defer_task": lambda q: q.defer_task(Request("a"), b"", ["b"]),
    "undefer_task": lambda q: q.undefer_task("a"),
    "reserve_argument": lambda q: q.reserve_argument("a", "b"),
    "set_argument": lambda q: q.set_argument("a", "b", b""),
    "get_arguments": lambda q: q.get_arguments("a"),
}


class TestClose:
    @pytest.mark.spec("ENV-WAIT-7")
    @pytest.mark.parametrize("act", OPERATIONS.values(), ids=OPERATIONS)
    def test_every_later_call_is_refused(self, queue: AbstractTaskQueue, act: Act) -> None:
        queue.close()
        queue.close()
        with pytest.raises(QueueClosed):
            act(queue)

    @pytest.mark.spec("ENV-WAIT-7")
    def test_it_unblocks_whoever_waits_on_that_object_and_nobody_else(
        self, make_queue: MakeQueue, clock: ManualClock, start: Start
    ) -> None:
        queue = make_queue(clock=clock)
        other = make_queue(queue.name, clock=clock)
        claimed(queue, "a")
        closed: list[Call[object]] = [start(queue.claim), start(partial(queue.pop, "a", None))]
        open_claim = start(other.claim)
        open_pop = start(partial(other.pop, "a", None))
        assert all(call.sleeps() for call in [*closed, open_claim, open_pop])
        queue.close()
        assert [type(call.error()) for call in closed] == [QueueClosed] * 2
        assert open_claim.sleeps()
        assert open_pop.sleeps()
        other.finish("a", b"r", LONG_S)
        submit(other, "b")
        assert open_pop.answer() == RESULT
        assert open_claim.answer() is not None

    @pytest.mark.spec("ENV-WAIT-7")
    @pytest.mark.parametrize("own_clock", [True, False], ids=["own clock", "manual clock"])
    def test_it_unblocks_within_100_ms(
        self,
        make_queue: MakeQueue,
        start: Start,
        own_clock: bool,  # noqa: FBT001 (a parameter of the test)
    ) -> None:
        took_s: list[float] = []
        for _ in range(5):  # a machine may be busy, but not each time
            queue = make_queue(clock=None if own_clock else ManualClock())
            call = start(queue.claim)
            assert call.sleeps()
            began = time.monotonic()
            queue.close()
            assert isinstance(call.error(), QueueClosed)
            took_s.append(time.monotonic() - began)
        assert min(took_s) < 0.1

    @pytest.mark.spec("ENV-WAIT-7")
    def test_nothing_that_was_accepted_is_lost(
        self, make_queue: MakeQueue, clock: ManualClock
    ) -> None:
        queue = make_queue(clock=clock)
        token = claimed(queue, "a")
        submit(queue, "b")
        submit(queue, "d", "a")
        queue.close()
        later = make_queue(queue.name, clock=clock)
        assert [later.status(task_id) for task_id in "abd"] == [
            "processing",
            "enqueued",
            "pending",
        ]
        assert later.finish("a", b"r", LONG_S, token=token).dependent_id == "d"
        assert later.size() == 2

    @pytest.mark.spec("ENV-WAIT-7")
    def test_many_may_close_at_the_same_time(self, queue: AbstractTaskQueue, start: Start) -> None:
        waiting = start(queue.claim)
        assert waiting.sleeps()
        closing = [start(queue.close) for _ in range(8)]
        assert [call.answer() for call in closing] == [None] * 8
        assert isinstance(waiting.error(), QueueClosed)
