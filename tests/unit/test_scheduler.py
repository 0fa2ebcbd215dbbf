"""The scheduler runs one thread at a time, as its strategy says, and says who can't go on."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from worq.testing.scheduler import (
    AtRandom,
    Deadlock,
    Follow,
    Priorities,
    Scheduler,
    Strategy,
    as_text,
    first,
    from_text,
)


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler(2)
    yield scheduler
    scheduler.close()


def steps(scheduler: Scheduler, log: list[str], name: str) -> Callable[[], None]:
    def job() -> None:
        for _ in range(3):
            scheduler.point()
            log.append(name)

    return job


def run(scheduler: Scheduler, strategy: Strategy) -> str:
    log: list[str] = []
    scheduler.start([steps(scheduler, log, name) for name in "ab"], strategy)
    scheduler.go()
    return "".join(log)


def test_a_thread_goes_on_as_long_as_it_can(scheduler: Scheduler) -> None:
    assert run(scheduler, first) == "aaabbb"


@pytest.mark.parametrize("strategy", [AtRandom(3), Priorities(4, 2, 8, 2)])
def test_a_schedule_is_repeated_from_its_text(scheduler: Scheduler, strategy: Strategy) -> None:
    log = run(scheduler, strategy)
    text = as_text(scheduler.decisions)
    assert run(scheduler, Follow(from_text(text))) == log
    assert as_text(scheduler.decisions) == text


def test_the_text_of_a_schedule_counts_turns() -> None:
    assert from_text("a2b1a3") == [0, 0, 1, 0, 0, 0]


def test_priorities_fall_behind(scheduler: Scheduler) -> None:
    logs = {run(scheduler, Priorities(seed, 2, 4, 1)) for seed in range(20)}
    assert "aaabbb" in logs
    assert any(log[:2] in ("ab", "ba") for log in logs)


def test_what_a_job_raises_is_raised(scheduler: Scheduler) -> None:
    def job() -> None:
        raise KeyError

    scheduler.start([job], first)
    with pytest.raises(KeyError):
        scheduler.go()


def test_who_waits_for_each_other_is_stuck_and_can_be_abandoned(scheduler: Scheduler) -> None:
    one, other = scheduler.threading.Lock(), scheduler.threading.Lock()

    def job(mine: Any, theirs: Any) -> None:
        with mine:
            assert mine.locked()
            with theirs:
                pass

    scheduler.start([lambda: job(one, other), lambda: job(other, one)], Follow([0, 0, 1]))
    scheduler.go()
    assert scheduler.stuck() == [0, 1]
    with pytest.raises(Deadlock):
        one.acquire()
    scheduler.abandon()
    assert scheduler.stuck() == []
    assert run(scheduler, first) == "aaabbb"


def shut_gate(scheduler: Scheduler) -> Any:
    gate = scheduler.threading.Lock()
    assert gate.acquire(blocking=False)
    return gate


def test_who_sleeps_is_woken_by_others_by_time_or_without_a_reason(scheduler: Scheduler) -> None:
    gate = shut_gate(scheduler)
    told: list[bool] = []

    def sleep(timeout: float) -> None:
        scheduler.start([lambda: told.append(gate.acquire(timeout=timeout))], first)
        scheduler.go()

    sleep(2)
    assert scheduler.asleep() == {0: 2000}
    gate.release()
    scheduler.go()
    sleep(1.5)
    scheduler.pass_time(1499)
    assert scheduler.asleep() == {0: 1500}
    scheduler.pass_time(1)
    scheduler.go()
    sleep(9)
    scheduler.wake(0)
    scheduler.go()
    assert told == [True, False, False]


def test_what_was_released_before_anybody_slept_lets_the_next_one_pass(
    scheduler: Scheduler,
) -> None:
    gate = shut_gate(scheduler)
    gate.release()
    told: list[bool] = []
    scheduler.start([lambda: told.extend(gate.acquire(timeout=n) for n in (5, 0))], first)
    scheduler.go()
    assert told == [True, False]


def test_a_lock_is_released_by_who_holds_it(scheduler: Scheduler) -> None:
    lock = scheduler.threading.Lock()
    with pytest.raises(RuntimeError):
        lock.release()
    with lock:
        scheduler.start([lock.release], first)
        with pytest.raises(RuntimeError):
            scheduler.go()
