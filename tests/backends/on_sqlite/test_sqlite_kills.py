"""A process that is killed by SIGKILL, at any moment, has done its operations as a whole or not at all.

The model follows what the process has said before it died. Of the operation that it was at, nobody knows: then
both are possible, and what comes afterwards has to agree with one of them.
"""

import os
import pickle
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import IO, Any

import pytest

from tests.sqlite import leftover_rows
from tests.stateful.profile import by_profile
from worq.queue.sqlite import TaskQueue
from worq.queue.sqlite.schema import RECORDS
from worq.testing.driver import Do, carry_out
from worq_model import operations as ops
from worq_model.queue import step
from worq_model.values import EMPTY, Options, Outcome, State

VICTIM = Path(__file__).with_name("victim.py")
IDS = "abcde"
KILLS = by_profile(5, 12, 1_000)
OPERATIONS = 400
LONG_MS = 10**9
NOW_MS = 0  # no deadline passes here


def program(random: Random) -> tuple[Do, ...]:
    return tuple(Do(operation(random)) for _ in range(OPERATIONS))


def operation(random: Random) -> ops.Operation:
    task_id = random.choice(IDS)
    size = random.choice((10, 10, 10, 50_000))
    match random.choice(("submit", "submit", "claim", "claim", "finish", "pop", "other")):
        case "submit":
            args = tuple((each, None) for each in IDS if random.random() < 0.2)
            return ops.Submit(
                task_id, random.randbytes(16), random.randbytes(size), args, options=options(random)
            )
        case "claim":
            return ops.Claim()
        case "finish":
            kind: Any = random.choice(("result", "result", "failure"))
            return ops.Finish(task_id, Outcome(kind, random.randbytes(size)), LONG_MS)
        case "pop":
            return ops.Pop(task_id)
        case _:
            return random.choice(
                (ops.Discard(task_id), ops.Release(task_id), ops.Heartbeat(task_id, LONG_MS), ops.Purge())
            )  # fmt: skip


def options(random: Random) -> Options:
    return Options(
        ignore_result=random.random() < 0.1,
        passes_errors=random.random() < 0.5,
        lease_ms=LONG_MS,
        attempts=random.choice((1, 2)),
    )


def answers(stream: IO[bytes]) -> Iterator[ops.Reply]:
    """Those that were said as a whole."""
    while len(head := stream.read(4)) == 4:
        length = int.from_bytes(head)
        if len(body := stream.read(length)) < length:
            return
        yield pickle.loads(body)  # noqa: S301 (from our own process)


def killed(url: str, done: tuple[Do, ...], random: Random) -> list[ops.Reply]:
    """Have a process do this, and kill it some time after one of its first answers; all that it has answered."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, VICTIM],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(pickle.dumps((url, "q", done)))
        process.stdin.close()
        said = answers(process.stdout)
        replies = [next(said) for _ in range(random.randint(1, OPERATIONS // 2))]
        time.sleep(random.uniform(0, 0.005))  # anywhere in an operation
        process.kill()
        replies += said
    return replies


def follow(states: set[State], do: Do, reply: ops.Reply) -> set[State]:
    steps = [step(state, do.operation, now_ms=NOW_MS) for state in states]
    return {each.state for each in steps if each.reply == reply}


def looks(queue: TaskQueue, states: set[State]) -> set[State]:
    """Those of the states that agree with all that can be seen without changing anything."""
    seen: list[ops.Operation] = [ops.Size()]
    for task_id in IDS:
        seen += [ops.Status(task_id), ops.GetArguments(task_id)]
    for operation in seen:
        states = follow(states, Do(operation), carry_out(queue, Do(operation)))
        assert states, operation
    return states


@pytest.mark.spec("ENV-SQLITE-1", "ENV-RETRY-1")
def test_what_a_process_that_was_killed_has_done_is_done_as_a_whole(tmp_path: Path) -> None:
    seed = Random().getrandbits(32)  # noqa: S311 (a seed)
    random = Random(seed)  # noqa: S311
    url = f"sqlite:///{tmp_path}/queues.db"
    states = {EMPTY}
    for kill in range(KILLS):
        done = program(random)
        how = random.choice(("", "?synchronous=normal"))
        replies = killed(url + how, done, random)
        for do, reply in zip(done, replies, strict=False):
            states = follow(states, do, reply)
            assert states, f"seed {seed}, process {kill}: {do} was answered {reply!r}"
        if len(replies) < len(done):
            last = done[len(replies)]
            states |= {step(state, last.operation, now_ms=NOW_MS).state for state in states}
        with closing(sqlite3.connect(tmp_path / "queues.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], seed
            assert inconsistencies(connection) == [], seed
        with closing(TaskQueue(url, "q")) as queue:
            states = looks(queue, states)
    with closing(TaskQueue(url, "q")) as queue:
        queue.purge()
        for task_id in IDS:
            queue.discard(task_id)
    assert leftover_rows(url, last_starts=False) == []


INVARIANTS = {
    "a message of no task": "SELECT key FROM body WHERE key NOT IN (SELECT key FROM task)",
    "a task without a message": "SELECT key FROM task WHERE key NOT IN (SELECT key FROM body)",
    "an argument of nobody": (
        "SELECT task FROM argument WHERE task NOT IN (SELECT key FROM task)"
        " AND task NOT IN (SELECT key FROM last_start)"
    ),
    "a dependent that is gone": (
        "SELECT key FROM task WHERE dependent IS NOT NULL"
        " AND dependent NOT IN (SELECT key FROM task WHERE state = 'pending')"
    ),
    "a position of what is not ready": (
        "SELECT key FROM task WHERE (position IS NOT NULL) <> (state = 'enqueued')"
    ),
    "a lease of what is not claimed": (
        "SELECT key FROM task WHERE state IN ('pending', 'enqueued') AND deadline_ms IS NOT NULL"
    ),
    "a count that is wrong": (
        "SELECT * FROM (SELECT queue, state, count(*) FROM task GROUP BY queue, state"
        " EXCEPT SELECT * FROM tally) UNION SELECT * FROM (SELECT * FROM tally"
        " EXCEPT SELECT queue, state, count(*) FROM task GROUP BY queue, state)"
    ),
}


def inconsistencies(connection: sqlite3.Connection) -> list[str]:
    return [
        f"{what}: {row}"
        for what, query in INVARIANTS.items()
        for row in connection.execute(query).fetchall()
    ]


@pytest.mark.parametrize("planted", INVARIANTS)
def test_what_is_inconsistent_is_seen(planted: str, tmp_path: Path) -> None:
    with closing(TaskQueue(f"sqlite:///{tmp_path}/queues.db", "q")) as queue:
        carry_out(queue, Do(ops.Submit("a", bytes(16), b"m")))
        carry_out(queue, Do(ops.Submit("b", bytes(16), b"m", (("a", None),))))
        assert queue.database.look(inconsistencies) == []
        statements = {
            "a message of no task": "INSERT INTO body VALUES (9, x'00')",
            "a task without a message": "DELETE FROM body WHERE key = 1",
            "an argument of nobody": "INSERT INTO argument (task, id, answer) VALUES (9, 'a', 'x')",
            "a dependent that is gone": "UPDATE task SET dependent = 9 WHERE id = 'a'",
            "a position of what is not ready": "UPDATE task SET position = 9 WHERE id = 'b'",
            "a lease of what is not claimed": "UPDATE task SET deadline_ms = 9 WHERE id = 'b'",
            "a count that is wrong": "UPDATE tally SET count = 9 WHERE state = 'enqueued'",
        }
        queue.database.look(lambda connection: connection.execute(statements[planted]))
        assert any(each.startswith(planted) for each in queue.database.look(inconsistencies))
    assert set(RECORDS) >= {"task", "body", "argument"}
