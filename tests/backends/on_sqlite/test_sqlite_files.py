"""A file of SQLite: what a URL says of it, what it has to be, and what is left in it."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import worq
from tests.backends.conftest import Start
from tests.backends.on_sqlite.conftest import Open
from tests.sqlite import leftover_rows
from worq.bounds import calls_within
from worq.clock import ManualClock
from worq.errors import BackendUnavailable, BackendUnsupported, QueueClosed
from worq.queue.sqlite import TaskQueue, mounts, schema
from worq.queue.sqlite.place import Place, place_of
from worq.queue.sqlite.tasks import Tasks
from worq.values import Request, Submitted

ACCEPTED = Submitted("accepted")
NORMAL, FULL = 1, 2
"""As SQLite numbers them."""


@pytest.mark.spec("ENV-SQLITE-7")
@pytest.mark.parametrize(
    ("url", "path", "synchronous"),
    [
        ("sqlite:///relative.db", "relative.db", "full"),
        ("sqlite:///below/relative.db", "below/relative.db", "full"),
        ("sqlite:////absolute.db", "/absolute.db", "full"),
        ("sqlite:////absolute/with%20sign#1.db", "/absolute/with%20sign#1.db", "full"),
        ("sqlite:////a.db?synchronous=normal", "/a.db", "normal"),
        ("sqlite:////a.db?synchronous=FULL", "/a.db", "full"),
    ],
)
def test_a_url_names_a_file_as_with_sqlalchemy(
    url: str, path: str, synchronous: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert place_of(url) == Place(str(tmp_path / path), synchronous)  # type: ignore[arg-type]


@pytest.mark.spec("ENV-SQLITE-7", "ENV-API-11")
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite://", "a file is needed"),
        ("sqlite:///", "a file is needed"),
        ("sqlite:///:memory:", "memory:// is the queue in memory"),
        ("sqlite://host/a.db", "a file has no host, not 'host'"),
        ("sqlite:///a.db/", "a path of a file is needed, not 'a.db/'"),
        ("sqlite:///a.db?timeout=5", "there is no option 'timeout'; there is synchronous"),
        ("sqlite:///a.db?synchronous=off", "full or normal is needed, not 'off'"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match="url: ") as caught:
        worq.get_broker(url)
    assert reason in str(caught.value)
    assert repr(url) in str(caught.value)


@pytest.mark.spec("ENV-BAD-5")
def test_a_limit_that_sqlite_has_no_room_for_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"message_bytes_max: .* not 1000000000"):
        TaskQueue(url, message_bytes_max=10**9)


@pytest.mark.spec("ENV-SQLITE-7", "ENV-API-9")
def test_two_urls_of_one_file_are_one_queue(
    path: Path, open_queue: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    (path.parent / "link.db").symlink_to(path)
    urls = (f"sqlite:///{path}", f"sqlite:///{path.name}", "sqlite:///link.db")
    queues = [open_queue(url) for url in urls]
    monkeypatch.chdir("/")
    queues[0].submit(Request("a"), b"")
    assert [queue.size() for queue in queues] == [1, 1, 1]
    assert len({queue.database for queue in queues}) == 1


@pytest.mark.spec("ENV-SQLITE-5", "ENV-SQLITE-1")
def test_queue_objects_of_one_process_share_the_strictest_connection(
    path: Path, open_queue: Open
) -> None:
    def level(queue: TaskQueue) -> object:
        return queue.database.look(lambda c: c.execute("PRAGMA synchronous").fetchone()[0])

    normal = open_queue(f"sqlite:///{path}?synchronous=normal")
    assert level(normal) == NORMAL
    strict = open_queue(f"sqlite:///{path}")
    assert strict.database is normal.database
    assert level(normal) == FULL
    open_queue(f"sqlite:///{path}?synchronous=normal").close()
    normal.database.before_fork(blocking=True)
    normal.database.after_fork()
    assert level(normal) == FULL
    strict.close()
    assert level(normal) == FULL
    normal.close()
    assert level(open_queue(f"sqlite:///{path}?synchronous=normal")) == NORMAL


# What it has to be


def written_by_another_format(path: Path) -> None:
    with closing(TaskQueue(f"sqlite:///{path}")) as queue:
        queue.size()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.FORMAT + 1}")


def of_something_else(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE user (name TEXT)")


def of_something_else_without_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 1")


@pytest.mark.spec("ENV-SQLITE-4")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (written_by_another_format, f"has format {schema.FORMAT + 1}"),
        (of_something_else, "is a database of something else"),
        (of_something_else_without_tables, "is a database of something else"),
        (lambda path: path.write_bytes(b"Dear diary, " * 1000), "is no database of SQLite"),
    ],
    ids=["another format", "tables of others", "version of others", "text"],
)
def test_a_file_that_is_not_of_this_format_is_refused_and_not_changed(
    make: object, reason: str, path: Path, queue: TaskQueue
) -> None:
    assert callable(make)
    make(path)
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(BackendUnsupported, match=reason):
            queue.submit(Request("a"), b"")
    assert path.read_bytes() == before


@pytest.mark.spec("ENV-SQLITE-4")
def test_each_operation_checks_the_format(path: Path, queue: TaskQueue) -> None:
    queue.submit(Request("a"), b"")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.FORMAT + 1}")
        with pytest.raises(BackendUnsupported, match="has format"):
            queue.claim(0)
        connection.execute(f"PRAGMA user_version = {schema.FORMAT}")
    assert queue.size() == 1


@pytest.mark.spec("ENV-SQLITE-4")
def test_a_sqlite_that_is_too_old_is_refused(
    queue: TaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(BackendUnsupported, match=r"SQLite 3\.35\.0 is needed"):
        queue.size()


@pytest.mark.spec("ENV-SQLITE-6")
def test_a_file_on_another_machine_is_refused(
    path: Path, queue: TaskQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    monkeypatch.setattr(mounts, "MOUNTS", table)
    root = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda rw"
    table.write_text(f"{root}\n36 22 0:51 / {tmp_path} rw - nfs4 server:/export rw,vers=4.2\n")
    with pytest.raises(BackendUnsupported, match=r"is on a network file system \(nfs4\)"):
        queue.size()
    assert not path.exists()
    table.write_text(f"{root}\n36 22 0:51 / {tmp_path}x rw - nfs4 server:/export rw\n")
    assert queue.size() == 0


def test_without_a_table_of_mounts_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "MOUNTS", Path("/no/such/file"))
    assert mounts.kind_of("/") == ""


@pytest.mark.spec("ENV-SQLITE-4")
@pytest.mark.parametrize(
    "at",
    ["PRAGMA user_version", "PRAGMA application_id", "SELECT count", "PRAGMA journal_mode"],
)
def test_a_file_that_another_process_makes_just_then_is_not_refused(
    at: str, queue: TaskQueue, open_apart: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bool] = []

    class Slow(sqlite3.Connection):
        """Before it asks this, somebody else opens the file, or finds it locked."""

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql.startswith(at) and not made:
                made.append(True)
                other = closing(open_apart(retry_deadline_s=0))
                with other as opened, suppress(BackendUnavailable):
                    opened.size()
            return super().execute(sql, *values)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Slow))
    assert queue.submit(Request("a"), b"") == ACCEPTED
    assert made


# What is in the way


@pytest.fixture
def locked(path: Path, queue: TaskQueue) -> Iterator[sqlite3.Connection]:
    """Somebody else writes, and takes their time."""
    queue.submit(Request("a"), b"")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@pytest.mark.spec("ENV-SQLITE-3", "ENV-RETRY-2")
def test_a_file_that_stays_locked_is_unavailable(
    locked: sqlite3.Connection, open_queue: Open
) -> None:
    queue = open_queue(retry_deadline_s=0.01)
    with pytest.raises(
        BackendUnavailable, match=r"locked by another process for 0\.01 s"
    ) as caught:
        queue.submit(Request("b"), b"")
    assert caught.value.outcome == "not_sent"
    locked.execute("ROLLBACK")
    assert queue.status("b") is None
    assert queue.submit(Request("b"), b"") == ACCEPTED


@pytest.mark.spec("ENV-SQLITE-3", "ENV-RETRY-3")
def test_a_bound_for_several_calls_counts(locked: sqlite3.Connection, queue: TaskQueue) -> None:
    del locked
    with calls_within(0.01), pytest.raises(BackendUnavailable):
        queue.size()


@pytest.mark.spec("ENV-SQLITE-3")
def test_an_operation_goes_on_when_the_lock_is_gone(
    locked: sqlite3.Connection, queue: TaskQueue, start: Start
) -> None:
    call = start(queue.size)
    assert not call.ended(0.02)
    locked.execute("ROLLBACK")
    assert call.answer() == 1


@pytest.mark.spec("ENV-SQLITE-3", "ENV-WAIT-7")
def test_closing_ends_the_wait_for_a_lock(
    locked: sqlite3.Connection, queue: TaskQueue, start: Start
) -> None:
    del locked
    call = start(queue.size)
    assert not call.ended(0.02)
    queue.close()
    assert isinstance(call.error(), QueueClosed)


@pytest.mark.spec("ENV-SQLITE-3")
def test_a_file_that_can_not_be_opened_is_unavailable_at_once(
    tmp_path: Path, open_queue: Open
) -> None:
    queue = open_queue(f"sqlite:///{tmp_path}/nowhere/queues.db", retry_deadline_s=10**6)
    with pytest.raises(
        BackendUnavailable, match=r"unable to open.*there is no folder .*nowhere "
    ) as caught:
        queue.size()
    assert caught.value.outcome == "not_sent"
    (tmp_path / "nowhere").mkdir()
    assert queue.size() == 0


@pytest.mark.spec("ENV-SQLITE-3")
def test_a_full_disk_refuses_and_changes_nothing(queue: TaskQueue) -> None:
    queue.submit(Request("a"), b"")
    pages = queue.database.look(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    limit = f"PRAGMA max_page_count = {pages}"
    queue.database.look(lambda c: c.execute(limit).fetchone())
    with pytest.raises(BackendUnavailable, match="full") as caught:
        queue.submit(Request("b"), bytes(100_000))
    assert caught.value.outcome == "not_sent"
    assert (queue.size(), queue.status("b")) == (1, None)
    assert queue.claim(0) is not None


@pytest.mark.spec("ENV-SQLITE-1")
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, sqlite3.IntegrityError])
def test_what_fails_half_way_has_changed_nothing(
    error: type[BaseException], queue: TaskQueue
) -> None:
    def fail(tasks: Tasks) -> None:
        tasks.purge()
        raise error

    queue.submit(Request("a"), b"")
    with pytest.raises(error):
        queue.database.transact(queue, fail, 0)
    assert queue.size() == 1


def test_a_file_that_was_replaced_is_opened_anew(path: Path, queue: TaskQueue) -> None:
    queue.submit(Request("a"), b"")
    for each in path.parent.iterdir():
        each.unlink()
    assert queue.size() == 0
    assert queue.submit(Request("b"), b"") == ACCEPTED
    assert path.exists()


# What is left


@pytest.mark.spec("ENV-SQLITE-8")
def test_when_all_have_ended_no_row_is_left(url: str, open_queue: Open) -> None:
    clock = ManualClock()
    queue = open_queue(clock=clock)
    queue.submit(Request("a", attempts=2), b"m")
    queue.submit(Request("b", ignore_result=True), b"m", {"a": None})
    queue.submit(Request("c", result_timeout=5), b"m")
    queue.defer_task(Request("d"), b"m", ["x", "y"])
    queue.set_argument("d", "x", b"m")
    assert queue.claim(0) is not None
    queue.finish("a", b"r", 10)
    assert [claim.id for claim in (queue.claim(0), queue.claim(0)) if claim] == ["c", "b"]
    queue.finish("c", b"r", 10)
    assert queue.discard("d")
    clock.advance(10**6)
    assert queue.size() == 0
    assert leftover_rows(url) == []


@pytest.mark.spec("ENV-SQLITE-5")
def test_the_last_to_close_closes_the_connection(path: Path, open_queue: Open) -> None:
    one, other = open_queue(name="one"), open_queue(name="other")
    one.submit(Request("a"), b"")
    assert one.database is other.database
    one.close()
    assert str(path) in open_files()
    assert other.size() == 0
    other.close()
    assert str(path) not in open_files()
    assert not path.with_name(f"{path.name}-wal").exists()


def open_files() -> set[str]:
    folder = Path("/proc/self/fd")
    return {os.path.realpath(link) for link in folder.iterdir()} if folder.exists() else set()


@pytest.mark.spec("ENV-SQLITE-5")
def test_a_queue_object_that_nobody_has_any_more_leaves(path: Path, url: str) -> None:
    TaskQueue(url).size()
    assert str(path) not in open_files()


@pytest.mark.spec("ENV-SQLITE-5")
def test_many_open_and_close_one_file_at_the_same_time(url: str, start: Start) -> None:
    def come_and_go(number: int) -> int:
        for turn in range(20):
            with closing(TaskQueue(url)) as queue:
                queue.submit(Request(f"{number} {turn}"), b"")
        return 20

    calls = [start(partial(come_and_go, number)) for number in range(4)]
    assert [call.answer() for call in calls] == [20] * 4
    with closing(TaskQueue(url)) as queue:
        assert queue.purge() == 80


EACH_OPERATION: list[Callable[[TaskQueue], object]] = [
    lambda q: q.submit(Request("a", attempts=2), b""),
    lambda q: q.submit(Request("b", ignore_result=True), b"", {"a": None}),
    lambda q: q.defer_task(Request("c"), b"", ["x", "y"]),
    lambda q: q.submit(Request("x"), b""),
    lambda q: q.claim(0),
    lambda q: q.heartbeat("a", 10),
    lambda q: q.release("a"),
    lambda q: q.reserve_argument("x", "c"),
    lambda q: q.set_argument("c", "y", b""),
    lambda q: q.get_arguments("c"),
    lambda q: q.claim(0),
    lambda q: q.claim(0),
    lambda q: q.finish("a", b"", 10),
    lambda q: q.claim(0),
    lambda q: q.get_arguments("b"),
    lambda q: (q.size(), q.status("c"), q.counts()),
    lambda q: q.finish("x", b"", 10),
    lambda q: q.discard("c"),
    lambda q: q.submit(Request("d"), b""),
    lambda q: (q.claim(0), q.finish("d", b"", 10), q.pop("d")),
    lambda q: q.submit(Request("e"), b""),
    lambda q: q.purge(),
]


def test_no_operation_scans_or_sorts_the_tasks(open_queue: Open) -> None:
    clock = ManualClock()
    queue = open_queue(clock=clock)
    queue.size()
    done: list[str] = []
    queue.database.look(lambda c: c.set_trace_callback(done.append))
    for act in EACH_OPERATION:
        act(queue)
    clock.advance(10**6)
    assert queue.size() == 0
    queue.database.look(lambda c: c.set_trace_callback(None))
    asked = [each for each in done if each.startswith(("SELECT", "UPDATE", "DELETE"))]
    assert len(set(asked)) > 50
    steps = {(query, step) for query in asked for step in queue.database.look(plan_of(query))}
    assert [
        each for each in steps if each[1].startswith("SCAN ") and "CONSTANT" not in each[1]
    ] == []
    assert [each for each in steps if "TEMP B-TREE" in each[1]] == []


def plan_of(query: str) -> Callable[[sqlite3.Connection], list[str]]:
    return lambda connection: [
        detail for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {query}")
    ]
