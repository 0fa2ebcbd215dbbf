"""The backend for a file of SQLite: several processes on one machine. Its tables, locks and waits are described in docs/sqlite.md."""

from worq.queue.sqlite.queue import TaskQueue

__all__ = ["TaskQueue"]
