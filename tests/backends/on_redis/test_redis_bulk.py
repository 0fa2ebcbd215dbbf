"""Many operations on Redis: how many scripts they take, what each of them may do, and who is woken."""

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from itertools import pairwise
from math import inf
from typing import Any

import pytest
import redis

from tests.backends.calls import Call
from tests.backends.on_redis.cases import KEY, claim, complete, submit
from tests.backends.on_redis.proxy import Proxy
from worq.clock import ManualClock
from worq.const import TASK_EXPIRED
from worq.errors import BackendUnavailable, QueueClosed
from worq.queue.redis import TaskQueue, many
from worq.values import Claim, Finished, Finishing, Outcome, Request, Submission, Submitted, Token

pytestmark = pytest.mark.usefixtures("queue")
ACCEPTED = Submitted("accepted")
DONE = Outcome("result", b"done")
SOME = 200
"""As many as one script does."""
MANY = 2_500
RECORDS_MAX = 1_000
LARGE = 300_000
"""Bytes, of which few go into one script."""


def submissions(ids: Sequence[str], message: bytes = b"", attempts: int = 2) -> list[Submission]:
    return [Submission(Request(task_id, attempts=attempts), message) for task_id in ids]


def finishings(claims: Sequence[Claim], message: bytes = b"done") -> list[Finishing]:
    return [Finishing(each.id, message, 60, each.token) for each in claims]


def ids_of(count: int) -> list[str]:
    return [f"t{n}" for n in range(count)]


def completed(queue: TaskQueue, ids: Sequence[str], message: bytes = b"done") -> None:
    queue.submit_many(submissions(ids))
    while claims := queue.claim_many(MANY, 0):
        queue.finish_many(finishings(claims, message))


class Scripts:
    """How many scripts a call takes, once the server knows them."""

    def __init__(self, queue: TaskQueue, proxy: Proxy) -> None:
        queue.submit_many(submissions(["x"]))
        queue.finish_many([], 1)
        queue.claim_many(1, 0)
        queue.pop_many([("x", None)])
        queue.discard("x")
        self._proxy = proxy

    def of(self, act: Callable[[], Any]) -> tuple[int, Any]:
        before = self._proxy.scripts
        answer = act()
        return self._proxy.scripts - before, answer


@pytest.fixture
def scripts(through: TaskQueue, proxy: Proxy) -> Scripts:
    return Scripts(through, proxy)


class TestRoundTrips:
    @pytest.mark.spec("ENV-BULK-1", "ENV-REDIS-1")
    def test_some_hundred_are_one(self, through: TaskQueue, scripts: Scripts) -> None:
        ids = ids_of(SOME)
        assert scripts.of(lambda: through.submit_many(submissions(ids))) == (1, [ACCEPTED] * SOME)
        took, claims = scripts.of(lambda: through.claim_many(SOME, 0))
        assert (took, [each.id for each in claims]) == (1, ids)
        through.submit(Request("a"), b"")
        took, (ended, (a,)) = scripts.of(lambda: through.finish_many(finishings(claims), 5))
        assert (took, ended, a.id) == (1, [Finished(accepted=True)] * SOME, "a")
        tasks = [(each.id, each.token) for each in claims]
        assert scripts.of(lambda: through.pop_many(tasks, 10)) == (1, [DONE] * SOME)

    @pytest.mark.spec("ENV-BULK-4", "ENV-REDIS-1")
    def test_many_claims_that_waited_are_two(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, scripts: Scripts
    ) -> None:
        del scripts
        before = proxy.scripts
        call = Call(lambda: through.claim_many(5))
        assert call.sleeps()
        queue.submit_many(submissions(["a", "b"]))
        assert [each.id for each in call.answer()] == ["a", "b"]
        assert proxy.scripts == before + 2

    @pytest.mark.spec("ENV-BULK-5", "ENV-REDIS-1")
    def test_a_pop_of_many_that_waited_is_two(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, scripts: Scripts, raw: Any
    ) -> None:
        del scripts
        ids = ids_of(SOME)
        queue.submit_many(submissions(ids))
        before = proxy.scripts
        call = Call(lambda: through.pop_many([(each, None) for each in ids], None))
        assert call.sleeps()
        queue.discard(ids[-1])
        assert call.answer() == [None] * (SOME - 1) + [TASK_EXPIRED]
        assert proxy.scripts == before + 2
        assert not raw.keys(f"{KEY}:session:wait:*")

    @pytest.mark.spec("ENV-BULK-5", "ENV-WAIT-4")
    def test_a_pop_of_many_that_finds_one_waits_for_none(
        self, queue: TaskQueue, through: TaskQueue, scripts: Scripts, raw: Any
    ) -> None:
        complete(queue, "a")
        submit(queue, "b")
        pop = partial(through.pop_many, [("a", None), ("b", None)], 10)
        assert scripts.of(pop) == (1, [DONE, None])
        assert not raw.keys(f"{KEY}:session:wait:*")

    @pytest.mark.spec("ENV-BULK-5")
    @pytest.mark.parametrize("place", [0, MANY - 1])
    def test_it_waits_for_what_takes_several_scripts(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, scripts: Scripts, place: int
    ) -> None:
        del scripts
        ids = ids_of(MANY)
        queue.submit_many(submissions(ids))
        looks = -(-MANY // many.OPERATIONS_MAX)
        before = proxy.scripts
        call = Call(lambda: through.pop_many([(each, None) for each in ids], None))
        proxy.wait_until(lambda: proxy.scripts == before + looks)
        assert call.sleeps()
        queue.discard(ids[place])
        assert call.answer() == [TASK_EXPIRED if n == place else None for n in range(MANY)]
        assert proxy.scripts == before + 2 * looks


class TestBounds:
    @pytest.mark.spec("ENV-REDIS-4", "ENV-BULK-1")
    def test_no_script_changes_too_many_records(
        self,
        monkeypatch: pytest.MonkeyPatch,
        raw: Any,
        through: TaskQueue,
        proxy: Proxy,
    ) -> None:
        """However many it is given."""
        monkeypatch.setattr(many, "OPERATIONS_MAX", MANY)
        ids = ids_of(MANY)
        seen: list[int] = []
        proxy.before_script = lambda: seen.append(raw.hlen(f"{KEY}:waiting"))
        assert through.submit_many(submissions(ids)) == [ACCEPTED] * MANY
        seen.append(raw.hlen(f"{KEY}:waiting"))
        assert max(after - before for before, after in pairwise(seen)) <= RECORDS_MAX
        claims: list[Claim] = []
        while some := through.claim_many(MANY, 0):
            assert len(some) <= RECORDS_MAX
            claims += some
        assert [each.id for each in claims] == ids
        assert through.finish_many(finishings(claims))[0] == [Finished(accepted=True)] * MANY
        assert through.pop_many([(each, None) for each in ids]) == [DONE] * MANY
        assert not raw.exists(KEY)

    @pytest.mark.spec("ENV-REDIS-4", "ENV-BULK-1")
    def test_a_cascade_in_the_midst_is_finished_before_the_next_operation(
        self, queue: TaskQueue
    ) -> None:
        submit(queue, "a")
        a = claim(queue)
        last = "a"
        for task_id in ids_of(MANY):
            submit(queue, task_id, last)
            last = task_id
        submit(queue, "b", attempts=2)
        failure = Finishing("a", b"why", 60, a.token, failed=True)
        assert queue.finish_many([failure, failure], 3)[0] == [
            Finished(accepted=True, dependent_id="t0"),
            Finished(accepted=False),
        ]
        assert queue.pop_many([(last, None)]) == [Outcome("failure", b"why", "a")]
        assert queue.status("b") == "processing"

    @pytest.mark.spec("ENV-BULK-1")
    def test_no_script_has_much_to_carry(
        self, through: TaskQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids, large = ids_of(9), b"m" * LARGE
        lengths: list[int] = []
        perform = through._link.perform  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

        def noted(*arguments: Any) -> bytes:
            reply = perform(*arguments)
            sent = sum(map(len, arguments[2]))
            lengths.append(max(len(reply), sent))
            return reply

        monkeypatch.setattr(through._link, "perform", noted)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        through.submit_many(submissions(ids, large))
        claims: list[Claim] = []
        while some := through.claim_many(MANY, 0):
            claims += some
        assert [each.message for each in claims] == [large] * 9
        through.finish_many(finishings(claims, large))
        answers = through.pop_many([(each, None) for each in ids])
        assert answers == [Outcome("result", large)] * 9
        assert max(lengths) <= many.BYTES_MAX + 2 * LARGE
        assert len(lengths) >= 4 * 3


class TestStale:
    @pytest.mark.spec("ENV-BULK-3", "CLM-1")
    def test_claims_pass_over_what_has_ended(self, queue: TaskQueue) -> None:
        ids = ids_of(40)
        queue.submit_many(submissions(ids))
        for task_id in ids[::3]:
            queue.discard(task_id)
        left = [task_id for task_id in ids if task_id not in ids[::3]]
        claims = [each.id for _ in range(3) for each in queue.claim_many(10, 0)]
        assert claims == left[:26]

    @pytest.mark.spec("ENV-BULK-3", "CLM-1")
    @pytest.mark.parametrize("ended", [["t0"], ["t0", "t3"], ["t4"], ["t5", "t1"]])
    def test_what_is_not_claimed_in_advance_keeps_its_place(
        self, queue: TaskQueue, ended: list[str]
    ) -> None:
        ids = ids_of(6)
        for n, task_id in enumerate(ids):
            submit(queue, task_id, attempts=1 if n % 2 else 2)
        for task_id in ended:
            queue.discard(task_id)
        seen: list[list[str]] = []
        while claims := queue.claim_many(6, 0):
            seen.append([each.id for each in claims])
        assert [task_id for some in seen for task_id in some] == [e for e in ids if e not in ended]
        assert all(int(task_id[1:]) % 2 == 0 for some in seen for task_id in some[1:])


class TestKeys:
    @pytest.mark.spec("ENV-REDIS-5")
    def test_keys_have_a_ttl_once_all_that_was_claimed_at_once_would_expire(
        self, queue: TaskQueue, raw: Any
    ) -> None:
        queue.submit_many(submissions(["a", "b", "c"]))
        claims = queue.claim_many(3, 0)
        assert raw.ttl(KEY) == -1
        queue.finish_many(finishings(claims[:2]))
        assert raw.ttl(KEY) == -1
        queue.finish_many(finishings(claims[2:]))
        assert raw.ttl(KEY) > 0
        queue.pop_many([("a", None), ("b", None)])
        assert raw.ttl(KEY) > 0

    @pytest.mark.spec("ENV-REDIS-5")
    def test_finishes_of_many_leave_what_each_of_them_would(
        self, queue: TaskQueue, raw: Any
    ) -> None:
        completed(queue, ["x"])
        queue.submit_many(submissions(["a"]))
        submit(queue, "b", "x", attempts=2)
        a, b = queue.claim_many(2, 0)
        assert raw.hlen(f"{KEY}:taken") == 1
        queue.finish_many([Finishing("a", b"", inf, a.token), Finishing("b", b"", 60, b.token)])
        assert raw.exists(f"{KEY}:taken", f"{KEY}:leases") == 0
        assert raw.hget(KEY, "kept") == b"1"
        assert raw.ttl(KEY) == -1
        queue.pop("a", 0)
        assert raw.hget(KEY, "kept") == b"0"
        assert raw.ttl(KEY) > 0


class TestWaking:
    @pytest.mark.spec("ENV-WAIT-6", "ENV-BULK-1")
    def test_each_of_several_tasks_wakes_one(self, timed: TaskQueue) -> None:
        calls = [Call(lambda: timed.claim(None)) for _ in range(4)]
        assert all(call.sleeps() for call in calls)
        timed.submit_many(submissions(["a", "b", "c"]))
        done = [call for call in calls if call.ended(2)]
        assert sorted(each.id for call in done if (each := call.answer())) == ["a", "b", "c"]
        timed.submit(Request("d"), b"")
        assert [each.id for call in calls if call not in done and (each := call.answer())] == ["d"]

    @pytest.mark.spec("ENV-WAIT-6", "ENV-BULK-3")
    def test_claims_that_leave_tasks_behind_pass_the_baton_on(self, timed: TaskQueue) -> None:
        calls = [Call(lambda: timed.claim_many(2)) for _ in range(2)]
        assert all(call.sleeps() for call in calls)
        timed.submit_many(submissions(["a", "b", "c"]))
        claimed = [[each.id for each in call.answer()] for call in calls]
        assert sorted(claimed) == [["a", "b"], ["c"]]

    @pytest.mark.spec("ENV-BULK-1", "ENV-WAIT-6")
    def test_what_is_claimed_with_its_finish_wakes_nobody(self, timed: TaskQueue, raw: Any) -> None:
        submit(timed, "a")
        a = claim(timed)
        submit(timed, "b", "a")
        _, (b,) = timed.finish_many(finishings([a]), 1)
        assert b.id == "b"
        assert not raw.exists(f"{KEY}:wake")

    @pytest.mark.spec("ENV-BULK-5", "ENV-WAIT-2")
    def test_a_wake_up_between_two_pieces_of_a_look_is_not_lost(
        self,
        timed: TaskQueue,
        timed_through: TaskQueue,
        proxy: Proxy,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(many, "OPERATIONS_MAX", 1)
        timed.submit_many(submissions(["a", "b"]))
        timed_through.pop_many([("a", None)])  # the server knows the script from now on
        seen: list[None] = []

        def discard() -> None:
            seen.append(None)
            if len(seen) == 2:  # it waits for the first, and is about to look at the second
                timed.discard("a")

        proxy.before_script = discard
        call = Call(lambda: timed_through.pop_many([("a", None), ("b", None)], None))
        assert call.ended(3)  # it would have looked again after 5 s anyway
        assert call.answer() == [TASK_EXPIRED, None]


class TestErrors:
    @pytest.mark.spec("ENV-BULK-6", "ENV-RETRY-2")
    def test_it_says_what_is_done(
        self, queue: TaskQueue, proxy: Proxy, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(many, "OPERATIONS_MAX", 2)
        completed(queue, ids_of(5))
        with closing(TaskQueue(proxy.url, clock=clock, retry_deadline_s=0)) as once:
            Scripts(once, proxy)
            proxy.faults.extend([None, None, "not sent"])
            with pytest.raises(BackendUnavailable) as caught:
                once.pop_many([(each, None) for each in ids_of(5)])
            assert caught.value.answers == (DONE,) * 4
            assert caught.value.__notes__ == ["of 5 operations 4 are known to be done"]
            assert queue.status("t4") == "completed"
            proxy.faults.extend([None, "reply lost"])
            with pytest.raises(BackendUnavailable) as caught:
                once.submit_many(tokened := [_with_token(each) for each in submissions("abcd")])
            assert caught.value.outcome == "unknown"
            assert caught.value.answers == (ACCEPTED,) * 2
            assert once.submit_many(tokened) == [ACCEPTED] * 4
        assert queue.size() == 4

    @pytest.mark.spec("ENV-WAIT-7", "ENV-BULK-5")
    def test_what_a_wait_has_got_when_it_is_closed_is_returned(
        self,
        timed: TaskQueue,
        timed_through: TaskQueue,
        proxy: Proxy,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(many, "OPERATIONS_MAX", 1)
        complete(timed, "a")
        complete(timed, "b")
        scripts: list[None] = []

        def close() -> None:
            scripts.append(None)
            if len(scripts) == 2:
                timed_through.close()

        timed_through.pop_many([("x", None)])  # the server knows the script from now on
        proxy.before_script = close
        answers = timed_through.pop_many([("a", None), ("b", None)], 10)
        assert answers in ([DONE, None], [DONE, DONE])
        assert (timed.status("b") == "completed") == (answers[1] is None)
        with pytest.raises(QueueClosed):
            timed_through.pop_many([("b", None)])


def _with_token(submission: Submission) -> Submission:
    request = submission.result
    assert isinstance(request, Request)
    token = Token(request.id.encode() * 16)
    return submission._replace(result=request._replace(token=token))


@pytest.mark.spec("ENV-BULK-1")
def test_a_record_that_is_broken_costs_no_other_task(queue: TaskQueue, raw: redis.Redis) -> None:
    queue.submit_many(submissions(["a", "b", "broken", "c", "d"]))
    raw.hset(f"{KEY}:waiting", "broken", "E")
    assert [each.id for each in queue.claim_many(SOME, 0)] == ["a", "b"]
    with pytest.raises(redis.ResponseError):
        queue.claim_many(SOME, 0)  # alone, as it would be by `claim`
    assert [each.id for each in queue.claim_many(SOME, 0)] == ["c", "d"]
    raw.hdel(f"{KEY}:waiting", "broken")
    for task_id in "abcd":
        queue.discard(task_id)
