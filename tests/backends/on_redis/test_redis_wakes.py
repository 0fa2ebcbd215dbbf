"""Those who wait, and what else may happen just then: each found by a mutant that nothing else showed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.backends.calls import Call
from tests.backends.on_redis.cases import KEY, claim, complete, submit
from tests.backends.on_redis.proxy import Proxy
from worq.const import TASK_EXPIRED
from worq.errors import QueueClosed
from worq.queue.redis import TaskQueue, scripts
from worq.values import Outcome


@contextmanager
def sleeper(queue: TaskQueue) -> Iterator[Callable[[], int]]:
    """Ask as one who waits for a task, and for ever; the answer is how many ms to block."""
    link = queue._link  # pyright: ignore[reportPrivateUsage] # noqa: SLF001
    channel = link.take(waits=True)
    try:
        yield lambda: int.from_bytes(link.perform(channel, scripts.CLAIM, (b"-1", b"0"))[1:], "big")
        link.perform(channel, scripts.CLAIM, (b"0", b"1"))
    finally:
        link.give(channel)


def server_ms(raw: Any) -> int:
    seconds, microseconds = raw.time()
    return int(seconds * 1000 + microseconds // 1000)


def a_claimed(queue: TaskQueue, task_id: str) -> None:
    submit(queue, task_id)
    claim(queue)


@pytest.mark.spec("ENV-WAIT-2", "ENV-WAIT-6")
def test_a_marker_is_replaced_when_one_has_died_with_it_and_passed_on(
    timed: TaskQueue, raw: Any
) -> None:
    dies = Call(lambda: raw.blpop([f"{KEY}:wake"]))
    assert dies.sleeps()
    calls = [Call(lambda: timed.claim(None)) for _ in range(2)]
    assert all(call.sleeps() for call in calls)
    submit(timed, "a")
    assert dies.answer() is not None
    began = time.monotonic()
    submit(timed, "b")
    # One marker: whoever gets it takes the first task, and wakes the other for the second.
    assert sorted(claimed.id for call in calls if (claimed := call.answer())) == ["a", "b"]
    assert time.monotonic() - began < 2  # they would have looked again after 5 s anyway


@pytest.mark.spec("ENV-WAIT-2", "ENV-WAIT-3")
def test_a_claim_that_is_woken_for_nothing_goes_on_to_its_timeout(
    timed: TaskQueue, raw: Any
) -> None:
    began = time.monotonic()
    call = Call(lambda: timed.claim(0.5))
    assert call.sleeps()
    raw.rpush(f"{KEY}:wake", "1")
    assert call.answer() is None
    assert time.monotonic() - began >= 0.5


@pytest.mark.spec("ENV-WAIT-3")
def test_a_wait_looks_again_after_5_s(timed: TaskQueue) -> None:
    with sleeper(timed) as look:
        assert look() == 5_000


@pytest.mark.spec("ENV-WAIT-3", "ENV-WAIT-4")
def test_one_sleeper_looks_when_the_lease_passes_and_each_other_a_little_later(
    timed: TaskQueue, raw: Any
) -> None:
    a_claimed(timed, "a")
    timed.heartbeat("a", 3)
    with sleeper(timed) as first, sleeper(timed) as second, sleeper(timed) as third:
        began_ms = server_ms(raw)
        blocks = first(), second(), third()
        took_ms = server_ms(raw) - began_ms
    assert blocks[0] <= 3_000
    assert blocks[1] >= blocks[0] + 250 - took_ms
    assert blocks[2] >= blocks[1] + 250 - took_ms


@pytest.mark.spec("ENV-WAIT-4")
def test_a_wait_whose_timeout_has_passed_is_no_sleeper_any_more(timed: TaskQueue, raw: Any) -> None:
    a_claimed(timed, "a")
    timed.heartbeat("a", 3)
    assert timed.claim(0.05) is None
    assert not raw.exists(f"{KEY}:session:wait:sleepers", f"{KEY}:session:wait:alarm")


@pytest.mark.spec("ENV-WAIT-5", "POP-1")
def test_a_pop_that_looks_late_waits_for_the_incarnation_that_it_first_saw(
    queue: TaskQueue, through: TaskQueue, proxy: Proxy
) -> None:
    def another() -> None:
        proxy.before_script = lambda: None
        complete(queue, "a")

    a_claimed(queue, "a")
    call = Call(lambda: through.pop("a", None))
    assert call.sleeps()
    proxy.before_script = another
    queue.discard("a")
    assert call.answer() is TASK_EXPIRED
    assert queue.pop("a") == Outcome("result", b"done")


@pytest.mark.spec("ENV-WAIT-7")
def test_a_task_does_not_go_to_a_claim_that_comes_too_late_for_a_closed_queue(
    timed: TaskQueue, timed_through: TaskQueue, proxy: Proxy, raw: Any
) -> None:
    def slow_down() -> None:
        proxy.on_reply = lambda: time.sleep(0.3)

    submit(timed, "a")
    raw.rename(f"{KEY}:ready", f"{KEY}:session:aside")
    raw.delete(f"{KEY}:wake")
    call = Call(lambda: timed_through.claim(None))
    proxy.wait_until(lambda: proxy.scripts >= 2)
    assert call.sleeps()
    raw.rename(f"{KEY}:session:aside", f"{KEY}:ready")
    proxy.before_script = slow_down
    timed_through.close()
    assert isinstance(call.error(), QueueClosed)
    assert timed.status("a") == "enqueued"


@pytest.mark.spec("ENV-WAIT-4")
def test_whoever_gets_a_task_passes_the_alarm_on_to_the_last_of_many(timed: TaskQueue) -> None:
    for task_id in "ab":
        a_claimed(timed, task_id)
    began = time.monotonic()
    timed.heartbeat("a", 1.2)
    has_the_alarm = Call(lambda: timed.claim(None))
    assert has_the_alarm.sleeps()
    others = [Call(lambda: timed.pop("b", None)) for _ in range(9)]
    assert others[-1].sleeps()
    stays = Call(lambda: timed.pop("a", None))
    assert stays.sleeps()
    timed.finish("b", b"done", 1)
    assert [call.answer() for call in others].count(TASK_EXPIRED) == 8
    submit(timed, "c")
    assert has_the_alarm.answer() is not None
    assert stays.answer() is TASK_EXPIRED
    assert time.monotonic() - began < 2.5  # the last of eleven would look 2.5 s after the lease
