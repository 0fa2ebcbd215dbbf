"""Signs of life, and what queues a file has. SPEC.md, section 11."""

import json

from worq.introspection import Seen, Sign
from worq.queue.sqlite.tasks import Tasks


def leave(tasks: Tasks, sign: Sign, ttl_ms: int) -> None:
    _drop_old(tasks)
    until_ms = tasks.now_ms + ttl_ms
    tasks.execute(
        "INSERT OR REPLACE INTO sign VALUES (?, ?, ?, ?, ?)",
        (tasks.queue, sign.id, tasks.now_ms, until_ms, json.dumps(sign)),
    )


def take_away(tasks: Tasks, sign_id: str) -> None:
    _drop_old(tasks)
    tasks.execute("DELETE FROM sign WHERE queue = ? AND id = ?", (tasks.queue, sign_id))


def workers(tasks: Tasks) -> list[Seen]:
    rows = tasks.execute(
        "SELECT sign, at_ms FROM sign WHERE queue = ? AND until_ms > ? ORDER BY at_ms, id",
        (tasks.queue, tasks.now_ms),
    )
    return [Seen(_read(text), tasks.now_ms - at_ms) for text, at_ms in rows]


def queues(tasks: Tasks) -> list[str]:
    rows = tasks.execute(
        "SELECT queue FROM tally UNION SELECT queue FROM sign WHERE until_ms > ?", (tasks.now_ms,)
    )
    return sorted(name for (name,) in rows)


def _read(text: str) -> Sign:
    sign = Sign._make(json.loads(text))
    return sign._replace(tasks=tuple(sign.tasks))


def _drop_old(tasks: Tasks) -> None:
    """Of all queues: nobody else may come and look at theirs."""
    tasks.execute("DELETE FROM sign WHERE until_ms <= ?", (tasks.now_ms,))
