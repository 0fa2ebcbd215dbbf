"""Lost replies, retries, formats."""

import time
from contextlib import closing
from typing import Any

import pytest
import redis

from tests.backends.calls import Call
from tests.backends.on_redis.cases import CASES, KEY, Case, claim, state, submit
from tests.backends.on_redis.proxy import Fault, Proxy
from worq.errors import BackendUnavailable, BackendUnsupported
from worq.queue.redis import TaskQueue
from worq.values import Outcome

GROWING = [
    CASES[name]
    for name in (
        "submit",
        "submit_many",
        "submit with an argument",
        "defer",
        "reserve_argument",
        "set_argument",
    )
]
EACH_CASE = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


class TestReceipts:
    @pytest.mark.parametrize("fault", ["before", "after"])
    @EACH_CASE
    @pytest.mark.spec("ENV-RETRY-1")
    def test_an_operation_that_is_sent_again_answers_as_the_first_try_did(
        self, case: Case, fault: Fault, queue: TaskQueue, through: TaskQueue, proxy: Proxy
    ) -> None:
        case.prepare(queue)
        through.size()
        proxy.faults.extend([fault, fault, fault])
        assert case.act(through) == case.answer
        assert not proxy.faults

    @EACH_CASE
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

    @EACH_CASE
    @pytest.mark.spec("ENV-RETRY-1")
    def test_redis_py_sends_nothing_again_by_itself(
        self, case: Case, queue: TaskQueue, proxy: Proxy
    ) -> None:
        case.prepare(queue)
        url = f"{proxy.url}?retry_on_timeout=true&retry_on_error=ConnectionError,TimeoutError"
        with closing(TaskQueue(url, clock=queue.clock, retry_deadline_s=0)) as once:
            proxy.faults.append("after")
            with pytest.raises(BackendUnavailable):
                case.act(once)
        assert (proxy.scripts, proxy.connections) == (1, 1)

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
        self, proxy: Proxy, queue: TaskQueue, raw: Any
    ) -> None:
        with closing(TaskQueue(proxy.url)) as waiting:
            call = Call(lambda: waiting.claim(20))
            proxy.wait_until(lambda proxy: proxy.scripts >= 2)
            raw.client_kill_filter(_type="normal", skipme=True)
            proxy.wait_until(lambda proxy: proxy.scripts >= 4)
            submit(queue, "a")
            assert call.answer() is not None

    @pytest.mark.spec("ENV-REDIS-5")
    def test_a_receipt_outlives_the_last_retry(self, through: TaskQueue, raw: Any) -> None:
        submit(through, "a")
        (receipt,) = raw.keys(f"{KEY}:session:*")
        # The retry deadline, and twice the time after which a try counts as lost; and not for ever.
        assert 10_000 + 2 * 15_000 < raw.pttl(receipt) <= 120_000
        through.discard("a")


class TestRetries:
    @EACH_CASE
    @pytest.mark.spec("ENV-RETRY-2")
    def test_an_operation_that_no_server_got_is_not_sent(self, case: Case, redis_url: str) -> None:
        nowhere = f"{redis_url.partition('?')[0]}-not-there"
        with (
            closing(TaskQueue(nowhere, retry_deadline_s=0.1)) as queue,
            pytest.raises(BackendUnavailable) as caught,
        ):
            case.act(queue)
        assert caught.value.outcome == "not_sent"

    @EACH_CASE
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

    @EACH_CASE
    @pytest.mark.spec("ENV-REDIS-9")
    def test_a_full_server_refuses_only_what_adds_to_it(
        self, case: Case, redis_url: str, raw: Any, queue: TaskQueue
    ) -> None:
        case.prepare(queue)
        raw.config_set("maxmemory", "1")
        try:
            with closing(TaskQueue(redis_url, clock=queue.clock, retry_deadline_s=0)) as hasty:
                if case not in GROWING:
                    assert case.act(hasty) == case.answer
                    return
                before = state(raw)
                with pytest.raises(BackendUnavailable) as caught:
                    case.act(hasty)
                assert caught.value.outcome == "not_sent"
                assert state(raw) == before
        finally:
            raw.config_set("maxmemory", "0")

    def test_what_the_server_calls_a_mistake_is_not_tried_again(
        self, raw: Any, queue: TaskQueue
    ) -> None:
        raw.set(KEY, "of somebody else")
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            queue.size()
        raw.delete(KEY)


class TestFormats:
    @EACH_CASE
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
