"""What is particular to the memory backend: its stores, its heap, its sleepers, and forks."""

import gc
import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backends.calls import PATIENCE_S, Call
from worq.clock import ManualClock, MonotonicClock
from worq.const import TASK_EXPIRED
from worq.errors import QueueClosed
from worq.queue.memory import TaskQueue, waiting
from worq.queue.memory.deadlines import STALE_MIN, Deadlines
from worq.queue.memory.guard import Gate
from worq.queue.memory.stores import STORES, Store
from worq.testing.parallel import switching_often
from worq.values import Outcome, Request, Token

URL = "memory://"
LONG_S = 1000.0


class SubscribedClock(ManualClock):
    """A manual clock that knows how many stores it wakes."""

    def __init__(self) -> None:
        super().__init__()
        self.subscribers = 0

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        self.subscribers += 1
        unsubscribe = super().subscribe(wake)

        def leave() -> None:
            self.subscribers -= 1
            unsubscribe()

        return leave


class DeafClock(ManualClock):
    """A manual clock whose every wake-up is lost."""

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        del wake
        return lambda: None


class WatchedClock(MonotonicClock):
    """The machine's clock, which knows who looked at it."""

    def __init__(self) -> None:
        self.looks: Counter[int] = Counter()

    def now_ms(self) -> int:
        self.looks[threading.get_ident()] += 1
        return super().now_ms()

    def looks_of(self, call: Call[object]) -> int:
        return self.looks[call.thread.ident or 0]


@pytest.fixture
def name() -> Iterator[str]:
    """The name of a queue that is held by nobody, before and after."""
    name = f"test-{uuid4().hex}"
    yield name
    gc.collect()
    assert (URL, name) not in STORES.held()


@pytest.fixture
def clock() -> SubscribedClock:
    return SubscribedClock()


def submitted(queue: TaskQueue, *task_ids: str) -> None:
    for task_id in task_ids:
        assert queue.submit(Request(task_id), b"m").status == "accepted"


def wait_until(happens: Callable[[], bool]) -> None:
    """For what another thread does by itself and nobody is told."""
    until = time.monotonic() + PATIENCE_S
    while not happens():
        assert time.monotonic() < until
        time.sleep(0.005)


def claimed(queue: TaskQueue, task_id: str) -> Token:
    submitted(queue, task_id)
    claim = queue.claim(0)
    assert claim is not None
    return claim.token


class TestUrls:
    @pytest.mark.spec("ENV-API-9", "ENV-BAD-5")
    @pytest.mark.parametrize(
        "url",
        [
            "memory:",
            "memory:/",
            "memory:///",
            "memory://a/b",
            "memory://a?b=1",
            "memory://?b",
            "memory://a#b",
            "memory://a:1",
            "memory://u@a",
            "memory:// ",
            "memory://a\n",
            "redis://",
            "Memory://",
            "x memory://",
        ],
    )
    def test_a_bad_url_is_refused_and_shown(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"^url: ") as caught:
            TaskQueue(url)
        assert repr(url) in str(caught.value)

    @pytest.mark.spec("ENV-API-9")
    def test_the_url_and_the_name_say_which_queue_it_is(self, name: str) -> None:
        queues = [
            TaskQueue(URL, name),
            TaskQueue(URL, name),
            TaskQueue("memory://b", name),
            TaskQueue(URL, f"{name}-2"),
        ]
        submitted(queues[0], "a")
        assert [queue.size() for queue in queues] == [1, 1, 0, 0]
        queues[0].purge()
        for queue in queues:
            queue.close()


class TestClocks:
    def test_the_first_to_open_a_queue_sets_its_clock(
        self, name: str, clock: SubscribedClock
    ) -> None:
        first = TaskQueue(URL, name, clock=clock)
        second = TaskQueue(URL, name)
        claimed(second, "a")
        clock.advance(10**9)
        assert second.status("a") is None
        TaskQueue(URL, name, clock=clock).close()
        first.close()
        second.close()

    def test_another_clock_than_that_of_the_queue_is_refused(
        self, name: str, clock: SubscribedClock
    ) -> None:
        queue = TaskQueue(URL, name, clock=clock)
        for other in (ManualClock(), MonotonicClock()):
            with pytest.raises(ValueError, match=r"^clock: .*Clock"):
                TaskQueue(URL, name, clock=other)
        queue.close()

    def test_all_monotonic_clocks_are_the_same(self, name: str) -> None:
        queues = [TaskQueue(URL, name), TaskQueue(URL, name, clock=MonotonicClock())]
        with pytest.raises(ValueError, match=r"^clock: "):
            TaskQueue(URL, name, clock=ManualClock())
        for queue in queues:
            queue.close()


@pytest.mark.spec("ENV-API-8")
class TestTheLifeOfAStore:
    def test_it_ends_with_the_last_queue_object_if_it_holds_no_task(
        self, name: str, clock: SubscribedClock
    ) -> None:
        first, second = TaskQueue(URL, name, clock=clock), TaskQueue(URL, name, clock=clock)
        first.close()
        first.close()
        assert (clock.subscribers, (URL, name) in STORES.held()) == (1, True)
        second.close()
        assert (clock.subscribers, (URL, name) in STORES.held()) == (0, False)

    def test_it_lives_while_it_holds_a_task(self, name: str) -> None:
        queue = TaskQueue(URL, name)
        submitted(queue, "a")
        queue.close()
        again = TaskQueue(URL, name)
        assert again.size() == 1
        assert again.discard("a")
        again.close()

    def test_an_object_that_is_dropped_loses_nothing_and_holds_nothing(
        self, name: str, clock: SubscribedClock
    ) -> None:
        queue = TaskQueue(URL, name, clock=clock)
        submitted(queue, "a")
        del queue
        gc.collect()
        again = TaskQueue(URL, name, clock=clock)
        assert again.size() == again.purge() == 1
        del again
        gc.collect()
        TaskQueue(URL, name).close()
        assert clock.subscribers == 0

    def test_it_ends_when_its_last_task_expires(self, name: str, clock: SubscribedClock) -> None:
        queue = TaskQueue(URL, name, clock=clock)
        token = claimed(queue, "a")
        queue.finish("a", b"r", 2, token=token)
        queue.close()
        clock.advance(1999)
        assert (URL, name) in STORES.held()
        clock.advance(1)
        assert (URL, name) not in STORES.held()

    def test_stores_that_nobody_opens_again_end_when_others_are_opened(
        self, name: str, clock: SubscribedClock
    ) -> None:
        for number in range(20):
            queue = TaskQueue(URL, f"{name}-{number}", clock=clock)
            claimed(queue, "a")
            queue.close()
        assert clock.subscribers == 20
        clock.advance(10**9)
        for _ in range(20 + len(STORES.held())):
            TaskQueue(URL, name).close()
        assert clock.subscribers == 0

    def test_a_new_life_may_have_another_clock(self, name: str) -> None:
        for clock in (ManualClock(), ManualClock()):
            TaskQueue(URL, name, clock=clock).close()

    @switching_often()
    def test_those_who_open_a_queue_at_the_same_time_reach_one_store(self, name: str) -> None:
        together = threading.Barrier(8)

        def open_and_submit(number: int) -> TaskQueue:
            together.wait()
            queue = TaskQueue(URL, name)
            submitted(queue, str(number))
            return queue

        for _ in range(60):
            calls = [Call(partial(open_and_submit, number)) for number in range(8)]
            queues = [call.answer() for call in calls]
            assert {queue.size() for queue in queues} == {8}
            assert queues[0].purge() == 8
            for queue in queues:
                queue.close()

    def test_a_queue_that_is_opened_while_the_last_one_closes_is_not_forgotten(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opening: list[Call[TaskQueue]] = []
        closes = threading.current_thread()
        let_go = Store.let_go

        def let_go_slowly(store: Store) -> None:
            if threading.current_thread() is closes and not opening:
                opening.append(Call(lambda: TaskQueue(URL, name)))
                opening[0].thread.join(0.1)
            let_go(store)

        monkeypatch.setattr(Store, "let_go", let_go_slowly)
        TaskQueue(URL, name).close()
        with closing(opening[0].answer()) as first, closing(TaskQueue(URL, name)) as second:
            submitted(first, "a")
            assert second.discard("a")

    @switching_often()
    def test_opening_and_closing_at_the_same_time_loses_nothing(self, name: str) -> None:
        def open_and_close(worker: int) -> None:
            for number in range(50):
                queue = TaskQueue(URL, name)
                submitted(queue, f"{worker}-{number}")
                queue.close()

        for call in [Call(partial(open_and_close, worker)) for worker in range(4)]:
            call.answer()
        queue = TaskQueue(URL, name)
        assert queue.purge() == 200
        queue.close()


class TestLongChains:
    LENGTH = 100_000

    @pytest.fixture
    def chain(self, name: str) -> Iterator[TaskQueue]:
        """A queue where each task waits for the one before; the first, `0`, is claimed."""
        queue = TaskQueue(URL, name)
        claimed(queue, "0")
        for number in range(1, self.LENGTH):
            queue.submit(Request(str(number)), b"", {str(number - 1): None})
        yield queue
        queue.purge()
        queue.close()

    @pytest.mark.spec("OUT-3")
    def test_a_failure_goes_to_the_end(self, chain: TaskQueue) -> None:
        last = str(self.LENGTH - 1)
        assert chain.finish("0", b"f", LONG_S, failed=True).dependent_id == "1"
        assert chain.status("1") is None
        assert chain.pop(last) == Outcome("failure", b"f", "0")

    @pytest.mark.spec("OUT-6")
    def test_an_expiry_goes_to_the_end(self, chain: TaskQueue) -> None:
        assert chain.discard("0")
        assert chain.size() == 0

    @pytest.mark.spec("PRG-1", "OUT-7")
    def test_a_purge_frees_the_first(self, chain: TaskQueue) -> None:
        assert chain.purge() == self.LENGTH - 1
        chain.finish("0", b"r", LONG_S)
        assert chain.pop("0") == Outcome("result", b"r")


class TestDeadlines:
    KEYS = st.sampled_from(["a", "b", "c"])
    TIMES = st.integers(0, 9)

    @pytest.mark.spec("TIM-1", "TIM-2")
    @given(st.lists(st.one_of(st.tuples(KEYS, TIMES), KEYS, TIMES), max_size=300))
    def test_they_are_those_of_a_plain_dictionary(
        self, steps: list[tuple[str, int] | str | int]
    ) -> None:
        deadlines: Deadlines[str] = Deadlines()
        plain: dict[str, int] = {}
        for step in steps:
            if isinstance(step, tuple):
                deadlines.set(*step)
                plain[step[0]] = step[1]
            elif isinstance(step, str):
                deadlines.drop(step)
                plain.pop(step, None)
            else:
                passed = sorted((at, key) for key, at in plain.items() if at <= step)
                assert deadlines.pop_passed(step) == (passed[0][1] if passed else None)
                if passed:
                    del plain[passed[0][1]]
            assert deadlines.next_ms() == min(plain.values(), default=None)

    def test_heartbeats_do_not_make_them_grow(self) -> None:
        deadlines: Deadlines[str] = Deadlines()
        for beat in range(10_000):
            for key in "abc":
                deadlines.set(key, beat)
        assert deadlines.entries <= 2 * 3 + STALE_MIN

    @pytest.mark.spec("TIM-2")
    def test_they_are_in_order_once_they_were_made_anew(self) -> None:
        deadlines: Deadlines[str] = Deadlines()
        for number in range(100):
            deadlines.set(str(number), 100 - number)
        deadlines.set("0", 100)
        while deadlines.entries > 100:
            deadlines.set("0", 100)
        passed = [deadlines.pop_passed(100) for _ in range(100)]
        assert passed == [str(number) for number in reversed(range(100))]

    def test_neither_do_keys_that_are_gone(self) -> None:
        deadlines: Deadlines[str] = Deadlines()
        for key in range(10_000):
            deadlines.set(str(key), 5)
        for key in range(10_000):
            deadlines.drop(str(key))
        assert deadlines.entries <= STALE_MIN
        assert deadlines.next_ms() is None


class TestSleepers:
    @pytest.mark.spec("ENV-WAIT-3")
    def test_a_lost_wake_up_is_made_up_for(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting, "WAIT_MS_MAX", 20)
        clock = DeafClock()
        queue = TaskQueue(URL, name, clock=clock)
        claimed(queue, "a")
        calls: list[Call[object]] = [
            Call(partial(queue.claim, 1)),
            Call(partial(queue.pop, "a", None)),
        ]
        clock.advance(10**6)
        assert [call.answer() for call in calls] == [None, TASK_EXPIRED]
        queue.close()

    @pytest.mark.spec("ENV-WAIT-3", "ENV-WAIT-4")
    def test_of_those_who_sleep_one_wakes_at_a_deadline(self, name: str) -> None:
        clock = WatchedClock()
        queue = TaskQueue(URL, name, clock=clock)
        token = claimed(queue, "a")
        submitted(queue, "b")
        calls = [Call(partial(queue.pop, "b", None)) for _ in range(5)]
        assert all(call.sleeps() for call in calls)
        before = [clock.looks_of(call) for call in calls]
        queue.heartbeat("a", 0.02, token=token)
        wait_until(lambda: [clock.looks_of(call) for call in calls] != before)
        assert all(call.sleeps() for call in calls)
        woken = [clock.looks_of(call) - n for call, n in zip(calls, before, strict=True)]
        assert [n for n in woken if n] in ([1], [2])  # told of the new deadline, and at it
        queue.discard("b")
        assert [call.answer() for call in calls] == [TASK_EXPIRED] * 5
        queue.close()

    @pytest.mark.spec("ENV-WAIT-4")
    def test_when_the_one_that_watches_leaves_another_takes_over(self, name: str) -> None:
        queue = TaskQueue(URL, name)
        token = claimed(queue, "a")
        first = Call(partial(queue.pop, "a", 0.05))
        assert first.sleeps() or first.answer() is None
        second = Call(partial(queue.pop, "a", None))
        assert second.sleeps()
        assert first.answer() is None
        queue.heartbeat("a", 0.05, token=token)
        began = time.monotonic()
        assert second.answer() is TASK_EXPIRED
        assert time.monotonic() - began < 4
        queue.close()

    @pytest.mark.spec("ENV-WAIT-6")
    def test_who_watches_is_spared_when_a_task_becomes_ready(self, name: str) -> None:
        queue = TaskQueue(URL, name)
        token = claimed(queue, "a")
        watch = Call(queue.claim)
        assert watch.sleeps()
        other = Call(queue.claim)
        assert other.sleeps()
        submitted(queue, "b")
        assert other.answer() is not None
        assert watch.sleeps()
        queue.finish("a", b"", 0, token=token)
        queue.discard("b")
        queue.close()
        assert isinstance(watch.error(), QueueClosed)

    @pytest.mark.spec("ENV-WAIT-6")
    def test_a_claim_that_dies_when_it_is_woken_wakes_the_next(
        self, name: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue = TaskQueue(URL, name, clock=clock)
        doomed = Call(queue.claim)
        assert doomed.sleeps()
        look = TaskQueue._look  # noqa: SLF001 (the first thing that a woken call does)
        dies = doomed.thread.ident

        def die(self: TaskQueue) -> None:
            if threading.get_ident() == dies:
                raise KeyboardInterrupt
            look(self)

        monkeypatch.setattr(TaskQueue, "_look", die)
        other = Call(queue.claim)
        assert other.sleeps()
        submitted(queue, "a")
        assert isinstance(doomed.error(), KeyboardInterrupt)
        assert other.answer() is not None
        queue.discard("a")
        queue.close()


@pytest.mark.spec("ENV-WAIT-3")
def test_nobody_sleeps_longer_than_five_seconds(
    name: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept_s: list[float] = []

    def sleep(_: Gate, timeout_s: float) -> bool:
        slept_s.append(timeout_s)
        raise KeyboardInterrupt

    monkeypatch.setattr(Gate, "wait", sleep)
    with closing(TaskQueue(URL, name, clock=clock)) as queue, pytest.raises(KeyboardInterrupt):
        queue.claim(None)
    assert slept_s == [5]


def _in_child(queue: TaskQueue, name: str) -> None:
    with pytest.raises(QueueClosed, match="before the fork"):
        queue.size()
    queue.close()
    own = TaskQueue(URL, name)
    assert own.size() == 0
    submitted(own, "c")
    assert own.claim(0) is not None
    assert own.discard("c")
    own.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("manual", [True, False], ids=["manual clock", "own clock"])
def test_a_forked_child_shares_nothing_and_does_not_hang(
    name: str,
    manual: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    clock = ManualClock() if manual else None
    queue = TaskQueue(URL, name, clock=clock)
    submitted(queue, "a")
    call = Call(partial(queue.pop, "a", None))
    assert call.sleeps()
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=(queue, name))
    with queue._store.guard.lock:  # noqa: SLF001 (as another thread may hold it)
        child.start()
    child.join(PATIENCE_S)
    child.kill()
    child.join()
    assert child.exitcode == 0
    assert queue.size() == 1
    assert queue.discard("a")
    assert call.answer() is TASK_EXPIRED
    queue.close()
