"""The backend in a file of SQLite, for the processes of one machine. docs/sqlite.md describes it."""

from worq.queue.sqlite.queue import TaskQueue

__all__ = ["TaskQueue"]
