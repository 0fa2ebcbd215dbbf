"""What one transaction does is bounded: what is left is done by whoever comes next, and nobody sees it half done."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.backends.conftest import Start
from tests.backends.on_sqlite.conftest import Open
from tests.backends.on_sqlite.test_sqlite_files import open_files
from tests.sqlite import leftover_rows
from worq.bounds import calls_within
from worq.clock import ManualClock
from worq.const import TASK_EXPIRED
from worq.errors import BackendUnavailable
from worq.queue.sqlite import TaskQueue, tasks
from worq.queue.sqlite.tasks import Tasks
from worq.values import Finished, Request

MANY = 25
FEW = 10
"""How much a transaction may change here; it begins nothing new after that, so one more comes on top."""
LEASE_S = 5


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "RECORDS_MAX", FEW)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(open_queue: Open, clock: ManualClock) -> TaskQueue:
    return open_queue(clock=clock)


class Changed:
    """How many rows each transaction of a queue object has changed, and what is there after each."""

    def __init__(self, queue: TaskQueue) -> None:
        self.rows: list[int] = []
        self._committed = queue.database._committed  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        queue.database._committed = self.count  # type: ignore[assignment,method-assign] # noqa: SLF001

    def count(self, connection: Any, *args: Any) -> Any:
        before = connection.total_changes
        done = self._committed(connection, *args)
        self.rows.append(connection.total_changes - before)
        return done


ROWS_OF_A_TASK = 8
"""A task that ends: its row, its message, its state's counts, its place among those of its dependent."""


def dies(self: TaskQueue) -> None:
    """The process is gone after the first transaction: nobody does the rest."""


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskQueue, "_go_on", dies)


def claimed(queue: TaskQueue, count: int, attempts: int = 1) -> None:
    for number in range(count):
        queue.submit(Request(f"{number:02}", attempts=attempts), b"m")
        assert queue.claim(0) is not None
        queue.heartbeat(f"{number:02}", LEASE_S)


def chain(queue: TaskQueue, count: int, **options: Any) -> None:
    """`0` is the argument of `1`, which is that of `2`, and so on."""
    for number in range(count):
        args = {str(number - 1): None} if number else {}
        queue.submit(Request(str(number), **options), b"m", args)


@pytest.mark.spec("ENV-SQLITE-9", "TIM-2", "TIM-3")
def test_leases_that_pass_together_are_applied_in_several_transactions_in_their_order(
    queue: TaskQueue, clock: ManualClock
) -> None:
    claimed(queue, MANY, attempts=2)
    clock.advance(LEASE_S * 1000)
    changed = Changed(queue)
    first = queue.claim(0)
    assert first is not None
    assert first.id == "00"
    assert len(changed.rows) == 1 + MANY // FEW
    assert max(changed.rows) <= ROWS_OF_A_TASK * (FEW + 1)
    claims = [queue.claim(0) for _ in range(MANY - 1)]
    assert [claim and claim.id for claim in claims] == [f"{number:02}" for number in range(1, MANY)]
    assert queue.claim(0) is None


@pytest.mark.spec("ENV-SQLITE-9", "TIM-5")
def test_retentions_that_pass_together_are_applied_in_several_transactions(
    queue: TaskQueue, clock: ManualClock
) -> None:
    claimed(queue, MANY)
    for number in range(MANY):
        queue.finish(f"{number:02}", b"r", LEASE_S)
    clock.advance(LEASE_S * 1000)
    changed = Changed(queue)
    assert queue.status("24") is None
    assert len(changed.rows) == 1 + MANY // FEW


@pytest.mark.spec("ENV-SQLITE-9", "GAR-3")
def test_arguments_that_are_shown_no_more_go_in_several_transactions(
    queue: TaskQueue, clock: ManualClock, url: str
) -> None:
    for number in range(MANY):
        queue.submit(Request(f"x{number}"), b"m")
        queue.submit(Request(f"{number:02}", ignore_result=True), b"m", {f"x{number}": None})
        queue.claim(0)
        queue.finish(f"x{number}", b"r", LEASE_S)
        queue.claim(0)
    clock.advance(10**6)
    changed = Changed(queue)
    assert queue.get_arguments("24") == {}
    assert len(changed.rows) > MANY // FEW
    assert leftover_rows(url) == []


@pytest.mark.spec("ENV-SQLITE-9", "PRG-1")
def test_a_purge_counts_all_and_takes_several_transactions(queue: TaskQueue, url: str) -> None:
    chain(queue, MANY)
    changed = Changed(queue)
    assert queue.purge() == MANY
    assert len(changed.rows) > MANY // FEW
    assert max(changed.rows) <= ROWS_OF_A_TASK * (FEW + 1)
    assert leftover_rows(url) == []


@pytest.mark.usefixtures("left")
@pytest.mark.spec("ENV-SQLITE-9", "PRG-1")
def test_nobody_sees_a_purge_half_done(queue: TaskQueue, open_apart: Open, url: str) -> None:
    chain(queue, MANY)
    assert queue.purge() == MANY
    assert leftover_rows(url) != []
    other = open_apart(clock=queue.clock)
    assert other.submit(Request("0"), b"m").status == "accepted"
    assert other.size() == 1
    assert other.discard("0")
    assert leftover_rows(url) == []


@pytest.mark.usefixtures("left")
@pytest.mark.spec("ENV-SQLITE-9", "OUT-6", "DSC-1")
def test_nobody_sees_an_expiry_half_way(queue: TaskQueue, open_apart: Open, url: str) -> None:
    chain(queue, MANY)
    changed = Changed(queue)
    assert queue.discard("0")
    assert len(changed.rows) == 1
    assert max(changed.rows) <= ROWS_OF_A_TASK * (FEW + 1)
    assert leftover_rows(url) != []
    assert open_apart(clock=queue.clock).status(str(MANY - 1)) is None
    assert leftover_rows(url) == []


@pytest.mark.usefixtures("left")
@pytest.mark.spec("ENV-SQLITE-9", "TIM-6", "OUT-3", "OUT-5")
def test_a_failure_that_arrives_later_is_kept_from_when_its_operation_was(
    queue: TaskQueue, clock: ManualClock
) -> None:
    chain(queue, MANY, result_timeout=LEASE_S)
    queue.claim(0)
    done = queue.finish("0", b"f", LEASE_S, failed=True)
    assert done == Finished(accepted=True, dependent_id="1")
    clock.advance(LEASE_S * 1000 - 1)
    last = str(MANY - 1)
    assert queue.status(last) == "completed"
    clock.advance(1)
    assert queue.pop(last, 0) is TASK_EXPIRED


@pytest.mark.usefixtures("left")
@pytest.mark.spec("ENV-SQLITE-9", "TIM-6", "CLM-1")
def test_what_comes_after_the_rest_of_another_operation_has_its_own_time(
    queue: TaskQueue, clock: ManualClock
) -> None:
    chain(queue, FEW + 2)
    queue.submit(Request("next", attempts=2, heartrate=1), b"m")
    assert queue.discard("0")
    clock.advance(10**6)
    assert queue.claim(0) is not None
    assert queue.heartbeat("next", LEASE_S)
    assert queue.claim(0) is None
    queue.release("next")
    assert queue.discard("next")


@pytest.mark.spec("ENV-SQLITE-9", "OUT-7")
def test_arguments_that_are_set_free_count(queue: TaskQueue) -> None:
    for number in range(3):
        args = [f"{number} {each}" for each in range(FEW // 2)]
        for each in args:
            queue.submit(Request(each), b"m")
            queue.claim(0)
        queue.submit(Request(f"{number}"), b"m", dict.fromkeys(args))
    changed = Changed(queue)
    assert queue.purge() == 3
    assert len(changed.rows) == 1 + 3  # a task, five that it sets free, and five that it had


@pytest.mark.usefixtures("left")
@pytest.mark.spec("ENV-SQLITE-9", "ENV-WAIT-5")
@pytest.mark.parametrize("apart", [False, True])
def test_who_waits_for_what_comes_later_is_told_although_nobody_calls(
    queue: TaskQueue, open_apart: Open, start: Start, *, apart: bool
) -> None:
    chain(queue, MANY)
    call = start(partial(queue.pop, str(MANY - 1), None))
    assert call.sleeps()
    doer = open_apart(clock=queue.clock) if apart else queue
    assert doer.discard("0")
    assert call.answer() is TASK_EXPIRED


@pytest.mark.spec("ENV-SQLITE-9", "ENV-RETRY-3")
def test_a_bound_for_several_calls_ends_what_has_much_to_do_before(
    queue: TaskQueue, clock: ManualClock
) -> None:
    claimed(queue, MANY)
    clock.advance(LEASE_S * 1000)
    with calls_within(0), pytest.raises(BackendUnavailable, match="much to do") as caught:
        queue.size()
    assert caught.value.outcome == "not_sent"
    assert queue.status("24") is None


@pytest.mark.usefixtures("left")
def test_another_queue_of_the_file_waits_for_none_of_it(queue: TaskQueue, open_queue: Open) -> None:
    chain(queue, MANY)
    queue.purge()
    other = open_queue(name="other", clock=queue.clock)
    changed = Changed(queue)
    assert other.size() == 0
    assert changed.rows == [0]
    assert queue.size() == 0


# Threads of one process


def held(queue: TaskQueue, begun: threading.Event, goes_on: threading.Event) -> None:
    """Another thread is in the midst of an operation until it may go on."""

    def wait(_: Tasks) -> None:
        begun.set()
        assert goes_on.wait(60)

    queue.database.transact(queue, wait, 0)


@pytest.fixture
def in_use(queue: TaskQueue, start: Start) -> Iterator[None]:
    begun, goes_on = threading.Event(), threading.Event()
    call = start(partial(held, queue, begun, goes_on))
    assert begun.wait(60)
    yield
    goes_on.set()
    call.answer()


@pytest.mark.usefixtures("in_use")
@pytest.mark.spec("ENV-RETRY-3", "ENV-SQLITE-3")
def test_a_bound_for_several_calls_counts_while_another_thread_uses_the_file(
    queue: TaskQueue,
) -> None:
    with calls_within(0.01), pytest.raises(BackendUnavailable, match="other threads") as caught:
        queue.size()
    assert caught.value.outcome == "not_sent"


def test_within_a_bound_a_file_that_is_free_is_used(queue: TaskQueue) -> None:
    with calls_within(60):
        assert queue.size() == 0


@pytest.mark.spec("ENV-WAIT-9", "ENV-SQLITE-5")
def test_two_that_leave_each_others_files_in_the_midst_do_not_wait_for_one_another(
    tmp_path: Path, open_queue: Open, start: Start
) -> None:
    paths = [tmp_path / "a.db", tmp_path / "b.db"]
    queues = [open_queue(f"sqlite:///{path}") for path in paths]
    for each in queues:
        each.size()
    both = threading.Barrier(2)

    def work(mine: TaskQueue, others: TaskQueue) -> None:
        def leave(_: Tasks) -> None:
            both.wait(60)  # each is in the midst of an operation, as when a finalizer comes
            others.close()

        mine.database.transact(mine, leave, 0)

    calls = [start(partial(work, *each)) for each in zip(queues, reversed(queues), strict=True)]
    for call in calls:
        call.answer()
    assert open_files().isdisjoint(map(str, paths))


@pytest.mark.spec("ENV-SQLITE-5")
def test_what_leaves_in_the_midst_of_an_operation_on_another_file_is_closed(
    path: Path, queue: TaskQueue, open_queue: Open, tmp_path: Path
) -> None:
    other = open_queue(f"sqlite:///{tmp_path}/other.db")
    queue.size()
    other.database.transact(other, lambda _: queue.close(), 0)
    assert str(path) not in open_files()


@pytest.mark.spec("ENV-SQLITE-5")
def test_what_is_left_at_the_very_end_of_an_operation_is_closed(
    path: Path, open_queue: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = open_queue()
    queue.size()
    database, look = queue.database, queue.database._end_if_unused  # noqa: SLF001

    def late() -> bool:
        answer = look()
        queue.close()
        return answer

    monkeypatch.setattr(database, "_end_if_unused", late)
    database.look(lambda _: monkeypatch.setattr(database, "_end_if_unused", late))
    assert str(path) not in open_files()


@pytest.mark.usefixtures("in_use")
@pytest.mark.spec("ENV-WAIT-9")
def test_a_call_within_one_on_another_file_is_refused_where_others_use_its_own(
    queue: TaskQueue, open_queue: Open, tmp_path: Path
) -> None:
    other = open_queue(f"sqlite:///{tmp_path}/other.db")
    asked: list[Callable[[], object]] = [queue.size, lambda: queue.submit(Request("a"), b"")]

    def ask(_: Tasks) -> None:
        for act in asked:
            with pytest.raises(RuntimeError, match="on another file, while other threads use this"):
                act()

    other.database.transact(other, ask, 0)


def test_a_call_within_one_on_another_file_is_done_where_nobody_uses_its_own(
    queue: TaskQueue, open_queue: Open, tmp_path: Path
) -> None:
    other = open_queue(f"sqlite:///{tmp_path}/other.db")
    assert other.database.transact(other, lambda _: queue.size(), 0) == 0
