"""What is on the server: keys, their TTLs, names, bytes."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any, Final

import pytest

from tests.backends.calls import Call
from tests.backends.on_redis.cases import KEY, a_claimed, claim, complete, submit
from worq.clock import ManualClock
from worq.queue.redis import TaskQueue
from worq.queue.redis.keys import keys_of, prefix
from worq.values import Outcome, Request

Prepare = Callable[[TaskQueue], object]


class TestKeys:
    """[ENV-REDIS-5]"""

    ENDINGS: Final[dict[str, Prepare]] = {
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
        self, end: Prepare, queue: TaskQueue, raw: Any
    ) -> None:
        end(queue)
        left = keys_of(raw, "default")
        assert not left.kept
        assert all(raw.pttl(key) > 0 for key in left.transient)

    @pytest.mark.parametrize("prepare", [a_claimed, lambda q: complete(q, "a")])
    @pytest.mark.spec("ENV-REDIS-5")
    def test_none_is_left_by_the_next_operation_after_the_last_has_expired(
        self, prepare: Prepare, queue: TaskQueue, raw: Any, clock: ManualClock
    ) -> None:
        prepare(queue)
        clock.advance(100_000)
        queue.size()
        assert not keys_of(raw, "default").kept

    EXPIRING: Final[dict[str, Prepare]] = {
        "completed": lambda q: complete(q, "a"),
        "claimed": a_claimed,
        "claimed with an argument": lambda q: (complete(q, "a"), submit(q, "b", "a"), q.claim(0)),
        "both": lambda q: (complete(q, "a"), submit(q, "b"), q.claim(0)),
        "after one that waited": lambda q: (complete(q, "a"), submit(q, "b"), q.purge()),
        "requeued and claimed again": lambda q: (
            submit(q, "a", attempts=2),
            q.claim(0),
            q.release("a"),
            q.claim(0),
        ),
        "claimed before one that has ended": lambda q: (
            [submit(q, task_id) for task_id in "abcd"],
            q.discard("c"),
            q.discard("d"),
            q.claim(0),
            q.claim(0),
        ),
        "finished anew": lambda q: (submit(q, "a", attempts=2), q.claim(0), q.finish("a", b"", 10)),
    }

    @pytest.mark.parametrize("prepare", EXPIRING.values(), ids=EXPIRING.keys())
    @pytest.mark.spec("ENV-REDIS-5")
    def test_they_expire_physically_while_every_record_would(
        self, prepare: Prepare, queue: TaskQueue, raw: Any
    ) -> None:
        prepare(queue)
        kept = keys_of(raw, "default").kept
        assert len(kept) >= 3
        assert min(raw.pttl(key) for key in kept) > 0

    STAYING: Final[dict[str, Prepare]] = {
        "reserved": lambda q: (a_claimed(q), submit(q, "b", "a")),
        "starts left": lambda q: (submit(q, "a", attempts=2), q.claim(0)),
        "kept for ever": lambda q: (a_claimed(q), q.finish("a", b"", float("inf"))),
        "kept for ever, and one that expires": lambda q: (
            a_claimed(q),
            q.finish("a", b"", float("inf")),
            complete(q, "b"),
        ),
        "deferred": lambda q: (complete(q, "a"), q.defer_task(Request("d"), b"", ["x"])),
    }

    @pytest.mark.parametrize("prepare", STAYING.values(), ids=STAYING.keys())
    @pytest.mark.spec("ENV-REDIS-5")
    def test_they_do_not_expire_physically_while_a_record_would_not(
        self, prepare: Prepare, queue: TaskQueue, raw: Any
    ) -> None:
        prepare(queue)
        kept = keys_of(raw, "default").kept
        assert len(kept) >= 2
        assert {raw.pttl(key) for key in kept} == {-1}

    @pytest.mark.spec("ENV-REDIS-5", "TIM-7")
    def test_what_waits_stays_beside_what_would_expire(self, queue: TaskQueue, raw: Any) -> None:
        complete(queue, "a")
        submit(queue, "b")
        submit(queue, "c")
        needed = [KEY, f"{KEY}:waiting", f"{KEY}:ready"]
        others = [f"{KEY}:claimed", f"{KEY}:retained"]
        assert [raw.pttl(key) for key in needed] == [-1, -1, -1]
        assert min(raw.pttl(key) for key in others) > 0
        claim(queue)
        assert [raw.pttl(key) for key in needed] == [-1, -1, -1]
        assert min(raw.pttl(key) for key in [*others, f"{KEY}:leases"]) > 0
        claim(queue)
        assert min(raw.pttl(key) for key in [KEY, *others, f"{KEY}:leases"]) > 0

    @pytest.mark.parametrize(
        "add",
        [
            lambda q: (submit(q, "c"), submit(q, "d", "c")),
            lambda q: q.defer_task(Request("d"), b"", ["x"]),
            lambda q: (submit(q, "c", attempts=2), q.claim(0)),
            lambda q: (submit(q, "c"), q.claim(0), q.finish("c", b"", float("inf"))),
        ],
        ids=["an argument", "deferred", "starts left", "kept for ever"],
    )
    @pytest.mark.parametrize("prepare", [a_claimed, lambda q: complete(q, "a")])
    @pytest.mark.spec("ENV-REDIS-5")
    def test_physical_expiry_ends_when_one_comes_that_stays(
        self, prepare: Prepare, add: Prepare, queue: TaskQueue, raw: Any
    ) -> None:
        prepare(queue)
        add(queue)
        assert {raw.pttl(key) for key in keys_of(raw, "default").kept} == {-1}

    @pytest.mark.spec("ENV-REDIS-5")
    def test_each_deadline_is_well_before_the_physical_expiry(
        self, queue: TaskQueue, raw: Any
    ) -> None:
        def last_deadline_in_ms() -> float:
            scores = [
                score
                for key in (f"{KEY}:leases", f"{KEY}:retained")
                for _, score in raw.zrange(key, 0, -1, withscores=True)
            ]
            return float(max(scores) - clock_ms())

        def clock_ms() -> int:
            assert queue.clock is not None
            return queue.clock.now_ms()

        def ttl() -> int:
            return int(min(raw.pttl(key) for key in keys_of(raw, "default").kept))

        submit(queue, "a", heartrate=10)
        claim(queue)
        assert ttl() > last_deadline_in_ms() + 60_000
        queue.finish("a", b"", 7_200)
        assert ttl() > last_deadline_in_ms() + 60_000
        submit(queue, "b", heartrate=10_000)
        claim(queue)
        assert ttl() > last_deadline_in_ms() + 60_000
        queue.finish("b", b"", 40_000)
        assert ttl() > last_deadline_in_ms() + 60_000

    @pytest.mark.spec("OUT-7")
    def test_nothing_is_left_of_a_reservation_that_came_to_nothing(
        self, queue: TaskQueue, raw: Any
    ) -> None:
        a_claimed(queue)
        submit(queue, "b", "a")
        submit(queue, "c")
        queue.discard("b")
        queue.finish("a", b"", 10)
        assert queue.size() == 1
        assert raw.exists(f"{KEY}:reserved", f"{KEY}:args") == 0

    @pytest.mark.spec("ENV-REDIS-5", "ENV-REDIS-3")
    def test_they_expire_after_the_last_record(self, redis_url: str, raw: Any) -> None:
        with closing(TaskQueue(redis_url)) as queue:
            complete(queue, "a")
            submit(queue, "b", heartrate=100)
            claim(queue)
            ttls = {raw.pttl(key) for key in keys_of(raw, "default").kept}
            assert min(ttls) > 205_000
            assert max(ttls) <= 325_000
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
        waits = raw.keys(f"{KEY}:session:wait:*")
        assert len(waits) == 3
        assert all(0 < raw.pttl(key) <= 15_000 for key in waits)
        queue.discard("a")
        call.answer()


class TestNames:
    NAMES = (
        "a",
        "a:b",
        "a:session:b",
        "{a}",
        "{a}:b",
        "a}",
        "%3A",
        ":",
        "ä",
        "a b",
        "*",
        "A",
        "a\0",
    )

    @pytest.mark.spec("ENV-REDIS-2")
    def test_awkward_ones_do_not_meet(self, redis_url: str, raw: Any) -> None:
        with ExitStack() as stack:
            queues = {
                name: stack.enter_context(closing(TaskQueue(redis_url, name)))
                for name in self.NAMES
            }
            for count, queue in enumerate(queues.values(), 1):
                for n in range(count):
                    queue.submit(Request(f"b:{n}"), b"")
            assert [queue.size() for queue in queues.values()] == [*range(1, len(queues) + 1)]
            keys = [key for name in queues for part in keys_of(raw, name) for key in part]
            assert len(keys) == len(set(keys)) == raw.dbsize()
            for queue in queues.values():
                queue.purge()

    @pytest.mark.spec("ENV-REDIS-2")
    def test_the_keys_of_a_queue_share_a_hash_tag(self, timed: TaskQueue, raw: Any) -> None:
        timed.submit(Request("{x}"), b"", {})
        timed.submit(Request("y"), b"", {"{x}": None})
        claim(timed)
        timed.pop("y", 0.01)
        keys = {key.decode() for key in raw.scan_iter()}
        assert {key[: len("worq:{default}")] for key in keys} == {"worq:{default}"}
        assert len(keys) >= 7
        timed.discard("{x}")

    def test_the_prefix_is_injective(self) -> None:
        assert len({prefix(name) for name in self.NAMES}) == len(self.NAMES)


def test_big_messages_and_odd_bytes_come_through(queue: TaskQueue) -> None:
    message = bytes(range(256)) * 20_000
    queue.submit(Request("a"), message)
    complete_message = claim(queue).message
    assert complete_message == message
    queue.finish("a", message + b"\0", 10)
    assert queue.pop("a", 0) == Outcome("result", message + b"\0")


def test_ids_of_any_kind_come_through(queue: TaskQueue) -> None:
    ids = ["\0", " ", "a\r\nb", "é", "\U0001f600", "x" * 1_024, "1", "*"]
    for task_id in ids:
        submit(queue, task_id)
    assert submit(queue, "d", *ids[1:]).status == "accepted"
    for _ in ids:
        claimed = claim(queue)
        dependent = queue.finish(claimed.id, claimed.id.encode(), 10).dependent_id
        assert dependent == (None if claimed.id == "\0" else "d")
    assert queue.pop("\0", 0) == Outcome("result", b"\0")
    assert claim(queue).arguments == {i: Outcome("result", i.encode()) for i in ids[1:]}
