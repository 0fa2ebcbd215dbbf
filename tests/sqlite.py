"""What is left in a file of SQLite."""

import sqlite3
from contextlib import closing
from pathlib import Path

from worq.queue.sqlite.place import place_of
from worq.queue.sqlite.schema import RECORDS


def leftover_rows(url: str, *, last_starts: bool = True) -> list[str]:
    """The rows of tables that ought to be empty when all tasks have ended.

    `last_starts`: with the arguments that are shown until the lease of a last start. [GAR-3]
    """
    path = place_of(url).path
    if not Path(path).exists():
        return []
    with closing(sqlite3.connect(path)) as connection:
        if not last_starts:
            connection.execute("DELETE FROM argument WHERE task IN (SELECT key FROM last_start)")
            connection.execute("DELETE FROM last_start")
        return [
            f"{table}: {row}"
            for table in RECORDS
            for row in connection.execute(f"SELECT * FROM {table}")  # noqa: S608 (names of ours)
        ]
