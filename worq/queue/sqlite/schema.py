"""The tables of a file, and the number of their format. docs/sqlite.md describes them."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from worq.errors import BackendUnsupported

FORMAT: Final = 1
"""`PRAGMA user_version`."""
APPLICATION: Final = int.from_bytes(b"worq")
"""`PRAGMA application_id`: so `file` and others tell what it is."""
SQLITE_MIN: Final = (3, 35, 0)

# A key is higher than all that are there when a task is accepted: it is the order of acceptance [TOK-4].
# Messages have a table of their own, for SQLite writes a whole row when it changes a field of it.
TABLES: Final = (
    """
    CREATE TABLE task (
        key INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        id TEXT NOT NULL,
        incarnation BLOB NOT NULL,
        state TEXT NOT NULL,
        start INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL,
        ignore_result INTEGER NOT NULL,
        passes_errors INTEGER NOT NULL,
        lease_ms INTEGER NOT NULL,
        retention_ms INTEGER,
        position INTEGER,
        deadline_ms INTEGER,
        dependent INTEGER,
        kind TEXT,
        source TEXT,
        UNIQUE (queue, id)
    )
    """,
    "CREATE INDEX task_ready ON task (queue, position) WHERE position IS NOT NULL",
    "CREATE INDEX task_due ON task (queue, deadline_ms, id) WHERE deadline_ms IS NOT NULL",
    "CREATE INDEX task_reserved ON task (dependent) WHERE dependent IS NOT NULL",
    "CREATE INDEX task_pending ON task (queue) WHERE state = 'pending'",
    "CREATE TABLE body (key INTEGER PRIMARY KEY, message BLOB NOT NULL)",
    """
    CREATE TABLE argument (
        task INTEGER NOT NULL,
        id TEXT NOT NULL,
        answer TEXT NOT NULL,
        incarnation BLOB,
        kind TEXT,
        source TEXT,
        message BLOB,
        UNIQUE (task, id)
    )
    """,
    "CREATE INDEX argument_missing ON argument (task) WHERE kind IS NULL",
    """
    CREATE TABLE last_start (
        key INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        id TEXT NOT NULL,
        incarnation BLOB NOT NULL,
        start INTEGER NOT NULL,
        deadline_ms INTEGER NOT NULL,
        latest INTEGER NOT NULL
    )
    """,
    "CREATE INDEX last_start_id ON last_start (queue, id)",
    "CREATE INDEX last_start_due ON last_start (queue, deadline_ms)",
    """
    CREATE TABLE sign (
        queue TEXT NOT NULL,
        id TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        until_ms INTEGER NOT NULL,
        sign TEXT NOT NULL,
        PRIMARY KEY (queue, id)
    ) WITHOUT ROWID
    """,
    # What the last operation of a queue has left to be done: at most one row a queue. [ENV-SQLITE-9]
    """
    CREATE TABLE rest (
        queue TEXT PRIMARY KEY,
        now_ms INTEGER NOT NULL,
        task INTEGER,
        argument TEXT,
        kind TEXT,
        message BLOB,
        source TEXT
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE tally (
        queue TEXT NOT NULL,
        state TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (queue, state)
    ) WITHOUT ROWID
    """,
    """
    CREATE TRIGGER task_comes AFTER INSERT ON task BEGIN
        INSERT INTO tally VALUES (new.queue, new.state, 1)
            ON CONFLICT DO UPDATE SET count = count + 1;
    END
    """,
    """
    CREATE TRIGGER task_changes AFTER UPDATE OF state ON task WHEN new.state IS NOT old.state BEGIN
        INSERT INTO tally VALUES (new.queue, new.state, 1)
            ON CONFLICT DO UPDATE SET count = count + 1;
        UPDATE tally SET count = count - 1 WHERE queue = old.queue AND state = old.state;
        DELETE FROM tally WHERE queue = old.queue AND state = old.state AND count = 0;
    END
    """,
    """
    CREATE TRIGGER task_goes AFTER DELETE ON task BEGIN
        DELETE FROM body WHERE key = old.key;
        UPDATE tally SET count = count - 1 WHERE queue = old.queue AND state = old.state;
        DELETE FROM tally WHERE queue = old.queue AND state = old.state AND count = 0;
    END
    """,
)
RECORDS: Final = ("task", "body", "argument", "last_start", "rest", "tally")
"""The tables that are empty when all tasks have ended; signs of life do not count."""


def is_new(connection: sqlite3.Connection, path: str) -> bool:
    """Whether the file has nothing in it yet. Refuses what is no file of worq of this format. [ENV-SQLITE-4]"""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application == APPLICATION:
        check_format(version, path)
        return False
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables or version or application:
        raise BackendUnsupported(f"{path} is a database of something else, not of worq")
    return True


def check_format(version: int, path: str) -> None:
    if version != FORMAT:
        raise BackendUnsupported(
            f"{path} has format {version}; this release of worq reads and writes {FORMAT}"
        )


def create(connection: sqlite3.Connection) -> None:
    """Make the tables, in the transaction that is open."""
    for statement in TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def remove_queues(connection: sqlite3.Connection, prefix: str) -> list[str]:
    """Remove all that there is of the queues whose names begin so; the names of those that had a task."""
    ours = {"prefix": prefix}
    which = "WHERE substr(queue, 1, length(:prefix)) = :prefix"
    rows = connection.execute(f"SELECT DISTINCT queue FROM task {which}", ours).fetchall()  # noqa: S608 (words of ours)
    for table in ("task", "last_start"):
        connection.execute(
            f"DELETE FROM argument WHERE task IN (SELECT key FROM {table} {which})",  # noqa: S608
            ours,
        )
    for table in ("task", "last_start", "rest", "sign"):
        connection.execute(f"DELETE FROM {table} {which}", ours)  # noqa: S608
    return sorted(name for (name,) in rows)


def remove_if_unused(path: Path) -> None:
    """Remove a file, and what is beside it, in which nothing is and which nobody has open."""
    if not path.exists():
        return
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")  # it fails if others have it open
            tables = (*RECORDS, "sign")
            counts = [connection.execute(f"SELECT count(*) FROM {each}") for each in tables]  # noqa: S608
        except sqlite3.Error:
            return
        if not any(count for cursor in counts for (count,) in cursor):
            for each in ("", "-wal", "-shm"):
                path.with_name(path.name + each).unlink(missing_ok=True)
