"""Many operations in one call are those operations one after another."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import inf
from typing import Any

import pytest

from tests.backends.conftest import MakeQueue, Start
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.const import COMPLETED, ENQUEUED, PROCESSING, RESERVED, TASK_EXPIRED
from worq.errors import QueueClosed
from worq.values import (
    EXPIRED,
    Claim,
    Finished,
    Finishing,
    Outcome,
    Request,
    Submission,
    Submitted,
    Token,
)

ACCEPTED = Submitted("accepted")
DONE = Outcome("result", b"done")
FOREIGN = Token.new()
MANY = 2500
"""More than any backend does at once."""


def submission(
    task_id: str, *args: str, attempts: int = 1, token: Token | None = None
) -> Submission:
    request = Request(task_id, token, attempts=attempts)
    return Submission(request, task_id.encode(), dict.fromkeys(args))


def finishing(claim: Claim, *, failed: bool = False) -> Finishing:
    return Finishing(claim.id, b"done", 60, claim.token, failed)


def claimed(queue: AbstractTaskQueue, *task_ids: str, attempts: int = 1) -> list[Claim]:
    queue.submit_many([submission(task_id, attempts=attempts) for task_id in task_ids])
    claims = [queue.claim(0) for _ in task_ids]
    return [claim for claim in claims if claim is not None]


def completed(queue: AbstractTaskQueue, *task_ids: str) -> None:
    queue.finish_many([finishing(claim) for claim in claimed(queue, *task_ids)])


def drained(queue: AbstractTaskQueue) -> list[str]:
    """The ids of all that are ready, in order."""
    ids: list[str] = []
    while claim := queue.claim(0):
        ids.append(claim.id)
    return ids


class TestSubmitting:
    @pytest.mark.spec("ENV-BULK-1")
    def test_tasks_are_accepted_in_order(self, queue: AbstractTaskQueue) -> None:
        assert queue.submit_many([submission(task_id) for task_id in "cab"]) == [ACCEPTED] * 3
        assert drained(queue) == ["c", "a", "b"]

    @pytest.mark.spec("ENV-BULK-1", "SUB-1", "SUB-2")
    def test_each_sees_those_before_it(self, queue: AbstractTaskQueue) -> None:
        first = submission("a", token=FOREIGN)
        answers = queue.submit_many([first, submission("a"), first, submission("b", "a")])
        assert [answer.status for answer in answers] == [
            "accepted",
            "duplicate",
            "accepted",
            "accepted",
        ]
        assert queue.pop("a") is RESERVED
        assert queue.size() == 2

    @pytest.mark.spec("ENV-BULK-1", "SUB-3", "SUB-4", "SUB-5", "SUB-8")
    def test_each_has_the_answer_that_it_would_have_alone(self, queue: AbstractTaskQueue) -> None:
        (claim,) = claimed(queue, "f")
        queue.finish_many([finishing(claim, failed=True)])
        failure = Outcome("failure", b"why", "x")
        forgetful = Request("i", ignore_result=True)
        answers = queue.submit_many(
            [
                submission("a", "z"),
                Submission(forgetful, b"", outcome=failure),
                Submission(forgetful, b"", outcome=EXPIRED),
                submission("b", "f"),
                submission("c"),
                Submission(Request("d"), b"", outcome=failure),
            ]
        )
        assert answers == [
            Submitted("unavailable", "z"),
            Submitted("accepted", outcome=failure),
            Submitted("accepted", outcome=EXPIRED),
            ACCEPTED,
            ACCEPTED,
            ACCEPTED,
        ]
        assert queue.pop("b") == Outcome("failure", b"done", "f")
        assert queue.pop("d") == failure
        assert drained(queue) == ["c"]

    @pytest.mark.spec("ENV-BULK-1")
    def test_none_is_no_task(self, queue: AbstractTaskQueue) -> None:
        assert queue.submit_many([]) == []
        assert queue.finish_many([]) == ([], [])
        assert queue.pop_many([], None) == []


class TestFinishing:
    @pytest.mark.spec("ENV-BULK-1", "FIN-1", "FIN-2", "FIN-4")
    def test_each_ends_its_claim(self, queue: AbstractTaskQueue) -> None:
        a, b = claimed(queue, "a", "b")
        queue.submit(Request("d"), b"", {"a": None})
        answers, claims = queue.finish_many([finishing(a), finishing(a), finishing(b)])
        assert answers == [Finished(True, "d"), Finished(False), Finished(True)]
        assert claims == []
        assert [queue.status(task_id) for task_id in "abd"] == [None, COMPLETED, ENQUEUED]

    @pytest.mark.spec("ENV-BULK-1", "FIN-1", "FIN-2", "FIN-3", "FIN-4")
    def test_each_finish_does_what_it_would_alone(self, queue: AbstractTaskQueue) -> None:
        a, b, c, d = claimed(queue, "a", "b", "c", "d")
        queue.submit(Request("i", ignore_result=True, attempts=2), b"")
        queue.submit(Request("e", ignore_result=True, attempts=2), b"", {"d": None})
        i = queue.claim(0)
        assert i is not None
        finishings = [
            Finishing("a", b"for ever", inf, a.token),
            Finishing("b", b"late", 60, Token(b.token.incarnation, b.token.start + 1)),
            finishing(i),
            finishing(c, failed=True),
            finishing(b),
            finishing(d),
            Finishing("absent", b"", 60),
        ]
        accepted = Finished(True)
        refused = Finished(False)
        assert queue.finish_many(finishings) == (
            [accepted, refused, accepted, accepted, accepted, Finished(True, "e"), refused],
            [],
        )
        assert [queue.status(each) for each in "abcdi"] == [COMPLETED] * 3 + [None] * 2
        e = queue.claim(0)
        assert e is not None
        assert e.arguments == {"d": DONE}
        queue.submit(Request("f"), b"")
        assert queue.finish_many([finishing(e), finishing(a)]) == ([accepted, refused], [])
        queue.purge()
        popped = queue.pop_many([(task_id, None) for task_id in "abc"])
        assert popped == [Outcome("result", b"for ever"), DONE, Outcome("failure", b"done")]

    @pytest.mark.spec("ENV-BULK-1", "FIN-4", "ENV-WAIT-2")
    def test_each_tells_who_waits_for_it(self, queue: AbstractTaskQueue, start: Start) -> None:
        claims = claimed(queue, "a", "b", "c")
        calls = [start(partial(queue.pop, each.id, None)) for each in claims[1:]]
        assert all(call.sleeps() for call in calls)
        queue.finish_many([finishing(each) for each in claims])
        assert [call.answer() for call in calls] == [DONE] * 2

    @pytest.mark.spec("ENV-BULK-1", "ENV-BULK-3")
    def test_the_next_claim_comes_after_them(self, queue: AbstractTaskQueue) -> None:
        (a,) = claimed(queue, "a")
        queue.submit(Request("d"), b"", {"a": None})
        answers, claims = queue.finish_many([finishing(a)], claims=1)
        assert answers == [Finished(True, "d")]
        assert [(claim.id, claim.arguments) for claim in claims] == [("d", {"a": DONE})]
        assert queue.status("d") == PROCESSING

    @pytest.mark.spec("ENV-BULK-4")
    def test_its_claims_wait_for_nothing(self, queue: AbstractTaskQueue) -> None:
        assert queue.finish_many([], claims=3) == ([], [])

    @pytest.mark.spec("ENV-BULK-1", "TIM-1")
    def test_an_outcome_that_is_kept_for_no_time_is_gone(self, queue: AbstractTaskQueue) -> None:
        a, b = claimed(queue, "a", "b")
        at_once = [Finishing(each.id, b"", 0, each.token) for each in (a, b)]
        assert queue.finish_many(at_once) == ([Finished(True)] * 2, [])
        assert [queue.status("a"), queue.status("b")] == [None, None]


class TestClaiming:
    @pytest.mark.spec("ENV-BULK-3")
    @pytest.mark.parametrize("count", [1, 5])
    def test_a_claim_in_advance_never_takes_a_last_start(
        self, queue: AbstractTaskQueue, count: int
    ) -> None:
        queue.submit_many([submission(task_id) for task_id in "abc"])
        assert [claim.id for claim in queue.claim_many(count, 0)] == ["a"]
        (b,) = queue.claim_many(count, 0)
        assert (b.id, b.token.start, b.message) == ("b", 1, b"b")
        assert [claim.id for claim in queue.finish_many([finishing(b)], count)[1]] == ["c"]

    @pytest.mark.spec("ENV-BULK-3")
    def test_what_can_be_started_again_is_claimed_in_order(self, queue: AbstractTaskQueue) -> None:
        queue.submit_many(
            [
                submission("a"),
                submission("b", attempts=2),
                submission("c", attempts=2),
                submission("d"),
                submission("e", attempts=2),
            ]
        )
        seen: list[list[str]] = []
        while claims := queue.claim_many(3, 0):
            seen.append([claim.id for claim in claims])
        assert [task_id for ids in seen for task_id in ids] == ["a", "b", "c", "d", "e"]
        assert "d" not in [task_id for ids in seen for task_id in ids[1:]]
        assert all(len(ids) <= 3 for ids in seen)

    @pytest.mark.spec("ENV-BULK-3", "TIM-3", "TIM-4")
    def test_a_second_start_of_two_is_the_last(
        self, queue: AbstractTaskQueue, clock: ManualClock
    ) -> None:
        queue.submit_many([submission(task_id, attempts=2) for task_id in "ab"])
        first = [*queue.claim_many(2, 0), *queue.claim_many(2, 0)]
        assert {claim.token.start for claim in first} == {1}
        clock.advance(10**6)
        assert [(c.id, c.token.start) for c in queue.claim_many(2, 0)] == [("a", 2)]
        assert queue.status("b") == ENQUEUED

    @pytest.mark.spec("ENV-BULK-4", "ENV-WAIT-2")
    def test_it_waits_for_the_first(self, queue: AbstractTaskQueue, start: Start) -> None:
        call = start(partial(queue.claim_many, 3))
        assert call.sleeps()
        queue.submit(Request("a"), b"")
        assert [claim.id for claim in call.answer()] == ["a"]

    @pytest.mark.spec("ENV-BULK-4", "ENV-WAIT-1", "ENV-WAIT-2")
    def test_it_waits_no_longer_than_its_timeout(
        self, queue: AbstractTaskQueue, clock: ManualClock, start: Start
    ) -> None:
        assert queue.claim_many(3, 0) == []
        call = start(partial(queue.claim_many, 3, 1))
        assert call.sleeps()
        clock.advance(1000)
        assert call.answer() == []


class TestPopping:
    @pytest.mark.spec("ENV-BULK-1", "ENV-BULK-5", "POP-1", "POP-3", "POP-4", "POP-5")
    def test_each_has_its_answer(self, queue: AbstractTaskQueue) -> None:
        completed(queue, "a")
        claimed(queue, "b", "c")
        queue.submit(Request("d"), b"", {"c": None})
        tasks = [(task_id, None) for task_id in ("b", "a", "a", "c", "z", "d")]
        expected = [None, DONE, TASK_EXPIRED, RESERVED, TASK_EXPIRED, None]
        assert queue.pop_many(tasks) == expected
        assert queue.status("a") is None

    @pytest.mark.spec("ENV-BULK-1", "TOK-1")
    def test_one_of_another_incarnation_is_absent(self, queue: AbstractTaskQueue) -> None:
        completed(queue, "a", "b")
        assert queue.pop_many([("a", FOREIGN), ("b", None)]) == [TASK_EXPIRED, DONE]
        assert queue.status("a") == COMPLETED

    @pytest.mark.spec("ENV-BULK-5", "ENV-WAIT-2")
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_it_waits_for_any_of_them(
        self, queue: AbstractTaskQueue, start: Start, place: int
    ) -> None:
        claims = claimed(queue, "a", "b", "c")
        tasks = [(claim.id, claim.token) for claim in claims]
        call = start(partial(queue.pop_many, tasks, None))
        assert call.sleeps()
        queue.finish_many([finishing(claims[place])])
        assert call.answer() == [DONE if n == place else None for n in range(3)]

    @pytest.mark.spec("ENV-BULK-5")
    @pytest.mark.parametrize(
        ("end", "answer"),
        [
            (lambda queue: queue.discard("b"), TASK_EXPIRED),
            (lambda queue: queue.submit(Request("d"), b"", {"b": None}), RESERVED),
        ],
        ids=["discarded", "reserved"],
    )
    def test_whatever_the_answer_is(
        self,
        queue: AbstractTaskQueue,
        start: Start,
        end: Callable[[AbstractTaskQueue], Any],
        answer: object,
    ) -> None:
        tasks = [(claim.id, claim.token) for claim in claimed(queue, "a", "b")]
        call = start(partial(queue.pop_many, tasks, None))
        assert call.sleeps()
        end(queue)
        assert call.answer() == [None, answer]

    @pytest.mark.spec("ENV-BULK-5", "PRG-1", "ENV-WAIT-5")
    @pytest.mark.parametrize("place", [0, 1])
    def test_a_purge_is_told_to_who_waits_for_others_too(
        self, queue: AbstractTaskQueue, start: Start, place: int
    ) -> None:
        (a,) = claimed(queue, "a")
        queue.submit(Request("b"), b"")
        tasks: list[tuple[str, Token | None]] = [("a", a.token), ("a", a.token)]
        tasks[place] = ("b", None)
        call = start(partial(queue.pop_many, tasks, None))
        assert call.sleeps()
        queue.purge()
        assert call.answer() == [TASK_EXPIRED if n == place else None for n in range(2)]

    @pytest.mark.spec("ENV-BULK-5")
    def test_what_is_there_is_answered_at_once(self, queue: AbstractTaskQueue) -> None:
        claimed(queue, "a")
        assert queue.pop_many([("a", None), ("z", None)], None) == [None, TASK_EXPIRED]

    @pytest.mark.spec("ENV-BULK-5", "ENV-WAIT-2", "ENV-WAIT-8")
    def test_it_waits_no_longer_than_its_timeout(
        self, queue: AbstractTaskQueue, clock: ManualClock, start: Start
    ) -> None:
        tasks = [(claim.id, claim.token) for claim in claimed(queue, "a", "b")]
        call = start(partial(queue.pop_many, tasks, 1))
        assert call.sleeps()
        clock.advance(999)
        assert call.sleeps()
        clock.advance(1)
        assert call.answer() == [None, None]

    @pytest.mark.spec("ENV-BULK-5", "ENV-WAIT-4")
    def test_a_lease_that_passes_meanwhile_is_an_answer(
        self, queue: AbstractTaskQueue, clock: ManualClock, start: Start
    ) -> None:
        tasks = [(claim.id, claim.token) for claim in claimed(queue, "a", "b")]
        queue.heartbeat("b", 100)
        call = start(partial(queue.pop_many, tasks, None))
        assert call.sleeps()
        clock.advance(70_000)
        assert call.answer() == [TASK_EXPIRED, None]


class TestMany:
    @pytest.mark.spec("ENV-BULK-1", "ENV-BULK-5")
    def test_however_many(self, queue: AbstractTaskQueue) -> None:
        ids = [f"t{n}" for n in range(MANY)]
        assert (
            queue.submit_many([submission(each, attempts=2) for each in ids]) == [ACCEPTED] * MANY
        )
        claims: list[Claim] = []
        while some := queue.claim_many(MANY, 0):
            claims += some
        assert [claim.id for claim in claims] == ids
        finishings = [Finishing(c.id, c.id.encode(), 60, c.token) for c in claims]
        assert queue.finish_many(finishings) == ([Finished(True)] * MANY, [])
        outcomes = queue.pop_many([(claim.id, claim.token) for claim in claims])
        assert outcomes == [Outcome("result", task_id.encode()) for task_id in ids]

    @pytest.mark.spec("ENV-BULK-1", "SUB-2")
    def test_answers_stay_in_order_across_pieces(self, queue: AbstractTaskQueue) -> None:
        ids = [f"t{n}" for n in range(MANY)]
        queue.submit_many([submission(each) for each in ids[: MANY // 3]])
        answers = queue.submit_many([submission(each) for each in ids])
        assert [a.status for a in answers].index("accepted") == MANY // 3
        assert answers[MANY // 3 :] == [ACCEPTED] * (MANY - MANY // 3)

    @pytest.mark.spec("ENV-BULK-1", "ENV-BULK-3")
    def test_claims_come_once_behind_all_pieces(self, queue: AbstractTaskQueue) -> None:
        ids = [f"t{n}" for n in range(MANY)]
        queue.submit_many([submission(each, attempts=2) for each in ids])
        claims: list[Claim] = []
        while some := queue.claim_many(MANY, 0):
            claims += some
        queue.submit_many([submission(each, attempts=2) for each in "abc"])
        answers, (next_claim,) = queue.finish_many([finishing(claim) for claim in claims], 1)
        assert answers == [Finished(accepted=True)] * MANY
        assert next_claim.id == "a"
        assert queue.size() == 2
        queue.pop_many([(claim.id, claim.token) for claim in claims])

    @pytest.mark.spec("ENV-BULK-1", "OUT-3", "ENV-REDIS-4", "ENV-SQLITE-9")
    def test_what_comes_behind_sees_the_rest_of_a_bulk_operation_done(
        self, queue: AbstractTaskQueue
    ) -> None:
        """However far the failure of the first has to go."""
        (a,) = claimed(queue, "a")
        ids = ["a", *(f"t{n}" for n in range(1_200))]
        queue.submit_many([submission(each, before) for before, each in pairwise(ids)])
        queue.submit(Request("b", on_error="pass"), b"", {ids[-1]: None})
        answers, claims = queue.finish_many([finishing(a, failed=True)], 1)
        assert answers == [Finished(accepted=True, dependent_id="t0")]
        assert [claim.id for claim in claims] == ["b"]

    @pytest.mark.spec("ENV-BULK-5", "ENV-WAIT-2")
    @pytest.mark.parametrize("place", [0, MANY - 1])
    def test_however_many_it_waits_for(
        self, queue: AbstractTaskQueue, start: Start, place: int
    ) -> None:
        ids = [f"t{n}" for n in range(MANY)]
        queue.submit_many([submission(each) for each in ids])
        call = start(partial(queue.pop_many, [(each, None) for each in ids], None))
        assert call.sleeps()
        queue.discard(ids[place])
        assert call.answer() == [TASK_EXPIRED if n == place else None for n in range(MANY)]


class TestErrors:
    @pytest.mark.spec("ENV-BULK-2", "ENV-BAD-5")
    @pytest.mark.parametrize(
        ("give", "error", "text"),
        [
            (lambda q: q.submit_many("ab"), TypeError, "submissions: a sequence is needed"),
            (lambda q: q.submit_many(None), TypeError, "submissions: a sequence .* not None"),
            (
                lambda q: q.submit_many([submission("z"), Request("y")]),
                TypeError,
                r"submissions\[1\]: a Submission is needed, not Request",
            ),
            (
                lambda q: q.submit_many([submission("z"), Submission(Request("y"), "m")]),  # type: ignore[arg-type]
                TypeError,
                r"submissions\[1\]\.message: bytes are needed, not str: 'm'",
            ),
            (
                lambda q: q.submit_many([submission("z"), submission("")]),
                ValueError,
                r"submissions\[1\]\.id: a name must not be empty",
            ),
            (lambda q: q.finish_many([7]), TypeError, r"finishings\[0\]: a Finishing is needed"),
            (
                lambda q: q.finish_many([Finishing("a", b"", 1), Finishing("b", b"", -1)]),
                ValueError,
                r"finishings\[1\]\.timeout: .* not -1",
            ),
            (lambda q: q.finish_many([], -1), ValueError, "claims: 0 or more is needed, not -1"),
            (
                lambda q: q.finish_many([], None),
                TypeError,
                "claims: an integer is needed, not None",
            ),
            (lambda q: q.claim_many(0), ValueError, "limit: 1 or more is needed, not 0"),
            (lambda q: q.claim_many(True), TypeError, "limit: an integer is needed, not True"),
            (lambda q: q.claim_many(1, -1), ValueError, "timeout: .* not -1"),
            (lambda q: q.pop_many(["a"]), TypeError, r"tasks\[0\]: an id and a token, .* not 'a'"),
            (
                lambda q: q.pop_many([("a", None), ("b", 7)]),
                TypeError,
                r"tasks\[1\]\.token: a Token is needed, not 7",
            ),
            (lambda q: q.pop_many([("a", None)], -2), ValueError, "timeout: .* not -2"),
        ],
    )
    def test_nothing_has_changed_when_an_item_is_wrong(
        self,
        queue: AbstractTaskQueue,
        give: Callable[[Any], object],
        error: type[Exception],
        text: str,
    ) -> None:
        completed(queue, "a")
        claimed(queue, "b")
        with pytest.raises(error, match=f"^{text}"):
            give(queue)
        assert [queue.status(each) for each in "abz"] == [COMPLETED, PROCESSING, None]

    @pytest.mark.spec("ENV-BULK-6", "ENV-WAIT-7")
    def test_a_closed_queue_does_nothing_more(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        queue.close()
        gives: list[Callable[[], object]] = [
            lambda: queue.submit_many([submission("a")]),
            lambda: queue.finish_many([Finishing("a", b"", 1)], 1),
            lambda: queue.finish_many([], 1),
            lambda: queue.claim_many(2, 0),
            lambda: queue.pop_many([("a", None), ("b", None)]),
        ]
        for give in gives:
            with pytest.raises(QueueClosed) as caught:
                give()
            assert caught.value.answers == ()

    @pytest.mark.spec("ENV-WAIT-7", "ENV-BULK-4", "ENV-BULK-5")
    def test_closing_ends_a_wait(self, make_queue: MakeQueue, start: Start) -> None:
        queue = make_queue()
        queue.submit_many([submission("a"), submission("b")])
        pop = start(partial(queue.pop_many, [("a", None), ("b", None)], None))
        drained(queue)
        claim = start(partial(queue.claim_many, 2))
        assert pop.sleeps()
        assert claim.sleeps()
        queue.close()
        assert [type(pop.error()), type(claim.error())] == [QueueClosed, QueueClosed]
