"""What a queue on Redis tells people, besides the contract."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.backends.on_redis.cases import claim, complete, submit
from worq import get_broker
from worq.clock import ManualClock
from worq.const import COMPLETED, ENQUEUED, PENDING, PROCESSING, State
from worq.introspection import Counts, Introspective, Sign
from worq.queue.redis import TaskQueue
from worq.values import Request

SIGN = Sign("id", "pool", "host", 7, workers=2, running_ms=3, tasks=("a", "b"))
STATES: tuple[State, ...] = (PENDING, ENQUEUED, PROCESSING, COMPLETED)


@pytest.mark.spec("ENV-INFO-1")
def test_redis_is_introspective_and_memory_is_not(redis_url: str) -> None:
    with get_broker(redis_url) as broker:
        assert isinstance(broker.introspection, Introspective)
    with get_broker("memory://") as broker:
        assert broker.introspection is None


STORY: list[Callable[[TaskQueue], object]] = [
    lambda q: submit(q, "a"),
    lambda q: submit(q, "b"),
    lambda q: submit(q, "c", "a", "b"),
    lambda q: submit(q, "d"),
    lambda q: q.discard("b"),  # its entry in the FIFO is stale
    lambda q: submit(q, "b"),
    lambda q: submit(q, "x", "d"),
    claim,
    lambda q: q.finish("a", b"", 10),
    claim,
    lambda q: q.finish("d", b"", 10),
    lambda q: q.purge(),
    lambda q: complete(q, "x"),
    lambda q: q.submit(Request("b", attempts=2), b""),
    claim,
    lambda q: q.release("b"),
    claim,
]


@pytest.mark.spec("ENV-INFO-2")
def test_counts_are_those_of_the_states(queue: TaskQueue) -> None:
    assert queue.counts() == Counts(0, 0, 0, 0)
    for step in STORY:
        step(queue)
        found = Counter(queue.status(task_id) for task_id in "abcdx")
        assert queue.counts() == tuple(found[state] for state in STATES)


@pytest.mark.spec("ENV-INFO-2")
def test_deadlines_that_have_passed_are_applied_first(queue: TaskQueue, clock: ManualClock) -> None:
    complete(queue, "a")
    submit(queue, "b")
    claim(queue)
    clock.advance(100_000)
    assert queue.counts() == Counts(0, 0, 0, 0)


@pytest.mark.spec("ENV-INFO-3")
def test_the_last_sign_of_life_is_shown_with_its_age(queue: TaskQueue) -> None:
    queue.sign(SIGN, 60_000)
    queue.sign(SIGN._replace(id="other"), 60_000)
    last = SIGN._replace(running_ms=9, tasks=())
    queue.sign(last, 60_000)
    assert {seen.sign for seen in queue.workers()} == {SIGN._replace(id="other"), last}
    assert all(0 <= seen.age_ms < 60_000 for seen in queue.workers())


@pytest.mark.spec("ENV-INFO-4")
def test_a_sign_of_life_can_be_taken_away(queue: TaskQueue, raw: Any) -> None:
    queue.sign(SIGN, 60_000)
    queue.sign_off(SIGN.id)
    assert queue.workers() == []
    assert raw.keys("*worker*") == []


@pytest.mark.spec("ENV-INFO-4")
def test_a_sign_of_life_goes_by_itself(queue: TaskQueue, raw: Any) -> None:
    queue.sign(SIGN, 60_000)
    assert {0 < raw.pttl(key) <= 60_000 for key in raw.keys("*worker*")} == {True}
    assert len(raw.keys("*worker*")) == 2
    queue.sign(SIGN, 1)
    while raw.keys("*worker*"):
        pass
    assert queue.workers() == []


@pytest.mark.spec("ENV-INFO-5")
def test_queues_with_tasks_or_signs_of_life_are_named(queue: TaskQueue, redis_url: str) -> None:
    assert queue.queues() == []
    names = ["mäil", "worq:{x}", "{b}:wake"]
    brokers = [get_broker(redis_url, name) for name in [*names, "empty"]]
    for broker in brokers[:2]:
        broker.queue().task()
    assert brokers[2].introspection is not None
    brokers[2].introspection.sign(SIGN, 60_000)
    assert len(brokers[3]) == 0
    assert queue.queues() == names
    for broker in brokers:
        broker.discard_pending_tasks()
        broker.close()


@pytest.mark.spec("ENV-INFO-4")
def test_a_pool_that_ends_leaves_the_signs_of_the_others(queue: TaskQueue) -> None:
    other = SIGN._replace(id="other")
    queue.sign(SIGN, 60_000)
    queue.sign(other, 60_000)
    queue.sign_off(SIGN.id)
    assert [seen.sign for seen in queue.workers()] == [other]
    queue.sign_off(other.id)
