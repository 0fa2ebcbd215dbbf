"""What each operation does, by example. The machines of `stateful/` go through all the rest."""

import math
from typing import Any

import pytest

from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.const import RESERVED, TASK_EXPIRED, Sentinel
from worq.values import EXPIRED, Claim, Finished, Outcome, Request, Submitted, Token

LEASE_MS = 2 * 30_000 + 5_000  # at the default heartrate
HOUR_MS = 3_600_000
LONG_S = 1000.0


def submit(queue: AbstractTaskQueue, task_id: str, *args: str, **options: Any) -> Token:
    """Submit a task with these arguments; its token."""
    request = Request(task_id, Token.new(), **options)
    submitted = queue.submit(request, task_id.encode(), dict.fromkeys(args))
    assert submitted == Submitted("accepted")
    assert request.token is not None
    return request.token


def claim(queue: AbstractTaskQueue) -> Claim:
    """Claim the oldest ready task, which is there."""
    claimed = queue.claim(0)
    assert claimed is not None
    return claimed


def run(queue: AbstractTaskQueue, message: bytes = b"done", *, failed: bool = False) -> Claim:
    """Claim the oldest ready task and finish it."""
    claimed = claim(queue)
    finished = queue.finish(claimed.id, message, LONG_S, token=claimed.token, failed=failed)
    assert finished.accepted
    return claimed


def completed(queue: AbstractTaskQueue, task_id: str, *, failed: bool = False) -> Token:
    """Leave a COMPLETED task."""
    token = submit(queue, task_id)
    run(queue, b"of " + task_id.encode(), failed=failed)
    return token


def result(message: bytes) -> Outcome:
    return Outcome("result", message)


class TestTheLifeOfATask:
    @pytest.mark.spec("CLM-1", "FIN-4", "POP-5", "STA-1", "STA-2")
    def test_it_goes_through_all_states(self, queue: AbstractTaskQueue) -> None:
        submit(queue, "b")
        submit(queue, "a", "b")
        states = [queue.status("a")]
        run(queue)
        states.append(queue.status("a"))
        claimed = claim(queue)
        states.append(queue.status("a"))
        queue.finish("a", b"r", LONG_S, token=claimed.token)
        states.append(queue.status("a"))
        assert queue.pop("a") == result(b"r")
        assert [*states, queue.status("a")] == [
            "pending",
            "enqueued",
            "processing",
            "completed",
            None,
        ]

    @pytest.mark.spec("POP-5", "POP-1")
    def test_an_outcome_is_delivered_once(self, queue: AbstractTaskQueue) -> None:
        completed(queue, "a")
        assert queue.pop("a") == result(b"of a")
        assert queue.pop("a") is TASK_EXPIRED

    @pytest.mark.spec("FIN-4")
    def test_a_failure_is_an_outcome_too(self, queue: AbstractTaskQueue) -> None:
        completed(queue, "a", failed=True)
        assert queue.pop("a") == Outcome("failure", b"of a")

    @pytest.mark.spec("SUB-1", "SUB-2")
    def test_an_id_is_free_again_once_its_outcome_was_delivered(
        self, queue: AbstractTaskQueue
    ) -> None:
        completed(queue, "a")
        assert queue.submit(Request("a"), b"").status == "duplicate"
        queue.pop("a")
        assert queue.submit(Request("a"), b"").status == "accepted"


class TestTokens:
    @pytest.mark.spec("TOK-1", "SUB-2")
    def test_another_incarnation_of_an_id_that_is_there_is_a_duplicate(
        self, queue: AbstractTaskQueue
    ) -> None:
        submit(queue, "a")
        assert queue.submit(Request("a"), b"") == Submitted("duplicate")
        assert queue.size() == 1

    @pytest.mark.spec("SUB-1")
    def test_the_same_submit_again_is_accepted_and_changes_nothing(
        self, queue: AbstractTaskQueue
    ) -> None:
        request = Request("a", Token.new())
        assert queue.submit(request, b"1") == queue.submit(request, b"2") == Submitted("accepted")
        assert queue.size() == 1
        assert claim(queue).message == b"1"

    @pytest.mark.spec("TOK-1", "POP-1", "DSC-2", "STA-2")
    def test_another_incarnation_is_absent(self, queue: AbstractTaskQueue) -> None:
        completed(queue, "a")
        other = Token.new()
        assert queue.pop("a", token=other) is TASK_EXPIRED
        assert queue.status("a", token=other) is None
        assert not queue.discard("a", token=other)
        assert queue.status("a") == "completed"

    @pytest.mark.spec("TOK-1")
    def test_the_claim_does_not_matter_to_those_who_compare_the_incarnation(
        self, queue: AbstractTaskQueue
    ) -> None:
        token = completed(queue, "a")
        assert queue.status("a", token=token._replace(start=7)) == "completed"
        assert queue.pop("a", token=token._replace(start=7)) == result(b"of a")

    @pytest.mark.spec("TOK-1", "TOK-3", "FIN-1", "HRT-2", "REL-2")
    def test_an_earlier_claim_of_the_same_task_is_lost(
        self, queue: AbstractTaskQueue, clock: ManualClock
    ) -> None:
        submit(queue, "a", attempts=2)
        first = claim(queue)
        clock.advance(LEASE_MS)
        second = claim(queue)
        assert second.token == Token(first.token.incarnation, 2)
        assert queue.finish("a", b"late", LONG_S, token=first.token) == Finished(accepted=False)
        assert not queue.heartbeat("a", 1, token=first.token)
        assert not queue.release("a", token=first.token)
        assert queue.finish("a", b"in time", LONG_S, token=second.token).accepted
        assert queue.pop("a") == result(b"in time")

    @pytest.mark.spec("TOK-1", "FIN-1")
    def test_the_late_outcome_of_an_expired_task_does_not_reach_the_next_with_its_id(
        self, queue: AbstractTaskQueue, clock: ManualClock
    ) -> None:
        submit(queue, "a")
        late = claim(queue)
        clock.advance(LEASE_MS)
        submit(queue, "a")
        claim(queue)
        assert not queue.finish("a", b"late", LONG_S, token=late.token).accepted
        assert queue.status("a") == "processing"

    @pytest.mark.spec("TOK-2")
    def test_without_a_token_the_present_claim_is_meant(self, queue: AbstractTaskQueue) -> None:
        submit(queue, "a")
        claim(queue)
        assert queue.heartbeat("a", 10)
        assert queue.finish("a", b"r", LONG_S) == Finished(accepted=True)


class TestClaim:
    @pytest.mark.spec("CLM-1")
    def test_tasks_are_claimed_in_the_order_in_which_they_became_ready(
        self, queue: AbstractTaskQueue
    ) -> None:
        for task_id in "cab":
            submit(queue, task_id)
        assert [claim(queue).id for _ in range(3)] == ["c", "a", "b"]

    @pytest.mark.spec("CLM-2")
    def test_there_is_none_to_claim(self, queue: AbstractTaskQueue) -> None:
        assert queue.claim(0) is None

    @pytest.mark.spec("CLM-1", "TOK-3")
    def test_the_first_claim_has_start_1(self, queue: AbstractTaskQueue) -> None:
        token = submit(queue, "a")
        assert claim(queue) == Claim("a", Token(token.incarnation, 1), b"a", {})

    @pytest.mark.spec("CLM-4")
    def test_it_carries_the_arguments(self, queue: AbstractTaskQueue) -> None:
        completed(queue, "a")
        completed(queue, "b", failed=True)
        submit(queue, "d", "a", "b", on_error="pass")
        assert claim(queue).arguments == {"a": result(b"of a"), "b": Outcome("failure", b"of b")}

    @pytest.mark.spec("CLM-3", "POP-2")
    def test_a_task_that_ignores_its_result_is_gone_when_it_is_started_for_the_last_time(
        self, queue: AbstractTaskQueue
    ) -> None:
        submit(queue, "a", ignore_result=True, attempts=2)
        first = claim(queue)
        assert queue.status("a") == "processing"
        assert queue.pop("a", None) is TASK_EXPIRED
        queue.release("a", token=first.token)
        last = claim(queue)
        assert queue.status("a") is None
        assert not queue.finish("a", b"", LONG_S, token=last.token).accepted

    @pytest.mark.spec("FIN-3")
    def test_the_result_of_an_earlier_start_is_ignored_too(self, queue: AbstractTaskQueue) -> None:
        submit(queue, "a", ignore_result=True, attempts=2)
        run(queue)
        assert queue.status("a") is None


class TestLeases:
    @pytest.mark.spec("TIM-1", "TIM-4", "POP-1", "CLM-1")
    def test_a_lease_passes_at_the_very_millisecond(
        self, queue: AbstractTaskQueue, clock: ManualClock
    ) -> None:
        submit(queue, "a", heartrate=1.5)
        claim(queue)
        clock.advance(2 * 1500 + 5000 - 1)
        assert queue.status("a") == "processing"
        clock.advance(1)
        assert queue.status("a") is None

    @pytest.mark.spec("HRT-1")
    @pytest.mark.parametrize("timeout_s", [1, 1000])
    def test_a_heartbeat_moves_the_lease_either_way(
        self, queue: AbstractTaskQueue, clock: ManualClock, timeout_s: int
    ) -> None:
        submit(queue, "a")
        token = claim(queue).token
        assert queue.heartbeat("a", timeout_s, token=token)
        clock.advance(timeout_s * 1000 - 1)
        assert queue.status("a") == "processing"
        clock.advance(1)
        assert queue.status("a") is None

    @pytest.mark.spec("HRT-2", "REL-2", "TIM-7")
    def test_tasks_that_wait_have_no_deadline(
        self, queue: AbstractTaskQueue, clock: ManualClock
    ) -> None:
        submit(queue, "a")
        submit(queue, "d", "a")
        assert not queue.heartbeat("a", 1)
        assert not queue.release("d")
        clock.advance(10**12)
        assert (queue.status("a"), queue.status("d")) == ("enqueued", "pending")

    @pytest.mark.spec("TIM-3")
    def test_a_task_with_starts_left_goes_to_the_tail(
        self, queue: AbstractTaskQueue, clock: ManualClock
    ) -> None:
        completed(queue, "c")
        submit(queue, "a", "c", attempts=2)
        submit(queue, "b")
        first = claim(queue)
        clock.advance(LEASE_MS)
        assert claim(queue).id == "b"
        assert claim(queue) == first._replace(token=first.token._replace(start=2))

    @pytest.mark.spec("TIM-2")
    def test_deadlines_are_applied_by_time_and_then_by_id(
        self, queue: AbstractTaskQueue, clock: ManualClock
    ) -> None:
        for task_id in "cba":
            submit(queue, task_id, attempts=2)
            claim(queue)
        queue.heartbeat("b", 1)
        clock.advance(LEASE_MS)
        submit(queue, "d")
        assert [claim(queue).id for _ in range(4)] == ["b", "a", "c", "d"]

    @pytest.mark.spec("TIM-2", "SUB-3")
    def test_ids_are_in_the_order_of_their_code_points(
        self, queue: AbstractTaskQueue, clock: ManualClock
    ) -> None:
        ordered = ["Z", "a", "a\u0301", "\u00e1", "\uffee", "\U0001f600"]
        for task_id in reversed(ordered):
            submit(queue, task_id, attempts=2)
            claim(queue)
        clock.advance(LEASE_MS)
        assert [claim(queue).id for _ in ordered] == ordered
        for task_id in ordered:
            queue.discard(task_id)
        for first in range(len(ordered)):
            args = dict.fromkeys(reversed(ordered[first:]))
            assert queue.submit(Request("d"), b"", args) == Submitted("unavailable", ordered[first])

    @pytest.mark.spec("TOK-1")
    def test_of_the_token_of_a_submit_only_the_incarnation_counts(
        self, queue: AbstractTaskQueue
    ) -> None:
        token = Token.new()
        assert queue.submit(Request("a", token._replace(start=7)), b"") == Submitted("accepted")
        assert queue.submit(Request("a", token), b"") == Submitted("accepted")
        assert claim(queue).token == token._replace(start=1)

    @pytest.mark.spec("TIM-6", "OUT-3", "TIM-5")
    def test_a_retention_that_begins_with_an_operation_is_counted_from_it(
        self, queue: AbstractTaskQueue, clock: ManualClock
    ) -> None:
        submit(queue, "a")
        submit(queue, "d", "a", result_timeout=2)
        clock.advance(500)
        run(queue, failed=True)
        clock.advance(1999)
        assert queue.status("d") == "completed"
        clock.advance(1)
        assert queue.status("d") is None

    @pytest.mark.spec("REL-1", "TIM-3", "TIM-4")
    @pytest.mark.parametrize(("attempts", "state"), [(1, None), (2, "enqueued")])
    def test_a_release_ends_the_lease_now(
        self, queue: AbstractTaskQueue, attempts: int, state: str | None
    ) -> None:
        submit(queue, "a", attempts=attempts)
        assert queue.release("a", token=claim(queue).token)
        assert queue.status("a") == state


class TestGivingBack:
    """What was claimed in advance and not begun. [REL-3]"""

    @pytest.mark.spec("REL-3")
    def test_it_costs_no_start(self, queue: AbstractTaskQueue) -> None:
        submit(queue, "a", attempts=2)
        for _ in range(5):
            assert queue.release("a", token=claim(queue).token, begun=False)
            assert queue.status("a") == "enqueued"
        for state in ("enqueued", None):  # two starts, as at first
            assert queue.release("a", token=claim(queue).token)
            assert queue.status("a") == state

    @pytest.mark.spec("REL-3", "ENV-BULK-3")
    @pytest.mark.parametrize("discarded", ["", "x"], ids=["plain", "after a discard"])
    def test_it_is_the_next_to_be_claimed(self, queue: AbstractTaskQueue, discarded: str) -> None:
        names = list("abcdefgh")
        for name in names:
            submit(queue, name, attempts=2)
        claims = [claim(queue) for _ in "abc"]
        if discarded:  # Redis keeps its entry, and what has been before that in `front`
            submit(queue, discarded)
            queue.discard(discarded)
        for each in reversed(claims):
            assert queue.release(each.id, token=each.token, begun=False)
        assert queue.size() == len(names)
        assert [claim(queue).id for _ in names] == names

    @pytest.mark.spec("REL-3", "TOK-1", "TOK-3")
    def test_its_token_does_not_come_again(self, queue: AbstractTaskQueue) -> None:
        submit(queue, "a", attempts=2)
        first = claim(queue)
        assert queue.release("a", token=first.token, begun=False)
        second = claim(queue)
        assert second.token != first.token
        assert not queue.release("a", token=first.token, begun=False)
        assert not queue.heartbeat("a", LONG_S, token=first.token)
        assert not queue.finish("a", b"late", LONG_S, token=first.token).accepted
        assert queue.finish("a", b"r", LONG_S, token=second.token).accepted

    @pytest.mark.spec("REL-3", "CLM-4", "GAR-1")
    def test_it_keeps_its_arguments_its_dependent_and_its_incarnation(
        self, queue: AbstractTaskQueue
    ) -> None:
        completed(queue, "a")
        token = submit(queue, "b", "a", attempts=2)
        submit(queue, "c", "b")
        queue.release("b", token=claim(queue).token, begun=False)
        assert queue.get_arguments("b") == {"a": b"of a"}
        again = claim(queue)
        assert (again.token.incarnation, again.arguments) == (
            token.incarnation,
            {"a": result(b"of a")},
        )
        assert queue.finish("b", b"r", LONG_S, token=again.token).dependent_id == "c"

    @pytest.mark.spec("REL-3", "CLM-3")
    def test_one_that_ignores_its_result_is_gone_at_its_last_start(
        self, queue: AbstractTaskQueue
    ) -> None:
        submit(queue, "a", ignore_result=True, attempts=2)
        queue.release("a", token=claim(queue).token, begun=False)
        for state in ("processing", None):
            token = claim(queue).token
            assert queue.status("a") == state
            queue.release("a", token=token)

    @pytest.mark.spec("REL-3", "TIM-4", "OUT-6")
    def test_a_last_start_is_not_given_back(self, queue: AbstractTaskQueue) -> None:
        submit(queue, "a")
        assert queue.release("a", token=claim(queue).token, begun=False)
        assert queue.pop("a") is TASK_EXPIRED

    @pytest.mark.spec("REL-2")
    def test_what_is_not_claimed_stays_as_it_is(self, queue: AbstractTaskQueue) -> None:
        submit(queue, "a", attempts=2)
        submit(queue, "b", attempts=2)
        assert not queue.release("b", begun=False)
        assert not queue.release("nobody", begun=False)
        assert [claim(queue).id, claim(queue).id] == ["a", "b"]


class TestRetention:
    @pytest.mark.spec("TIM-1", "TIM-5", "FIN-4")
    def test_an_outcome_is_kept_for_the_timeout_of_finish(
        self, queue: AbstractTaskQueue, clock: ManualClock
    ) -> None:
        submit(queue, "a")
        queue.finish("a", b"r", 1.5, token=claim(queue).token)
        clock.advance(1499)
        assert queue.status("a") == "completed"
        clock.advance(1)
        assert queue.pop("a") is TASK_EXPIRED

    @pytest.mark.spec("FIN-4", "TIM-5")
    def test_it_may_be_kept_for_ever(self, queue: AbstractTaskQueue, clock: ManualClock) -> None:
        submit(queue, "a")
        queue.finish("a", b"r", math.inf, token=claim(queue).token)
        clock.advance(10**12)
        assert queue.pop("a") == result(b"r")

    @pytest.mark.spec("TIM-1", "FIN-4")
    def test_an_outcome_that_is_not_kept_is_gone_for_the_next_operation(
        self, queue: AbstractTaskQueue
    ) -> None:
        submit(queue, "a")
        assert queue.finish("a", b"r", 0, token=claim(queue).token).accepted
        assert queue.pop("a") is TASK_EXPIRED


class TestArguments:
    @pytest.mark.spec("SUB-6", "SUB-7", "OUT-1", "FIN-2", "POP-3")
    def test_a_task_starts_when_its_last_argument_arrives(self, queue: AbstractTaskQueue) -> None:
        completed(queue, "a")
        submit(queue, "b")
        submit(queue, "d", "a", "b")
        assert queue.status("a") is None
        assert queue.pop("b") is RESERVED
        token = claim(queue).token
        assert queue.finish("b", b"2", LONG_S, token=token) == Finished(
            accepted=True, dependent_id="d"
        )
        assert queue.status("b") is None
        assert claim(queue).arguments == {"a": result(b"of a"), "b": result(b"2")}

    @pytest.mark.spec("SUB-3")
    def test_the_first_unavailable_argument_is_named_and_nothing_changes(
        self, queue: AbstractTaskQueue
    ) -> None:
        completed(queue, "a")
        submit(queue, "b", ignore_result=True)
        submit(queue, "c")
        args: dict[str, Token | None] = {"c": Token.new(), "b": None, "a": None}
        assert queue.submit(Request("d"), b"", args) == Submitted("unavailable", "b")
        del args["b"]
        assert queue.submit(Request("d"), b"", args) == Submitted("unavailable", "c")
        assert queue.status("d") is None
        assert queue.pop("a") == result(b"of a")

    @pytest.mark.spec("SUB-3", "POP-3")
    def test_an_outcome_is_promised_to_one_dependent(self, queue: AbstractTaskQueue) -> None:
        submit(queue, "a")
        submit(queue, "d", "a")
        again = queue.submit(Request("e"), b"", {"a": None})
        assert again == Submitted("unavailable", "a")

    @pytest.mark.spec("SUB-2", "SUB-3")
    def test_a_duplicate_is_told_before_an_unavailable_argument(
        self, queue: AbstractTaskQueue
    ) -> None:
        submit(queue, "d")
        assert queue.submit(Request("d"), b"", {"z": None}) == Submitted("duplicate")

    @pytest.mark.spec("SUB-5", "OUT-5")
    def test_a_failed_argument_ends_the_task_and_leaves_the_others(
        self, queue: AbstractTaskQueue
    ) -> None:
        completed(queue, "a")
        completed(queue, "b", failed=True)
        completed(queue, "c", failed=True)
        submit(queue, "d", "c", "b", "a")
        assert queue.pop("d") == Outcome("failure", b"of b", "b")
        assert queue.pop("a") == result(b"of a")
        assert queue.pop("b") is TASK_EXPIRED
        assert queue.pop("c") == Outcome("failure", b"of c")

    @pytest.mark.spec("SUB-5", "SUB-8", "OUT-4")
    def test_who_submits_is_told_with_what_a_task_of_no_result_ended(
        self, queue: AbstractTaskQueue
    ) -> None:
        completed(queue, "a", failed=True)
        submit(queue, "b")
        submit(queue, "c", "b")
        run(queue, b"of b", failed=True)
        request = Request("d", Token.new(), ignore_result=True)
        ended = queue.submit(request, b"", {"a": None})
        assert ended == Submitted("accepted", outcome=Outcome("failure", b"of a", "a"))
        handed_on = queue.submit(request._replace(id="e"), b"", {"c": None})
        assert handed_on == Submitted("accepted", outcome=Outcome("failure", b"of b", "b"))
        assert [queue.status(task_id) for task_id in "abcde"] == [None] * 5

    @pytest.mark.spec("SUB-4", "SUB-8", "OUT-4")
    @pytest.mark.parametrize(
        ("outcome", "ignore_result", "told", "popped"),
        [
            (Outcome("failure", b"f", "x"), False, None, Outcome("failure", b"f", "x")),
            (Outcome("failure", b"f", "x"), True, Outcome("failure", b"f", "x"), TASK_EXPIRED),
            (EXPIRED, False, None, TASK_EXPIRED),
            (EXPIRED, True, EXPIRED, TASK_EXPIRED),
        ],
    )
    def test_a_task_ends_at_once_with_the_outcome_of_an_argument_fetched_before(
        self,
        queue: AbstractTaskQueue,
        outcome: Outcome,
        ignore_result: bool,  # noqa: FBT001 (a parameter of the test)
        told: Outcome | None,
        popped: Outcome | Sentinel,
    ) -> None:
        completed(queue, "a")
        request = Request("d", ignore_result=ignore_result)
        submitted = queue.submit(request, b"", {"a": None}, outcome=outcome)
        assert submitted == Submitted("accepted", outcome=told)
        assert queue.pop("d") == popped
        assert queue.pop("a") == result(b"of a")

    @pytest.mark.spec("OUT-1", "OUT-2")
    def test_results_go_through_a_diamond(self, queue: AbstractTaskQueue) -> None:
        submit(queue, "a")
        submit(queue, "b", "a")
        submit(queue, "c")
        submit(queue, "d", "b", "c")
        assert [run(queue, task_id.encode()).id for task_id in "acb"] == ["a", "c", "b"]
        assert run(queue, b"d").arguments == {"b": result(b"b"), "c": result(b"c")}
        assert queue.pop("d") == result(b"d")

    @pytest.mark.spec("OUT-3", "OUT-5")
    def test_a_failure_goes_along_the_chain_with_the_id_that_it_happened_to(
        self, queue: AbstractTaskQueue
    ) -> None:
        submit(queue, "a")
        submit(queue, "b", "a")
        submit(queue, "c", "b")
        token = claim(queue).token
        finished = queue.finish("a", b"f", LONG_S, token=token, failed=True)
        assert finished == Finished(accepted=True, dependent_id="b")
        assert queue.status("b") is None
        assert queue.pop("c") == Outcome("failure", b"f", "a")

    @pytest.mark.spec("OUT-2")
    def test_who_passes_errors_gets_them_as_arguments(
        self, queue: AbstractTaskQueue, clock: ManualClock
    ) -> None:
        submit(queue, "a")
        submit(queue, "b")
        submit(queue, "d", "a", "b", on_error="pass")
        run(queue, b"f", failed=True)
        claim(queue)
        clock.advance(LEASE_MS)
        assert claim(queue).arguments == {"a": Outcome("failure", b"f"), "b": EXPIRED}

    @pytest.mark.spec("OUT-4")
    def test_a_failure_ends_where_nobody_wants_it(self, queue: AbstractTaskQueue) -> None:
        submit(queue, "a")
        submit(queue, "d", "a", ignore_result=True)
        run(queue, failed=True)
        assert queue.status("d") is None
        assert queue.size() == 0

    @pytest.mark.spec("OUT-6", "TIM-4")
    def test_an_expiry_goes_along_the_chain(
        self, queue: AbstractTaskQueue, clock: ManualClock
    ) -> None:
        submit(queue, "a")
        submit(queue, "b", "a")
        submit(queue, "c", "b")
        claim(queue)
        clock.advance(LEASE_MS)
        assert [queue.status(task_id) for task_id in "abc"] == [None, None, None]

    @pytest.mark.spec("OUT-7", "DSC-1")
    def test_who_ends_before_its_start_frees_what_has_not_arrived(
        self, queue: AbstractTaskQueue
    ) -> None:
        completed(queue, "a")
        submit(queue, "b")
        submit(queue, "c")
        submit(queue, "d", "a", "b", "c")
        run(queue, failed=True)
        assert queue.pop("d") == Outcome("failure", b"done", "b")
        assert queue.status("a") is None
        run(queue)
        assert queue.pop("c") == result(b"done")


class TestDiscardAndPurge:
    @pytest.mark.spec("DSC-1")
    def test_a_discarded_task_does_not_run(self, queue: AbstractTaskQueue) -> None:
        submit(queue, "a")
        submit(queue, "b")
        assert queue.discard("a")
        assert queue.size() == 1
        assert claim(queue).id == "b"

    @pytest.mark.spec("DSC-1", "FIN-1")
    def test_the_claim_of_a_discarded_task_is_lost(self, queue: AbstractTaskQueue) -> None:
        submit(queue, "a")
        token = claim(queue).token
        assert queue.discard("a")
        assert not queue.heartbeat("a", 1, token=token)
        assert not queue.finish("a", b"", LONG_S, token=token).accepted

    @pytest.mark.spec("DSC-1", "DSC-2")
    def test_an_outcome_can_be_discarded_once(self, queue: AbstractTaskQueue) -> None:
        completed(queue, "a")
        assert queue.discard("a")
        assert not queue.discard("a")
        assert queue.pop("a") is TASK_EXPIRED

    @pytest.mark.spec("PRG-1", "PRG-2", "SIZ-1")
    def test_a_purge_drops_what_waits_and_nothing_else(self, queue: AbstractTaskQueue) -> None:
        completed(queue, "a")
        submit(queue, "b")
        token = claim(queue).token
        submit(queue, "c")
        submit(queue, "d", "b", "c")
        assert queue.size() == 2
        assert queue.purge() == 2
        assert queue.size() == queue.purge() == 0
        assert [queue.status(i) for i in "abcd"] == ["completed", "processing", None, None]
        assert queue.finish("b", b"free", LONG_S, token=token) == Finished(accepted=True)
        assert queue.pop("b") == result(b"free")

    @pytest.mark.spec("PRG-1")
    def test_a_purge_drops_a_task_that_waits_for_its_second_start(
        self, queue: AbstractTaskQueue
    ) -> None:
        submit(queue, "a", attempts=2)
        queue.release("a", token=claim(queue).token)
        assert queue.purge() == 1
        assert queue.status("a") is None


class TestTheOperationsOfTheReference:
    def test_a_task_is_enqueued_and_fetched(self, queue: AbstractTaskQueue) -> None:
        assert queue.enqueue_task(Request("a"), b"m")
        assert not queue.enqueue_task(Request("a"), b"n")
        assert queue.get(0) == ("a", b"m")
        assert queue.set_task_timeout("a", 10)
        assert queue.get_status("a") == "processing"
        assert queue.set_result("a", b"r", 10) is None
        assert queue.pop_result("a", 0) == b"r"
        assert queue.pop_result("a", 0) is TASK_EXPIRED

    def test_a_result_is_discarded_and_waiting_tasks_are_purged(
        self, queue: AbstractTaskQueue
    ) -> None:
        completed(queue, "a")
        submit(queue, "b")
        queue.discard_result("a", b"token")
        queue.discard_pending()
        assert (queue.status("a"), queue.status("b")) == (None, None)

    @pytest.mark.spec("DFR-1", "DFR-2")
    def test_a_deferred_task_waits_for_its_arguments(self, queue: AbstractTaskQueue) -> None:
        request = Request("d", Token.new())
        assert queue.defer_task(request, b"m", ["a", "a", "b"])
        assert queue.defer_task(request, b"m", ["c"])
        assert not queue.defer_task(Request("d"), b"m", ["c"])
        assert queue.status("d") == "pending"
        assert not queue.set_argument("d", "a", b"1")
        assert queue.set_argument("d", "b", b"2")
        assert claim(queue).arguments == {"a": result(b"1"), "b": result(b"2")}

    @pytest.mark.spec("DFR-2")
    def test_a_deferred_task_has_arguments(self, queue: AbstractTaskQueue) -> None:
        with pytest.raises(ValueError, match=r"args: .* not \[\]"):
            queue.defer_task(Request("d"), b"m", [])
        with pytest.raises(TypeError, match=r"args: .* not 'ab'"):
            queue.defer_task(Request("d"), b"m", "ab")

    @pytest.mark.spec("UND-1", "UND-2")
    def test_a_task_that_misses_an_argument_is_not_enqueued(self, queue: AbstractTaskQueue) -> None:
        queue.defer_task(Request("d"), b"m", ["a"])
        with pytest.raises(ValueError, match=r"task_id: .*'d'"):
            queue.undefer_task("d")
        queue.set_argument("d", "a", b"1")
        queue.undefer_task("d")
        queue.undefer_task("z")
        assert queue.size() == 1

    @pytest.mark.spec("RSV-1", "RSV-4", "POP-3")
    def test_an_argument_that_is_not_there_yet_is_reserved(self, queue: AbstractTaskQueue) -> None:
        token = submit(queue, "a")
        queue.defer_task(Request("d"), b"m", ["a"])
        assert queue.reserve_argument("a", "d") == (True, None)
        assert queue.pop("a", None) is RESERVED
        run(queue, b"1")
        assert queue.reserve_argument("a", "d") == (True, None)
        assert queue.reserve_argument("a", "d", token=token) == (True, None)
        assert queue.reserve_argument("a", "d", token=Token.new()) == (False, None)
        assert claim(queue).arguments == {"a": result(b"1")}

    @pytest.mark.spec("RSV-1", "RSV-3")
    def test_an_outcome_that_is_there_is_handed_over(self, queue: AbstractTaskQueue) -> None:
        completed(queue, "a")
        queue.defer_task(Request("d"), b"m", ["a"])
        assert queue.reserve_argument("a", "d") == (True, b"of a")
        assert queue.status("a") is None
        assert queue.status("d") == "enqueued"
        assert queue.reserve_argument("a", "d") == (True, b"of a")

    @pytest.mark.spec("RSV-3", "OUT-3", "OUT-7")
    def test_a_failure_that_is_handed_over_ends_the_dependent(
        self, queue: AbstractTaskQueue
    ) -> None:
        completed(queue, "a", failed=True)
        submit(queue, "b")
        queue.defer_task(Request("d"), b"m", ["a", "b"])
        assert queue.reserve_argument("b", "d") == (True, None)
        assert queue.reserve_argument("a", "d") == (True, b"of a")
        assert queue.pop("d") == Outcome("failure", b"of a", "a")
        assert queue.pop("b") is None

    @pytest.mark.spec("RSV-2", "TOK-4")
    def test_what_can_not_be_reserved(self, queue: AbstractTaskQueue) -> None:
        submit(queue, "a")
        submit(queue, "b", ignore_result=True)
        submit(queue, "c")
        submit(queue, "d", "a")
        queue.defer_task(Request("e"), b"m", ["a", "b", "x", "y"])
        submit(queue, "y")
        answers = {
            "held by another": queue.reserve_argument("a", "e"),
            "ignores its result": queue.reserve_argument("b", "e"),
            "not missed": queue.reserve_argument("c", "e"),
            "absent": queue.reserve_argument("x", "e"),
            "younger": queue.reserve_argument("y", "e"),
            "another incarnation": queue.reserve_argument("a", "d", token=Token.new()),
            "another dependent": queue.reserve_argument("a", "d", deferred_token=Token.new()),
            "no dependent": queue.reserve_argument("a", "z"),
        }
        assert set(answers.values()) == {(False, None)}, answers
        assert queue.pop("a") is RESERVED

    @pytest.mark.spec("ARG-1", "ARG-2", "ARG-4")
    def test_an_argument_is_set_once(self, queue: AbstractTaskQueue) -> None:
        queue.defer_task(Request("d"), b"m", ["a", "b"])
        assert not queue.set_argument("z", "a", b"0")
        assert not queue.set_argument("d", "z", b"0")
        assert not queue.set_argument("d", "a", b"1")
        assert not queue.set_argument("d", "a", b"2")
        assert not queue.set_argument("d", "b", b"3", token=Token.new())
        assert queue.set_argument("d", "b", b"3")
        assert queue.set_argument("d", "a", b"4")
        assert claim(queue).arguments == {"a": result(b"1"), "b": result(b"3")}

    @pytest.mark.spec("ARG-3", "RSV-1")
    def test_an_argument_that_is_set_frees_the_one_that_was_reserved(
        self, queue: AbstractTaskQueue
    ) -> None:
        submit(queue, "a")
        submit(queue, "d", "a")
        assert queue.set_argument("d", "a", b"1")
        assert queue.pop("a") is None
        submit(queue, "e", "a")
        queue.discard("d")
        assert queue.pop("a") is RESERVED

    @pytest.mark.spec("GAR-1", "GAR-2", "OUT-2")
    def test_the_arguments_that_have_arrived_can_be_read(self, queue: AbstractTaskQueue) -> None:
        completed(queue, "a")
        submit(queue, "b")
        submit(queue, "c")
        token = submit(queue, "d", "a", "b", "c", on_error="pass")
        queue.discard("b")
        expected = {"a": b"of a", "b": TASK_EXPIRED}
        assert queue.get_arguments("d") == expected
        assert queue.get_arguments("d", token=token) == expected
        assert queue.get_arguments("d", token=token._replace(start=1)) == {}
        run(queue, b"3")
        claimed = claim(queue)
        assert queue.get_arguments("d", token=token) == {}
        assert queue.get_arguments("d", token=claimed.token) == {**expected, "c": b"3"}
        queue.finish("d", b"r", LONG_S, token=claimed.token)
        assert queue.get_arguments("d") == {}

    @pytest.mark.spec("GAR-3")
    def test_the_arguments_of_a_last_start_can_be_read_until_its_lease(
        self, queue: AbstractTaskQueue, clock: ManualClock
    ) -> None:
        completed(queue, "a")
        submit(queue, "d", "a", ignore_result=True)
        claimed = claim(queue)
        assert queue.get_arguments("d") == {"a": b"of a"}
        submit(queue, "d")
        assert queue.get_arguments("d") == {}
        assert queue.get_arguments("d", token=claimed.token) == {"a": b"of a"}
        assert queue.get_arguments("d", token=claimed.token._replace(start=2)) == {}
        clock.advance(LEASE_MS - 1)
        assert queue.get_arguments("d", token=claimed.token) == {"a": b"of a"}
        clock.advance(1)
        assert queue.get_arguments("d", token=claimed.token) == {}

    @pytest.mark.spec("GAR-3")
    def test_without_a_token_the_latest_of_the_last_starts_is_meant(
        self, queue: AbstractTaskQueue
    ) -> None:
        completed(queue, "a")
        submit(queue, "d", "a", ignore_result=True)
        claim(queue)
        submit(queue, "d", ignore_result=True)
        claim(queue)
        assert queue.get_arguments("d") == {}

    @pytest.mark.spec("GAR-3")
    def test_each_last_start_shows_its_arguments_until_its_own_lease(
        self, queue: AbstractTaskQueue, clock: ManualClock
    ) -> None:
        completed(queue, "a")
        completed(queue, "b")
        submit(queue, "d", "a", ignore_result=True, heartrate=100)
        first = claim(queue)
        submit(queue, "d", "b", ignore_result=True, heartrate=1)
        second = claim(queue)
        assert queue.get_arguments("d") == {"b": b"of b"}
        clock.advance(2 * 1000 + 5000)
        assert queue.get_arguments("d", token=second.token) == {}
        assert queue.get_arguments("d", token=first.token) == {"a": b"of a"}


@pytest.mark.spec("CLM-1", "DSC-1")
def test_an_id_that_comes_back_stands_where_it_was_submitted_last(
    queue: AbstractTaskQueue,
) -> None:
    for task_id in "apqrstuvw":
        submit(queue, task_id)
    queue.discard("w")
    queue.discard("a")
    submit(queue, "a")
    queue.discard("p")
    claimed = [claim(queue).id for _ in range(queue.size())]
    assert claimed == ["q", "r", "s", "t", "u", "v", "a"]
