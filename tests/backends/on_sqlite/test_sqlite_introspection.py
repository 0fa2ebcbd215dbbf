"""What a file of SQLite tells people, besides the contract."""

from collections import Counter
from collections.abc import Callable

import pytest

from tests.backends.on_sqlite.conftest import Open
from worq.clock import ManualClock
from worq.const import COMPLETED, ENQUEUED, PENDING, PROCESSING, State
from worq.core import Broker
from worq.introspection import Counts, Seen, Sign
from worq.queue.sqlite import TaskQueue
from worq.values import Request

SIGN = Sign("id", "pool", "host", 7, workers=2, running_ms=3, tasks=("a", "b"))
STATES: tuple[State, ...] = (PENDING, ENQUEUED, PROCESSING, COMPLETED)
STORY: list[Callable[[TaskQueue], object]] = [
    lambda q: q.submit(Request("a"), b""),
    lambda q: q.submit(Request("b", attempts=2), b""),
    lambda q: q.submit(Request("c"), b"", {"a": None}),
    lambda q: q.claim(0),
    lambda q: q.claim(0),
    lambda q: q.release("b"),
    lambda q: q.finish("a", b"", 10),
    lambda q: q.claim(0),
    lambda q: q.claim(0),
    lambda q: q.finish("b", b"", 10),
    lambda q: q.submit(Request("a"), b"", {"b": None, "c": None}),
    lambda q: q.submit(Request("b"), b""),
    lambda q: q.purge(),
    lambda q: q.discard("c"),
]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(open_queue: Open, clock: ManualClock) -> TaskQueue:
    return open_queue(clock=clock)


@pytest.mark.spec("ENV-INFO-1")
def test_it_is_introspective(queue: TaskQueue) -> None:
    assert Broker(queue).introspection is queue


@pytest.mark.spec("ENV-INFO-2")
def test_counts_are_those_of_the_states(queue: TaskQueue) -> None:
    seen: set[int] = set()
    for act in STORY:
        act(queue)
        found = Counter(queue.status(task_id) for task_id in "abc")
        assert queue.counts() == tuple(found[state] for state in STATES)
        seen.update(index for index, count in enumerate(queue.counts()) if count)
    assert seen == {0, 1, 2, 3}
    assert queue.counts() == Counts(0, 0, 0, 0)


@pytest.mark.spec("ENV-INFO-2", "TIM-2")
def test_deadlines_that_have_passed_are_applied_first(queue: TaskQueue, clock: ManualClock) -> None:
    queue.submit(Request("a"), b"")
    queue.claim(0)
    clock.advance(10**6)
    assert queue.counts() == Counts(0, 0, 0, 0)


@pytest.mark.spec("ENV-INFO-3", "ENV-INFO-4")
def test_the_last_sign_of_life_of_each_pool_is_shown_until_it_goes(
    queue: TaskQueue, clock: ManualClock
) -> None:
    queue.sign(SIGN, 1000)
    clock.advance(1)
    other = SIGN._replace(id="other")
    queue.sign(other, 1000)
    clock.advance(1)
    last = SIGN._replace(running_ms=9, tasks=())
    queue.sign(last, 2000)
    assert queue.workers() == [Seen(other, 1), Seen(last, 0)]
    clock.advance(999)
    assert queue.workers() == [Seen(last, 999)]
    queue.sign_off(last.id)
    assert queue.workers() == []


@pytest.mark.spec("ENV-INFO-3")
def test_a_sign_of_life_looks_at_no_task(queue: TaskQueue, clock: ManualClock) -> None:
    queue.submit(Request("a"), b"")
    queue.claim(0)
    clock.advance(10**6)
    queue.sign(SIGN, 1000)
    rows = queue.database.look(lambda c: c.execute("SELECT state FROM task").fetchall())
    assert rows == [("processing",)]


@pytest.mark.spec("ENV-INFO-4")
def test_signs_of_life_that_have_gone_are_removed(
    queue: TaskQueue, clock: ManualClock, open_queue: Open
) -> None:
    open_queue(name="elsewhere", clock=clock).sign(SIGN, 1000)
    clock.advance(1000)
    queue.sign(SIGN, 1000)
    queue.sign_off(SIGN.id)
    assert queue.database.look(lambda c: c.execute("SELECT * FROM sign").fetchall()) == []


@pytest.mark.spec("ENV-INFO-5")
def test_queues_with_tasks_or_signs_of_life_are_named(
    open_queue: Open, clock: ManualClock, queue: TaskQueue
) -> None:
    assert queue.queues() == []
    names = ["mäil", "worq:{x}", "{b}:wake"]
    for name in (names[2], names[0]):
        open_queue(name=name, clock=clock).submit(Request("a"), b"")
    open_queue(name=names[1], clock=clock).sign(SIGN, 1000)
    assert open_queue(name="empty", clock=clock).size() == 0
    assert queue.queues() == names
