"""Round trips, closing, forking, and who looks when a lease passes."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import pytest

from tests.backends.calls import PATIENCE_S, Call
from tests.backends.on_redis.cases import KEY, claim
from tests.backends.on_redis.proxy import Proxy
from worq.bounds import calls_within
from worq.clock import ManualClock
from worq.const import TASK_EXPIRED
from worq.errors import BackendUnavailable, QueueClosed
from worq.queue.redis import TaskQueue, scripts
from worq.queue.redis.retry import Tries
from worq.values import Claim, Outcome, Request, Submitted

DONE = b"done"


@pytest.fixture
def queue(timed: TaskQueue) -> TaskQueue:
    return timed


@pytest.fixture
def through(timed_through: TaskQueue) -> TaskQueue:
    return timed_through


def submit_and_claim(queue: TaskQueue, prefix: str, count: int) -> list[str]:
    """The ids that it was given: as many as it submitted, but maybe those of others."""
    ids: list[str] = []
    for n in range(count):
        queue.submit(Request(f"{prefix}{n}"), b"")
        ids.append(claim(queue).id)
    return ids


def in_child(act: Callable[[], bool]) -> bool:
    """What it answers in a forked child."""
    child = os.fork()
    if child == 0:
        failed = True
        try:
            failed = not act()
        finally:
            os._exit(failed)
    return os.waitpid(child, 0)[1] == 0


def begin_submit(queue: TaskQueue, task_id: str) -> Call[Submitted]:
    return Call(lambda: queue.submit(Request(task_id), b""))


def begin_claim(queue: TaskQueue) -> Call[Claim | None]:
    return Call(lambda: queue.claim(None))


@contextmanager
def costs(proxy: Proxy, scripts: int) -> Iterator[None]:
    before = proxy.scripts
    yield
    assert proxy.scripts - before == scripts


class TestRoundTrips:
    @pytest.mark.spec("ENV-REDIS-1")
    def test_every_operation_is_one(self, through: TaskQueue, proxy: Proxy) -> None:
        operations: list[Callable[[], object]] = [
            lambda: through.submit(Request("a"), b""),
            lambda: through.claim(1),
            lambda: through.heartbeat("a", 10),
            lambda: through.finish("a", DONE, 10),
            lambda: through.submit(Request("b", attempts=2), b"", {"a": None}),
            lambda: through.defer_task(Request("c"), b"", ["b", "x"]),
            lambda: through.reserve_argument("b", "c"),
            lambda: through.set_argument("c", "x", b""),
            lambda: through.get_arguments("c"),
            lambda: through.claim(None),
            lambda: through.release("b"),
            lambda: through.status("b"),
            through.size,
            lambda: through.discard("b"),
            lambda: through.pop("b", 1),
            through.purge,
        ]
        for rehearsal in (True, False):  # the server learns the scripts
            for operation in operations:
                if rehearsal:
                    operation()
                else:
                    with costs(proxy, 1):
                        operation()

    @pytest.mark.spec("ENV-REDIS-1")
    def test_a_claim_that_waited_is_two(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy
    ) -> None:
        through.claim(0)
        before = proxy.scripts
        call = Call(lambda: through.claim(PATIENCE_S))
        proxy.wait_until(lambda: proxy.scripts == before + 2)
        queue.submit(Request("a"), b"")
        assert call.answer() is not None
        assert proxy.scripts == before + 2
        queue.discard("a")

    @pytest.mark.spec("ENV-REDIS-1")
    def test_a_pop_that_waited_is_two(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy
    ) -> None:
        queue.submit(Request("a"), b"")
        claim(queue)
        through.pop("a", 0)
        before = proxy.scripts
        call = Call(lambda: through.pop("a", PATIENCE_S))
        proxy.wait_until(lambda: proxy.scripts == before + 2)
        queue.finish("a", DONE, 10)
        assert call.answer() == ("result", DONE, None)
        assert proxy.scripts == before + 2

    @pytest.mark.spec("ENV-REDIS-1", "ENV-WAIT-2")
    def test_a_wait_in_vain_is_two(self, through: TaskQueue, proxy: Proxy) -> None:
        through.claim(0)
        began = time.monotonic()
        with costs(proxy, 2):
            assert through.claim(0.05) is None
        assert time.monotonic() - began >= 0.05

    @pytest.mark.spec("ENV-REDIS-1")
    def test_a_script_that_the_server_has_forgotten_is_sent_again(
        self, through: TaskQueue, proxy: Proxy, raw: Any
    ) -> None:
        through.size()
        raw.script_flush()
        with costs(proxy, 2):
            assert through.submit(Request("a"), b"").status == "accepted"
        assert through.size() == 1
        raw.script_flush()
        assert through.claim(PATIENCE_S) is not None
        through.discard("a")

    @pytest.mark.spec("ENV-REDIS-1")
    def test_a_script_that_is_forgotten_during_a_wait_is_sent_again(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, raw: Any
    ) -> None:
        before = proxy.scripts
        call = Call(lambda: through.claim(PATIENCE_S))
        proxy.wait_until(lambda: proxy.scripts >= before + 2)
        raw.script_flush()
        queue.submit(Request("a"), b"")
        assert call.answer() is not None
        queue.discard("a")


class TestClosing:
    @pytest.mark.spec("ENV-WAIT-7")
    def test_it_closes_all_sockets(self, through: TaskQueue, proxy: Proxy) -> None:
        call = Call(lambda: through.claim(None))
        proxy.wait_until(lambda: proxy.scripts >= 2)
        through.size()
        through.close()
        proxy.wait_until(lambda: proxy.open == 0)
        assert isinstance(call.error(), QueueClosed)

    @pytest.mark.spec("ENV-WAIT-7")
    def test_a_server_that_does_not_answer_does_not_hold_it_up(
        self, through: TaskQueue, proxy: Proxy
    ) -> None:
        calls = [Call(lambda: through.claim(None)) for _ in range(3)]
        proxy.wait_until(lambda: proxy.scripts >= 6)
        proxy.fall_silent(for_all=True)
        through.close()
        assert all(isinstance(call.error(), QueueClosed) for call in calls)

    @pytest.mark.parametrize("all_are_late", [False, True])
    @pytest.mark.spec("ENV-WAIT-7")
    def test_a_claim_whose_answer_is_late_is_not_lost(
        self, through: TaskQueue, proxy: Proxy, queue: TaskQueue, *, all_are_late: bool
    ) -> None:
        of_the_claim = set[int]()
        proxy.on_reply = lambda: of_the_claim.add(threading.get_ident())
        call = begin_claim(through)
        assert call.sleeps()
        late = threading.Event()
        proxy.on_reply = lambda: (
            (all_are_late or threading.get_ident() in of_the_claim) and late.wait()
        )
        queue.submit(Request("t"), b"")
        through.close()
        assert queue.size() == 0
        late.set()
        claimed = call.answer()
        assert claimed is not None
        assert queue.finish("t", DONE, 60, token=claimed.token).accepted
        assert queue.pop("t", 0) == Outcome("result", DONE)

    @pytest.mark.spec("ENV-WAIT-7")
    def test_no_task_is_lost_to_a_claim_that_it_ends(
        self, redis_url: str, queue: TaskQueue
    ) -> None:
        for n in range(50):
            closed = TaskQueue(redis_url)
            call = begin_claim(closed)
            assert call.sleeps()
            submit = begin_submit(queue, f"t{n}")
            closed.close()
            submit.answer()
            # Claimed and handed over, or still there.
            assert (queue.claim(0) is None) == (call.error() is None)
            queue.discard(f"t{n}")

    @pytest.mark.spec("ENV-RETRY-2")
    def test_it_ends_the_retries(self, redis_url: str) -> None:
        queue = TaskQueue(f"{redis_url.partition('?')[0]}-not-there", retry_deadline_s=PATIENCE_S)
        call = Call(queue.size)
        assert call.sleeps()
        began = time.monotonic()
        queue.close()
        assert isinstance(call.error(), QueueClosed)
        assert time.monotonic() - began < 1


class TestConnections:
    def test_those_that_wait_do_not_keep_others_out(self, proxy: Proxy, queue: TaskQueue) -> None:
        with closing(TaskQueue(f"{proxy.url}?max_connections=1")) as limited:
            calls = [Call(lambda: limited.claim(None)) for _ in range(3)]
            proxy.wait_until(lambda: proxy.scripts >= 6)
            for n in range(3):
                limited.submit(Request(f"t{n}"), b"")
            assert {call.answer().id for call in calls} == {"t0", "t1", "t2"}  # type: ignore[union-attr]
        for n in range(3):
            queue.discard(f"t{n}")

    @pytest.mark.spec("ENV-WAIT-9")
    def test_a_handler_that_interrupts_the_choice_of_a_connection_does_not_hang(
        self, proxy: Proxy
    ) -> None:
        def interrupt(link: Any) -> int:
            with link._changed:  # noqa: SLF001 - as a handler does that comes here
                return limited.size()

        with closing(TaskQueue(f"{proxy.url}?max_connections=1")) as limited:
            assert Call(lambda: interrupt(limited._link)).answer() == 0  # noqa: SLF001

    @pytest.mark.spec("ENV-WAIT-7")
    def test_closing_ends_the_wait_for_a_connection(self, proxy: Proxy) -> None:
        queue = TaskQueue(f"{proxy.url}?max_connections=1")
        queue.size()
        proxy.fall_silent(for_all=True)
        calls = [Call(queue.size) for _ in range(2)]
        assert all(call.sleeps() for call in calls)
        queue.close()
        assert all(isinstance(call.error(), QueueClosed) for call in calls)

    def test_the_limit_holds_for_those_that_do_not_wait(self, proxy: Proxy) -> None:
        with closing(TaskQueue(f"{proxy.url}?max_connections=1")) as limited:
            calls = [Call(limited.size) for _ in range(8)]
            assert [call.answer() for call in calls] == [0] * 8
        assert proxy.connections == 1

    def test_threads_do_not_disturb_each_other(self, queue: TaskQueue) -> None:
        calls = [Call(partial(submit_and_claim, queue, f"t{n}.", 50)) for n in range(6)]
        ids = [task_id for call in calls for task_id in call.answer()]
        assert sorted(ids) == sorted(f"t{n}.{i}" for n in range(6) for i in range(50))
        for task_id in ids:
            queue.discard(task_id)

    def test_a_forked_child_begins_anew(self, queue: TaskQueue, raw: Any) -> None:
        queue.submit(Request("a"), b"")
        assert in_child(lambda: claim(queue).id == "a")
        assert queue.submit(Request("b"), b"").status == "accepted"
        assert len([*raw.scan_iter(f"{KEY}:session:*")]) == 2

    def test_a_child_that_is_forked_while_others_wait_is_not_stuck(
        self, proxy: Proxy, queue: TaskQueue, through: TaskQueue
    ) -> None:
        call = begin_claim(through)
        proxy.wait_until(lambda: proxy.scripts >= 2)
        assert in_child(lambda: through.size() == 0)
        queue.submit(Request("a"), b"")
        assert call.answer() is not None

    @pytest.mark.spec("ENV-RETRY-2")
    def test_a_server_that_has_ended_is_noticed_before_anything_is_sent(self, proxy: Proxy) -> None:
        with closing(TaskQueue(proxy.url, retry_deadline_s=0)) as queue:
            queue.size()
            proxy.stop()
            proxy.wait_until(lambda: proxy.open == 0)
            with pytest.raises(BackendUnavailable) as caught:
                queue.submit(Request("a"), b"")
        assert caught.value.outcome == "not_sent"


class TestInterruption:
    @pytest.mark.spec("ENV-REDIS-1")
    def test_the_reply_to_an_interrupted_call_is_not_the_next_ones(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy
    ) -> None:
        class Interrupted(BaseException):
            pass

        def interrupt(*_: object) -> None:
            raise Interrupted

        def remind() -> None:
            proxy.on_reply = lambda: None
            os.kill(os.getpid(), signal.SIGUSR1)
            late.wait()

        late = threading.Event()
        queue.submit(Request("a"), b"")
        through.size()
        before = signal.signal(signal.SIGUSR1, interrupt)
        try:
            proxy.on_reply = remind
            with pytest.raises(Interrupted):
                through.size()
            assert Call(lambda: through.status("a")).answer() == "enqueued"
        finally:
            late.set()
            signal.signal(signal.SIGUSR1, before)


# Longer than any test: what ends earlier was ended.
FOREVER_S = 1_000.0


class TestBounds:
    """Calls within a block that bounds them."""

    @pytest.mark.spec("ENV-RETRY-3")
    @pytest.mark.parametrize("how", ["away", "silent", "silent from the first"])
    def test_they_give_up_together(self, proxy: Proxy, how: str) -> None:
        with closing(TaskQueue(proxy.url, retry_deadline_s=FOREVER_S)) as queue:
            if how != "silent from the first":
                queue.size()
            if how == "away":
                proxy.stop()
            else:
                proxy.fall_silent(for_all=True)
            call = Call(partial(self.act, queue))
            assert isinstance(call.error(), BackendUnavailable)

    def act(self, queue: TaskQueue) -> None:
        with calls_within(0.2), calls_within(FOREVER_S):  # the earliest moment counts
            queue.submit(Request("a"), b"")

    @pytest.mark.spec("ENV-RETRY-3", "ENV-RETRY-1")
    def test_a_connection_that_is_silent_is_left_for_another(
        self, proxy: Proxy, queue: TaskQueue
    ) -> None:
        with closing(TaskQueue(proxy.url, retry_deadline_s=FOREVER_S)) as through:
            with calls_within(PATIENCE_S):
                through.size()
                proxy.fall_silent()
                assert through.submit(Request("a"), b"").status == "accepted"
            assert proxy.connections == 2
            assert claim(queue).id == "a"

    @pytest.mark.spec("ENV-RETRY-3")
    def test_a_wait_is_not_bounded(self, through: TaskQueue, queue: TaskQueue) -> None:
        def wait() -> Claim | None:
            with calls_within(0):
                return through.claim(PATIENCE_S)

        call = Call(wait)
        assert call.sleeps()
        queue.submit(Request("a"), b"")
        assert call.answer() is not None

    @pytest.mark.spec("ENV-RETRY-3")
    def test_they_do_not_wait_for_connections_that_others_use(self, proxy: Proxy) -> None:
        url = f"{proxy.url}?max_connections=1"
        with closing(TaskQueue(url, retry_deadline_s=FOREVER_S)) as queue:
            queue.size()
            proxy.fall_silent()
            busy = Call(queue.size)
            assert busy.sleeps()
            with calls_within(PATIENCE_S):
                assert queue.size() == 0
            queue.close()
            assert isinstance(busy.error(), QueueClosed)


@pytest.mark.spec("ENV-RETRY-4")
def test_contact_is_said_to_be_lost_and_to_be_back_once(
    proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "worq.queue.redis")
    with closing(TaskQueue(proxy.url, retry_deadline_s=FOREVER_S)) as queue:
        queue.size()
        assert caplog.messages == []
        for _ in range(2):
            caplog.clear()
            proxy.faults.extend(["not sent"] * 3)
            assert (queue.size(), queue.size()) == (0, 0)
            lost, back = caplog.records
            assert lost.getMessage().startswith(
                f"{proxy.url} [default]: contact lost, trying again: "
            )
            assert back.getMessage().startswith(f"{proxy.url} [default]: contact again after ")
            assert (lost.levelname, back.levelname) == ("WARNING", "INFO")
    with closing(TaskQueue(proxy.url, retry_deadline_s=0)) as once:
        caplog.clear()
        proxy.faults.append("not sent")
        with pytest.raises(BackendUnavailable):
            once.size()
        assert caplog.messages == []  # it is not sent again


class TestAlarms:
    """Of those who wait, one looks when a lease passes, and the others are told. [ENV-WAIT-4]"""

    @pytest.mark.spec("ENV-WAIT-4")
    def test_whoever_leaves_passes_the_alarm_on(self, queue: TaskQueue) -> None:
        queue.submit(Request("a"), b"")
        claim(queue)
        queue.heartbeat("a", 1)
        leaves = Call(lambda: queue.pop("a", 0.3))
        assert leaves.sleeps()
        stays = Call(lambda: queue.pop("a", PATIENCE_S))
        assert leaves.answer() is None
        began = time.monotonic()
        assert stays.answer() is TASK_EXPIRED
        assert time.monotonic() - began < 1.5

    @pytest.mark.spec("ENV-WAIT-4")
    def test_one_that_dies_with_it_is_replaced(self, queue: TaskQueue) -> None:
        queue.submit(Request("a"), b"")
        claim(queue)
        queue.heartbeat("a", 0.3)
        # It looks, is told to sleep until the lease passes, and is never heard of again.
        reply = queue._link.call(  # noqa: SLF001
            scripts.POP, "a", b"", b"-1", b"0"
        )
        assert reply[:1] == b"W"
        began = time.monotonic()
        assert queue.pop("a", PATIENCE_S) is TASK_EXPIRED
        assert time.monotonic() - began < 2

    @pytest.mark.spec("ENV-WAIT-4")
    def test_a_lease_that_is_cut_short_is_noticed_by_who_waits(self, queue: TaskQueue) -> None:
        queue.submit(Request("a", attempts=2), b"")
        claim(queue)
        waits = Call(lambda: queue.claim(PATIENCE_S))
        assert waits.sleeps()
        began = time.monotonic()
        queue.heartbeat("a", 0.1)
        assert waits.answer() is not None
        assert time.monotonic() - began < 2
        queue.discard("a")

    @pytest.mark.spec("ENV-WAIT-3")
    def test_only_one_of_many_looks_early(
        self, proxy: Proxy, through: TaskQueue, queue: TaskQueue
    ) -> None:
        queue.submit(Request("a"), b"")
        claim(queue)
        calls = [Call(lambda: through.claim(1)) for _ in range(5)]
        proxy.wait_until(lambda: proxy.scripts >= 10)
        before = proxy.scripts
        queue.heartbeat("a", 0.2)
        assert [call.answer() for call in calls] == [None] * 5
        # The one that is woken, looks, sleeps until the lease has passed, and looks again.
        assert proxy.scripts - before <= 4


def test_a_manual_clock_is_the_only_one_that_counts(redis_url: str) -> None:
    clock = ManualClock()
    with closing(TaskQueue(redis_url, clock=clock)) as queue:
        queue.submit(Request("a", attempts=2, heartrate=1), b"")
        claim(queue)
        call = Call(lambda: queue.claim(100))
        assert call.sleeps()
        clock.advance(7_000)
        claimed = call.answer()
        assert claimed is not None
        assert claimed.token.start == 2
        queue.discard("a")


@pytest.mark.spec("ENV-POOL-25")
def test_what_was_not_sent_is_given_up_sooner_than_what_may_have_been_done() -> None:
    lost = ConnectionError("planted")
    tries = Tries("here", 1e9, None, threading.Event(), unsent_s=0)
    with pytest.raises(BackendUnavailable) as caught:
        tries.pause_s(lost, may_be_done=False)
    assert caught.value.outcome == "not_sent"
    assert tries.pause_s(lost, may_be_done=True) >= 0
    assert tries.pause_s(lost, may_be_done=False) >= 0
