"""The backend of `memory://`: queues inside one process, strong and thread-safe.

`taskqueue` is the backend, `stores` who shares what and for how long, `waiting` who sleeps, `tasks`
the rules of SPEC.md, `deadlines` which of them have passed. Nothing here starts a thread.
"""

from worq.queue.memory.taskqueue import TaskQueue

__all__ = ["TaskQueue"]
