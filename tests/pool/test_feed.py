"""What a pool is fed with: queues in turn, so many tasks, or all there are."""

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

import worq
from worq.core import Broker
from worq.pool.feed import Feed, Ledger
from worq.pool.thread import WorkerPool

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


def test_idle_workers_wait_for_different_queues() -> None:
    ledger = Ledger(3)
    assert [ledger.begin_to_wait() for _ in range(4)] == [0, 1, 2, 0]
    ledger.end_to_wait(1)
    assert ledger.begin_to_wait() == 1


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
    again = feed.claim(0)
    assert again is not None
    assert feed.claim(0) is None
    assert not spent.is_set()
    assert feed.release(feed.glance(again))
    assert feed.claim(0) is None
    assert spent.is_set()
    assert two.wait(0)


def test_what_cannot_be_read_has_ended(brokers: list[Broker]) -> None:
    spent = threading.Event()
    feed = Feed(brokers, Ledger(3, burst=True, spent=spent.set))
    unreadable = Unreadable()
    failed = brokers[1].queue().len(unreadable)
    claim = feed.claim(0)
    assert claim is not None
    assert feed.read(claim) is None
    assert feed.claim(0) is None
    assert spent.is_set()
    with pytest.raises(worq.TaskFailure, match="message cannot be read: RuntimeError: planted"):
        _ = failed.value


class Unreadable:
    def __reduce__(self) -> tuple[object, ...]:
        return planted, ()


def planted() -> None:
    raise RuntimeError("planted")
