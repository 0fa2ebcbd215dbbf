"""What a pool is fed with: queues in turn, so many tasks, or all there are."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import worq
from tests.backends.conftest import Start, start
from worq.core import Broker
from worq.pool.feed import Feed, Ledger
from worq.pool.thread import WorkerPool

__all__ = ["start"]

SECONDS = 20


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis), "sqlite"])
def brokers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Broker]]:
    """Three queues with one task, `len`."""
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/queues.db"}
    url = urls.get(request.param) or request.getfixturevalue("redis_url")
    found = [worq.get_broker(url, f"{name}-{uuid4().hex}") for name in "abc"]
    found[0].expose(len)
    for broker in found[1:]:
        broker.tasks = found[0].tasks
    yield found
    for broker in found:
        broker.discard_pending_tasks()
        broker.close()


def submit(broker: Broker, count: int) -> None:
    for _ in range(count):
        broker.queue(ignore_result=True).len("")


@pytest.mark.parametrize("workers", [1, 4])
def test_no_more_tasks_are_claimed_than_allowed(brokers: list[Broker], workers: int) -> None:
    spent = threading.Event()
    ledger = Ledger(1, tasks_max=3, spent=spent.set)
    with WorkerPool(Feed(brokers[:1], ledger), workers):
        submit(brokers[0], 7)
        assert spent.wait(SECONDS)
    assert len(brokers[0]) == 4


def test_a_claim_that_was_not_made_is_one_for_others(brokers: list[Broker]) -> None:
    feed = Feed(brokers[:1], Ledger(1, tasks_max=1)).clone()
    assert feed.claim(0.001) is None
    submit(brokers[0], 2)
    assert feed.claim(0) is not None
    threading.Timer(0, feed.close).start()
    assert feed.claim(None) is None


def test_the_queue_behind_the_last_is_first_whoever_claims(brokers: list[Broker]) -> None:
    feed = Feed(brokers)
    other = feed.clone()
    for broker, count in zip(brokers, (3, 1, 2), strict=True):
        submit(broker, count)
    claims = [claimer.claim(0) for claimer in (feed, other, feed, other, feed, other)]
    queues = [claim.token.queue[0] for claim in claims if claim is not None]  # type: ignore[attr-defined]
    assert "".join(queues) == "abcaca"
    other.close()


def test_one_idle_worker_waits_for_each_queue() -> None:
    ledger = Ledger(3)
    closed = threading.Event()
    ledger.first = 1
    assert [ledger.begin_to_wait(closed, 0) for _ in range(4)] == [1, 2, 0, None]
    assert not ledger.end_to_wait(2)
    assert ledger.end_to_wait(1)
    assert ledger.begin_to_wait(closed, 0) == 1


def test_another_takes_the_place_of_one_who_got_a_task(start: Start) -> None:
    ledger = Ledger(2)
    closed = threading.Event()
    ledger.begin_to_wait(closed, 0)
    ledger.begin_to_wait(closed, 0)
    others = [start(lambda: ledger.begin_to_wait(closed, None)) for _ in range(2)]
    assert all(other.sleeps() for other in others)
    ledger.end_to_wait(1)
    assert sorted(other.sleeps() for other in others) == [False, True]
    closed.set()
    ledger.wake()
    assert {other.answer() for other in others} == {1, None}


def test_no_queue_is_asked_by_more_than_one_idle_worker(
    brokers: list[Broker], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = Feed(brokers)
    asking = [0, 0, 0]
    most = [0, 0, 0]
    changed = threading.Condition()

    for number, broker in enumerate(brokers):

        def claim(timeout: float, number: int = number, own: Any = broker.claim) -> Any:
            with changed:
                asking[number] += timeout > 0
                most[number] = max(most[number], asking[number])
                changed.notify_all()
            try:
                return own(timeout)
            finally:
                with changed:
                    asking[number] -= timeout > 0

        monkeypatch.setattr(broker, "claim", claim)
    claims = [start(lambda: feed.claim(None)) for _ in range(6)]
    with changed:
        assert changed.wait_for(lambda: asking == [1, 1, 1], SECONDS)
    for _ in range(2):
        for broker in brokers:
            submit(broker, 1)
    taken = [each.answer() for each in claims]
    assert None not in taken
    assert most == [1, 1, 1]


def test_who_waited_and_got_a_task_has_it_while_another_still_looks(
    brokers: list[Broker], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(1)
    feed = Feed(brokers[:1], ledger)
    own, waits = brokers[0].claim, threading.Event()

    def claim(timeout: float | None) -> Any:
        if timeout != 0:
            waits.set()
        return own(timeout)

    monkeypatch.setattr(brokers[0], "claim", claim)
    waiting = start(lambda: feed.claim(None))
    assert waits.wait(SECONDS)
    with ledger.turn:  # as who looks over a connection that has gone silent
        submit(brokers[0], 1)
        assert waiting.answer() is not None


def test_a_look_that_takes_long_keeps_nobody_from_a_task(brokers: list[Broker]) -> None:
    ledger = Ledger(3)
    feed = Feed(brokers, ledger)
    submit(brokers[0], 1)
    with ledger.turn:
        assert feed.claim(SECONDS) is not None


def test_closing_ends_all_waiting(brokers: list[Broker], start: Start) -> None:
    feed = Feed(brokers).clone()
    claims = [start(lambda: feed.claim(None)) for _ in range(5)]
    for each in claims[3:]:
        each.sleeps()
    feed.close()
    for each in claims:
        assert each.error() is None or isinstance(each.error(), worq.QueueClosed)


def test_a_burst_waits_for_what_runs_and_for_what_that_makes_ready(brokers: list[Broker]) -> None:
    spent = threading.Event()
    feed = Feed(brokers, Ledger(3, burst=True, spent=spent.set))
    one = brokers[2].queue().len("a")
    two = worq.Task(brokers[2].queue().len, on_error="pass")(one)
    claim = feed.claim(0)
    assert claim is not None
    assert feed.claim(0) is None
    assert not spent.is_set()
    task = feed.read(claim)
    assert task is not None
    assert feed.heartbeat(task)
    feed.set_result(task, "b")
    feed.ended(task.token)
    again = feed.claim(0)
    assert again is not None
    assert feed.claim(0) is None
    assert not spent.is_set()
    assert feed.release(feed.glance(again))
    feed.ended(again.token)
    assert feed.claim(0) is None
    assert spent.is_set()
    assert two.wait(0)


def test_what_cannot_be_read_has_ended(brokers: list[Broker]) -> None:
    spent = threading.Event()
    failed = brokers[1].queue().len(Unreadable())
    with WorkerPool(Feed(brokers, Ledger(3, burst=True, spent=spent.set))):
        assert spent.wait(SECONDS)
    with pytest.raises(worq.TaskFailure, match="message cannot be read: RuntimeError: planted"):
        _ = failed.value


def test_an_outcome_that_is_stored_at_the_second_try_has_not_ended_at_the_first(
    brokers: list[Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = threading.Event()
    feed = Feed(brokers, Ledger(3, burst=True, spent=spent.set))
    other = feed.clone()
    too_early: list[bool] = []
    own = Broker.finish

    def finish(*args: Any, again: bool = False) -> bool:
        if not again:
            raise worq.BackendUnavailable("planted", "unknown")
        assert other.claim(0) is None
        too_early.append(spent.is_set())
        return own(*args, again=again)

    one = brokers[0].queue().len("a")
    last = worq.Task(brokers[0].queue().len, on_error="pass")(one)
    monkeypatch.setattr(Broker, "finish", finish)
    with WorkerPool(feed):
        assert spent.wait(SECONDS)
    other.close()
    assert too_early == [False, False]
    assert last.wait(0)


def test_what_is_given_up_has_ended(brokers: list[Broker], monkeypatch: pytest.MonkeyPatch) -> None:
    def finish(*_: Any, **__: Any) -> bool:
        raise RuntimeError("planted")

    monkeypatch.setattr(Broker, "finish", finish)
    lost = brokers[0].queue().len("a")
    spent = threading.Event()
    with WorkerPool(Feed(brokers, Ledger(3, burst=True, spent=spent.set))):
        assert spent.wait(SECONDS)
    brokers[0].task_failed(lost)


class Unreadable:
    def __reduce__(self) -> tuple[object, ...]:
        return planted, ()


def planted() -> None:
    raise RuntimeError("planted")
