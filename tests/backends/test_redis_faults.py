"""Redis: lost replies, retries, bounded scripts, keys that are left, formats."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple, cast

import pytest
import redis

from tests.backends.calls import Call
from tests.backends.proxy import Fault, Proxy
from worq.clock import ManualClock
from worq.const import RESERVED, TASK_EXPIRED
from worq.errors import BackendUnavailable, BackendUnsupported
from worq.queue.redis import TaskQueue
from worq.queue.redis.keys import keys_of, prefix
from worq.queue.redis.link import Link
from worq.values import Claim, Finished, Outcome, Request, Submitted, Token

KEY = prefix("default")
MANY = 2_500
RECORDS_MAX = 1_000


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def raw(client: redis.Redis) -> Any:
    """The client, of which redis-py does not say what it answers."""
    return cast("Any", client)


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(redis_url: str, clock: ManualClock) -> Iterator[TaskQueue]:
    """For what a test prepares."""
    with closing(TaskQueue(redis_url, clock=clock)) as queue:
        yield queue
        queue.purge()
        for task_id in "abcdx":
            queue.discard(task_id)
        clock.advance(10_000_000)
        queue.size()


@pytest.fixture
def through(proxy: Proxy, clock: ManualClock) -> Iterator[TaskQueue]:
    """The same queue, through the proxy."""
    with closing(TaskQueue(proxy.url, clock=clock, retry_deadline_s=10)) as queue:
        yield queue


def submit(queue: TaskQueue, task_id: str, *args: str, **options: Any) -> Submitted:
    return queue.submit(Request(task_id, **options), b"of " + task_id.encode(), dict.fromkeys(args))


def claim(queue: TaskQueue) -> Claim:
    claimed = queue.claim(0)
    assert claimed is not None
    return claimed


def complete(queue: TaskQueue, task_id: str, message: bytes = b"done") -> None:
    submit(queue, task_id)
    assert claim(queue).id == task_id
    queue.finish(task_id, message, 100)


class Case(NamedTuple):
    """An operation that can be lost: what was before, and what it answers."""

    prepare: Callable[[TaskQueue], object]
    act: Callable[[TaskQueue], object]
    answer: object


def nothing(queue: TaskQueue) -> None:
    pass


def a_claimed(queue: TaskQueue) -> None:
    submit(queue, "a")
    claim(queue)


def a_deferred(queue: TaskQueue) -> None:
    complete(queue, "a")
    queue.defer_task(Request("d"), b"", ["a", "b"])


TOKEN = Token(b"incarnation of x")
CASES = {
    "submit": Case(nothing, lambda q: submit(q, "a"), Submitted("accepted")),
    "submit that ends at once": Case(
        nothing,
        lambda q: q.submit(Request("a", TOKEN), b"", outcome=Outcome("expired")),
        Submitted("accepted"),
    ),
    "submit of a taken id": Case(
        lambda q: submit(q, "a"), lambda q: submit(q, "a"), Submitted("duplicate")
    ),
    "submit with an argument": Case(
        lambda q: complete(q, "a"), lambda q: submit(q, "b", "a"), Submitted("accepted")
    ),
    "defer": Case(nothing, lambda q: q.defer_task(Request("d"), b"", ["a"]), answer=True),
    "claim": Case(lambda q: submit(q, "a"), lambda q: claim(q).message, b"of a"),
    "claim for the last time": Case(
        lambda q: submit(q, "a", ignore_result=True), lambda q: claim(q).message, b"of a"
    ),
    "claim with an argument": Case(
        lambda q: (complete(q, "a"), submit(q, "b", "a")),
        lambda q: claim(q).arguments,
        {"a": Outcome("result", b"done")},
    ),
    "finish": Case(a_claimed, lambda q: q.finish("a", b"", 10), Finished(accepted=True)),
    "finish for a dependent": Case(
        lambda q: (a_claimed(q), submit(q, "b", "a")),
        lambda q: q.finish("a", b"", 10),
        Finished(accepted=True, dependent_id="b"),
    ),
    "heartbeat": Case(a_claimed, lambda q: q.heartbeat("a", 10), answer=True),
    "release": Case(a_claimed, lambda q: q.release("a"), answer=True),
    "pop": Case(lambda q: complete(q, "a"), lambda q: q.pop("a", 0), Outcome("result", b"done")),
    "pop of nothing": Case(nothing, lambda q: q.pop("a", 0), TASK_EXPIRED),
    "discard": Case(lambda q: submit(q, "a"), lambda q: q.discard("a"), answer=True),
    "purge": Case(lambda q: submit(q, "a"), lambda q: q.purge(), 1),
    "reserve_argument": Case(
        a_deferred, lambda q: q.reserve_argument("a", "d"), (True, b"done")
    ),
    "set_argument": Case(
        a_deferred, lambda q: q.set_argument("d", "b", b""), answer=False
    ),
    "size": Case(lambda q: submit(q, "a"), lambda q: q.size(), 1),
    "status": Case(lambda q: submit(q, "a"), lambda q: q.status("a"), "enqueued"),
    "get_arguments": Case(a_deferred, lambda q: q.get_arguments("d"), {}),
}


def state(raw: Any) -> dict[bytes, object]:
    """All that is kept, but for the sessions."""
    return {
        key: raw.dump(key) for key in raw.keys(f"{KEY}*") if b":session:" not in key
    }


class TestReceipts:
    @pytest.mark.parametrize("fault", ["before", "after"])
    @pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
    @pytest.mark.spec("ENV-RETRY-1")
    def test_an_operation_that_is_sent_again_answers_as_the_first_try_did(
        self, case: Case, fault: Fault, queue: TaskQueue, through: TaskQueue, proxy: Proxy
    ) -> None:
        case.prepare(queue)
        through.size()
        proxy.faults.extend([fault, fault, fault])
        assert case.act(through) == case.answer
        assert not proxy.faults

    @pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
    @pytest.mark.spec("ENV-RETRY-1")
    def test_nothing_happens_twice(
        self, case: Case, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any
    ) -> None:
        case.prepare(queue)
        through.size()
        proxy.faults.append("after")
        seen: list[object] = []

        def look() -> None:
            seen.append(state(raw))

        proxy.before_script = look
        case.act(through)
        look()
        assert seen[1] == seen[2]

    @pytest.mark.spec("ENV-RETRY-1")
    def test_what_others_do_meanwhile_does_not_change_the_answer(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy
    ) -> None:
        submit(queue, "a")
        proxy.faults.append("after")
        proxy.before_script = lambda: proxy.scripts and queue.discard("a")
        claimed = through.claim(0)
        assert claimed is not None
        assert (claimed.id, claimed.message) == ("a", b"of a")
        assert queue.status("a") is None

    @pytest.mark.spec("ENV-RETRY-1")
    def test_a_first_try_that_comes_late_changes_nothing(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy
    ) -> None:
        submit(queue, "a")
        submit(queue, "b")
        through.size()
        proxy.faults.append("hold")
        assert claim(through).id == "a"
        proxy.deliver()
        assert queue.status("b") == "enqueued"

    @pytest.mark.spec("ENV-RETRY-1")
    def test_an_older_operation_that_comes_late_changes_nothing(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy
    ) -> None:
        submit(queue, "a")
        submit(queue, "b")
        through.size()
        proxy.faults.append("hold")
        assert claim(through).id == "a"
        through.finish("a", b"done", 10)
        proxy.deliver()
        assert queue.status("b") == "enqueued"
        assert queue.pop("a", 0) == Outcome("result", b"done")

    @pytest.mark.spec("ENV-RETRY-1")
    def test_a_wait_that_loses_its_connection_goes_on(
        self, redis_url: str, proxy: Proxy, queue: TaskQueue
    ) -> None:
        with closing(TaskQueue(proxy.url)) as waiting:
            call = Call(lambda: waiting.claim(20))
            proxy.wait_until(lambda proxy: proxy.scripts >= 2)
            cast("Any", redis.Redis.from_url(redis_url)).client_kill_filter(_type="normal", skipme=True)
            proxy.wait_until(lambda proxy: proxy.scripts >= 4)
            submit(queue, "a")
            assert call.answer() is not None

    @pytest.mark.spec("ENV-REDIS-5")
    def test_a_receipt_outlives_the_last_retry(self, through: TaskQueue, raw: Any) -> None:
        submit(through, "a")
        (receipt,) = raw.keys(f"{KEY}:session:*")
        # The retry deadline, and twice the time after which a reply counts as lost.
        assert 30_000 < raw.pttl(receipt) <= 90_000
        through.discard("a")


class TestRetries:
    @pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
    @pytest.mark.spec("ENV-RETRY-2")
    def test_an_operation_that_no_server_got_is_not_sent(
        self, case: Case, redis_url: str
    ) -> None:
        nowhere = f"{redis_url.partition('?')[0]}-not-there"
        with (
            closing(TaskQueue(nowhere, retry_deadline_s=0.1)) as queue,
            pytest.raises(BackendUnavailable) as caught,
        ):
            case.act(queue)
        assert caught.value.outcome == "not_sent"

    @pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
    @pytest.mark.spec("ENV-RETRY-2")
    def test_an_operation_whose_replies_are_all_lost_is_unknown(
        self, case: Case, proxy: Proxy, queue: TaskQueue
    ) -> None:
        case.prepare(queue)
        proxy.faults_then = "after"
        with (
            closing(TaskQueue(proxy.url, clock=queue.clock, retry_deadline_s=0.1)) as through,
            pytest.raises(BackendUnavailable) as caught,
        ):
            case.act(through)
        reads = case in (CASES["size"], CASES["status"], CASES["get_arguments"])
        assert caught.value.outcome == ("not_sent" if reads else "unknown")

    @pytest.mark.spec("ENV-RETRY-2")
    def test_it_takes_as_long_as_the_retry_deadline(self, redis_url: str) -> None:
        nowhere = f"{redis_url.partition('?')[0]}-not-there"
        began = time.monotonic()
        with (
            closing(TaskQueue(nowhere, retry_deadline_s=0.3)) as queue,
            pytest.raises(BackendUnavailable),
        ):
            queue.size()
        assert time.monotonic() - began >= 0.3

    @pytest.mark.parametrize(
        ("make_it_refuse", "make_it_work"),
        [
            (("maxmemory", "1"), ("maxmemory", "0")),
            (("min-replicas-to-write", "1"), ("min-replicas-to-write", "0")),
        ],
    )
    @pytest.mark.spec("ENV-RETRY-2")
    def test_a_refusal_of_the_server_is_tried_again(
        self,
        make_it_refuse: tuple[str, str],
        make_it_work: tuple[str, str],
        redis_url: str,
        raw: Any,
        queue: TaskQueue,
    ) -> None:
        raw.config_set(*make_it_refuse)
        try:
            with (
                closing(TaskQueue(redis_url, retry_deadline_s=0.1)) as hasty,
                pytest.raises(BackendUnavailable) as caught,
            ):
                submit(hasty, "a")
            assert caught.value.outcome == "not_sent"
            call = Call(lambda: submit(queue, "a"))
            assert call.sleeps()
        finally:
            raw.config_set(*make_it_work)
        assert call.answer().status == "accepted"

    def test_what_the_server_calls_a_mistake_is_not_tried_again(
        self, raw: Any, queue: TaskQueue
    ) -> None:
        raw.set(KEY, "of somebody else")
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            queue.size()
        raw.delete(KEY)


class Steps:
    """How large something is before each script."""

    def __init__(self, proxy: Proxy, look: Callable[[], int]) -> None:
        self._look = look
        self.seen: list[int] = []
        proxy.before_script = lambda: self.seen.append(look())

    def largest(self) -> int:
        self.seen.append(self._look())
        return max(abs(after - before) for before, after in zip(self.seen, self.seen[1:], strict=False))


class TestBounds:
    def chain(self, queue: TaskQueue) -> None:
        submit(queue, "a")
        last = "a"
        for n in range(MANY):
            submit(queue, f"t{n}", last, result_timeout=1000)
            last = f"t{n}"

    @pytest.mark.spec("ENV-REDIS-4")
    def test_a_chain_ends_in_bounded_steps(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any
    ) -> None:
        self.chain(queue)
        steps = Steps(proxy, lambda: raw.hlen(f"{KEY}:waiting"))
        assert through.discard("a")
        assert steps.largest() <= RECORDS_MAX
        assert len(steps.seen) > 2
        assert queue.size() == 0

    @pytest.mark.spec("ENV-REDIS-4")
    def test_whoever_comes_next_sees_no_cascade_half_done(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any
    ) -> None:
        self.chain(queue)
        proxy.faults.extend(["none", "before"])
        assert through.discard("a")
        assert raw.hlen(f"{KEY}:waiting") > MANY - RECORDS_MAX
        assert queue.status(f"t{MANY - 1}") is None

    @pytest.mark.spec("ENV-REDIS-4", "TIM-6")
    def test_what_is_finished_later_happens_at_the_time_of_what_began_it(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any, clock: ManualClock
    ) -> None:
        self.chain(queue)
        claim(queue)
        proxy.faults.extend(["none", "before"])
        began_ms = clock.now_ms()
        assert through.finish("a", b"why", 10, failed=True) == (True, "t0")
        clock.advance(5_000)
        last = f"t{MANY - 1}"
        assert queue.status(last) == "completed"
        assert raw.zscore(f"{KEY}:retained", last) == began_ms + 1_000_000
        assert queue.pop(last, 0) == Outcome("failure", b"why", "a")

    @pytest.mark.spec("ENV-REDIS-4")
    def test_many_arguments_are_reserved_and_freed_in_bounded_steps(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any
    ) -> None:
        ids = [f"t{n}" for n in range(MANY)]
        for task_id in ids:
            submit(queue, task_id)
        steps = Steps(proxy, lambda: raw.hlen(f"{KEY}:args"))
        assert submit(through, "b", *ids).status == "accepted"
        assert steps.largest() <= RECORDS_MAX
        assert {queue.pop(task_id, 0) for task_id in ids} == {RESERVED}
        assert through.discard("b")
        assert steps.largest() <= RECORDS_MAX
        assert {queue.pop(task_id, 0) for task_id in ids} == {None}
        assert raw.hlen(f"{KEY}:args") == 0

    @pytest.mark.spec("ENV-REDIS-4")
    def test_many_arguments_are_claimed_in_bounded_steps(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any
    ) -> None:
        ids = [f"t{n}" for n in range(MANY)]
        queue.defer_task(Request("d"), b"", ids)
        for task_id in ids:
            queue.set_argument("d", task_id, task_id.encode())
        steps = Steps(proxy, lambda: raw.hlen(f"{KEY}:args"))
        assert len(claim(through).arguments) == MANY
        assert steps.largest() <= RECORDS_MAX
        assert raw.exists(f"{KEY}:args") == 0
        assert len(queue.get_arguments("d")) == MANY

    @pytest.mark.parametrize("attempts", [1, 2])
    @pytest.mark.spec("ENV-REDIS-4", "TIM-2")
    def test_leases_are_swept_in_bounded_steps(
        self, attempts: int, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any, clock: ManualClock
    ) -> None:
        ids = [f"t{n:05}" for n in range(MANY)]
        for task_id in ids:
            submit(queue, task_id, attempts=attempts)
            claim(queue)
        clock.advance(10_000_000)
        steps = Steps(proxy, lambda: raw.hlen(f"{KEY}:claimed"))
        assert through.size() == (attempts - 1) * MANY
        assert steps.largest() <= RECORDS_MAX
        if attempts == 2:
            assert [claim(queue).id for _ in ids] == ids

    @pytest.mark.spec("ENV-REDIS-4", "TIM-5")
    def test_retentions_are_swept_in_bounded_steps(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any, clock: ManualClock
    ) -> None:
        for n in range(MANY):
            complete(queue, f"t{n}")
        clock.advance(10_000_000)
        steps = Steps(proxy, lambda: raw.hlen(f"{KEY}:claimed"))
        assert through.size() == 0
        assert steps.largest() <= RECORDS_MAX
        assert not keys_of(raw, "default").kept

    @pytest.mark.spec("ENV-REDIS-4")
    def test_entries_of_discarded_tasks_do_not_pile_up(self, queue: TaskQueue, raw: Any) -> None:
        submit(queue, "a")
        for n in range(MANY):
            submit(queue, f"t{n}")
            queue.discard(f"t{n}")
        assert raw.llen(f"{KEY}:ready") + raw.llen(f"{KEY}:front") < 20
        assert claim(queue).id == "a"
        assert queue.claim(0) is None

    @pytest.mark.spec("CLM-1", "DSC-1")
    def test_discarded_tasks_do_not_change_the_order(self, queue: TaskQueue) -> None:
        ids = [f"t{n}" for n in range(60)]
        for task_id in ids:
            submit(queue, task_id)
        for task_id in ids[5:50:3]:
            queue.discard(task_id)
        for task_id in ids[5:50:6]:  # the same ids again, at the tail
            submit(queue, task_id)
        left = [task_id for task_id in ids if task_id not in ids[5:50:3]]
        assert [claim(queue).id for _ in left] == left
        assert [claim(queue).id for _ in ids[5:50:6]] == ids[5:50:6]
        assert queue.claim(0) is None

    @pytest.mark.spec("ENV-REDIS-8")
    def test_a_purge_takes_no_time_in_proportion(self, queue: TaskQueue, raw: Any) -> None:
        submit(queue, "a")
        raw.eval(
            """local record = redis.call('HGET', KEYS[1] .. ':waiting', 'a')
            for n = 1, 100000 do
              redis.call('HSET', KEYS[1] .. ':waiting', 't' .. n, record)
              redis.call('RPUSH', KEYS[1] .. ':ready', 't' .. n)
            end""",
            1,
            KEY,
        )
        raw.config_resetstat()
        assert queue.purge() == 100_001
        scripts = [
            each["usec"] for name, each in raw.info("commandstats").items() if "eval" in name
        ]
        assert max(scripts) < 10_000


class TestKeys:
    """[ENV-REDIS-5]"""

    ENDINGS: dict[str, Callable[[TaskQueue], object]] = {
        "popped": lambda q: (complete(q, "a"), q.pop("a", 0)),
        "discarded while it waits": lambda q: (submit(q, "a"), q.discard("a")),
        "discarded while it runs": lambda q: (a_claimed(q), q.discard("a")),
        "discarded when it is done": lambda q: (complete(q, "a"), q.discard("a")),
        "ignored": lambda q: (submit(q, "a", ignore_result=True), q.claim(0)),
        "ignored after two starts": lambda q: (
            submit(q, "a", ignore_result=True, attempts=2),
            q.claim(0),
            q.release("a"),
            q.claim(0),
        ),
        "ignored and finished": lambda q: (
            submit(q, "a", ignore_result=True, attempts=2),
            q.claim(0),
            q.finish("a", b"", 10),
        ),
        "purged": lambda q: (submit(q, "a"), submit(q, "b", "a"), q.purge()),
        "deferred and purged": lambda q: (q.defer_task(Request("d"), b"", ["a"]), q.purge()),
        "released": lambda q: (a_claimed(q), q.release("a")),
        "kept for ever and popped": lambda q: (
            a_claimed(q),
            q.finish("a", b"", float("inf")),
            q.pop("a", 0),
        ),
        "arguments": lambda q: (
            complete(q, "a"),
            submit(q, "x"),
            submit(q, "b", "a", "x", attempts=2),
            claim(q),
            q.finish("x", b"", 10),
            claim(q),
            q.release("b"),
            claim(q),
            q.finish("b", b"", 10),
            q.pop("b", 0),
        ),
        "failure of an argument": lambda q: (
            submit(q, "a"),
            submit(q, "b", "a"),
            submit(q, "c", "b"),
            claim(q),
            q.finish("a", b"", 10, failed=True),
            q.pop("c", 0),
        ),
        "expiry of an argument": lambda q: (
            submit(q, "a"),
            submit(q, "b", "a"),
            submit(q, "c", "b"),
            q.discard("a"),
        ),
        "arguments of one that is ignored": lambda q: (
            complete(q, "a"),
            submit(q, "b", "a", ignore_result=True),
            claim(q),
        ),
        "ended at once": lambda q: q.submit(
            Request("a", ignore_result=True), b"", outcome=Outcome("failure", b"", "x")
        ),
    }

    @pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())
    @pytest.mark.spec("ENV-REDIS-5")
    def test_none_is_left_when_the_last_task_is_gone(
        self, end: Callable[[TaskQueue], object], queue: TaskQueue, raw: Any
    ) -> None:
        end(queue)
        left = keys_of(raw, "default")
        assert not left.kept
        assert all(raw.pttl(key) > 0 for key in left.transient)

    @pytest.mark.parametrize("runs", [False, True])
    @pytest.mark.spec("ENV-REDIS-5")
    def test_none_is_left_by_the_next_operation_after_the_last_has_expired(
        self, runs: bool, queue: TaskQueue, raw: Any, clock: ManualClock
    ) -> None:
        (a_claimed if runs else lambda q: complete(q, "a"))(queue)
        clock.advance(100_000)
        queue.size()
        assert not keys_of(raw, "default").kept

    SELF_EXPIRING: dict[str, tuple[bool, Callable[[TaskQueue], object]]] = {
        "completed": (True, lambda q: complete(q, "a")),
        "claimed": (True, a_claimed),
        "claimed with an argument": (
            True,
            lambda q: (complete(q, "a"), submit(q, "b", "a"), q.claim(0)),
        ),
        "both": (True, lambda q: (complete(q, "a"), submit(q, "b"), q.claim(0))),
        "after one that waited": (True, lambda q: (complete(q, "a"), submit(q, "b"), q.purge())),
        "requeued and claimed again": (
            True,
            lambda q: (submit(q, "a", attempts=2), q.claim(0), q.release("a"), q.claim(0)),
        ),
        "finished anew": (
            True,
            lambda q: (submit(q, "a", attempts=2), q.claim(0), q.finish("a", b"", 10)),
        ),
        "enqueued": (False, lambda q: (complete(q, "a"), submit(q, "b"))),
        "reserved": (False, lambda q: (a_claimed(q), submit(q, "b", "a"))),
        "starts left": (False, lambda q: (submit(q, "a", attempts=2), q.claim(0))),
        "kept for ever": (False, lambda q: (a_claimed(q), q.finish("a", b"", float("inf")))),
        "kept for ever, and one that expires": (
            False,
            lambda q: (a_claimed(q), q.finish("a", b"", float("inf")), complete(q, "b")),
        ),
        "deferred": (False, lambda q: (complete(q, "a"), q.defer_task(Request("d"), b"", ["x"]))),
    }

    @pytest.mark.parametrize(
        ("expires", "prepare"), SELF_EXPIRING.values(), ids=SELF_EXPIRING.keys()
    )
    @pytest.mark.spec("ENV-REDIS-5")
    def test_they_expire_physically_only_while_every_record_would(
        self, expires: bool, prepare: Callable[[TaskQueue], object], queue: TaskQueue, raw: Any
    ) -> None:
        prepare(queue)
        kept = keys_of(raw, "default").kept
        assert kept
        assert {raw.pttl(key) > 0 for key in kept} == {expires}

    @pytest.mark.spec("ENV-REDIS-5", "ENV-REDIS-3")
    def test_they_expire_after_the_last_record(self, redis_url: str, raw: Any) -> None:
        with closing(TaskQueue(redis_url)) as queue:
            complete(queue, "a")
            submit(queue, "b", heartrate=100)
            claim(queue)
            ttls = {raw.pttl(key) for key in keys_of(raw, "default").kept}
            assert 205_000 < min(ttls)
            assert max(ttls) <= 265_000
            queue.discard("a")
            queue.discard("b")

    @pytest.mark.spec("ENV-REDIS-3")
    def test_deadlines_are_by_the_clock_of_the_server(self, redis_url: str, raw: Any) -> None:
        with closing(TaskQueue(redis_url)) as queue:
            submit(queue, "a", heartrate=100)
            claim(queue)
            seconds, microseconds = raw.time()
            lease_ms = raw.zscore(f"{KEY}:leases", "a") - (seconds * 1000 + microseconds // 1000)
            assert 200_000 < lease_ms <= 205_000
            queue.discard("a")

    def test_old_waits_are_forgotten(self, queue: TaskQueue, raw: Any) -> None:
        submit(queue, "a")
        call = Call(lambda: queue.pop("a", 10))
        assert call.sleeps()
        waits = [key for key in raw.keys(f"{KEY}:session:wait:*")]
        assert len(waits) == 3
        assert all(0 < raw.pttl(key) <= 15_000 for key in waits)
        queue.discard("a")
        call.answer()


class TestFormats:
    @pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
    @pytest.mark.spec("ENV-REDIS-7")
    def test_another_one_is_refused_and_nothing_changes(
        self, case: Case, queue: TaskQueue, through: TaskQueue, raw: Any
    ) -> None:
        case.prepare(queue)
        raw.hset(KEY, "format", "2")
        before = state(raw)
        with pytest.raises(BackendUnsupported, match=r"\[default\].*'2'"):
            case.act(through)
        assert state(raw) == before
        raw.hset(KEY, "format", "1")
        if set(before) == {KEY.encode()}:  # there was no queue
            raw.delete(KEY)


def test_big_messages_and_odd_bytes_come_through(queue: TaskQueue) -> None:
    message = bytes(range(256)) * 20_000
    queue.submit(Request("a"), message)
    complete_message = claim(queue).message
    assert complete_message == message
    queue.finish("a", message + b"\0", 10)
    assert queue.pop("a", 0) == Outcome("result", message + b"\0")


def test_ids_of_any_kind_come_through(queue: TaskQueue) -> None:
    ids = ["\0", " ", "a\r\nb", "é", "\U0001f600", "x" * 70_000, "1", "*"]
    for task_id in ids:
        submit(queue, task_id)
    assert submit(queue, "d", *ids[1:]).status == "accepted"
    for _ in ids:
        claimed = claim(queue)
        dependent = queue.finish(claimed.id, claimed.id.encode(), 10).dependent_id
        assert dependent == (None if claimed.id == "\0" else "d")
    assert queue.pop("\0", 0) == Outcome("result", b"\0")
    assert claim(queue).arguments == {i: Outcome("result", i.encode()) for i in ids[1:]}


def test_a_link_that_is_dropped_leaves_nothing_open(redis_url: str, clock: ManualClock) -> None:
    queue = TaskQueue(redis_url, clock=clock)
    queue.size()
    assert isinstance(queue._link, Link)
    del queue
    clock.advance(1)
