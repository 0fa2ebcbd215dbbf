"""The operations that the API reference has beside the contract. SPEC.md, section 6."""

from typing import Literal

from worq.backend import Ticket
from worq.const import COMPLETED, PENDING, TASK_EXPIRED, Sentinel
from worq.queue.sqlite.tasks import PROMISED, Record, Tasks
from worq.values import Outcome, Token

UNRESERVED = "unreserved"
REFUSED = (False, None)
Arguments = dict[str, bytes | Literal[Sentinel.TASK_EXPIRED]]


def defer(tasks: Tasks, ticket: Ticket, message: bytes, args: frozenset[str]) -> bool:
    there = tasks.find(ticket.id)
    if there is not None:
        return there.incarnation == ticket.incarnation
    key = tasks.add(ticket, message)
    for argument_id in sorted(args):
        tasks.execute(
            "INSERT INTO argument (task, id, answer) VALUES (?, ?, ?)",
            (key, argument_id, UNRESERVED),
        )
    return True


def reserve_argument(
    tasks: Tasks,
    argument_id: str,
    deferred_id: str,
    incarnation: bytes | None,
    deferred_incarnation: bytes | None,
) -> tuple[bool, bytes | None]:
    dependent = tasks.find(deferred_id, deferred_incarnation)
    if dependent is None or dependent.state == COMPLETED:
        return REFUSED
    row = _argument(tasks, dependent.key, argument_id)
    if row is None:
        return REFUSED
    answer, reserved, held = row
    if answer != UNRESERVED:
        if incarnation not in (None, reserved):
            return REFUSED
        # The same answer as the first time. [RSV-1]
        return (True, None) if answer == PROMISED or held is None else (True, held.message)
    argument = tasks.find(argument_id, incarnation)
    if held is not None or argument is None or not _is_free(argument, dependent):
        return REFUSED
    outcome = tasks.take(argument, dependent.key)
    if outcome is None:
        return (True, None)
    tasks.arrive(dependent.key, argument_id, outcome)  # [RSV-3]
    return (True, outcome.message)


def _is_free(argument: Record, dependent: Record) -> bool:
    """Whether the dependent may reserve it. [RSV-2]"""
    is_older = argument.key < dependent.key
    return is_older and not argument.ignore_result and argument.dependent is None


def set_argument(
    tasks: Tasks, task_id: str, argument_id: str, message: bytes, incarnation: bytes | None
) -> bool:
    record = tasks.find(task_id, incarnation)
    row = None if record is None else _argument(tasks, record.key, argument_id)
    if record is None or row is None:
        return False
    if row[2] is not None:
        return record.state != PENDING
    # It may be reserved: then it is free for others. [ARG-3]
    tasks.execute(
        "UPDATE task SET dependent = NULL WHERE queue = ? AND id = ? AND dependent = ?",
        (tasks.queue, argument_id, record.key),
    )
    tasks.hold(record.key, argument_id, Outcome("result", message))
    if tasks.misses_any(record.key):
        return False
    tasks.enqueue(record.key)
    return True


def get_arguments(tasks: Tasks, task_id: str, token: Token | None) -> Arguments:
    record = tasks.find_claim(task_id, token)
    key = _last_start(tasks, task_id, token) if record is None else record.key
    if key is None:
        return {}
    return {
        argument_id: TASK_EXPIRED if outcome.message is None else outcome.message
        for argument_id, outcome in tasks.held(key).items()
    }


def _last_start(tasks: Tasks, task_id: str, token: Token | None) -> int | None:
    """The claim of an absent task with `ignore_result` whose lease has not passed. [GAR-3]"""
    if token is None:
        row = tasks.execute(
            "SELECT key FROM last_start WHERE queue = ? AND id = ? AND latest",
            (tasks.queue, task_id),
        ).fetchone()
    else:
        row = tasks.execute(
            "SELECT key FROM last_start"
            " WHERE queue = ? AND id = ? AND incarnation = ? AND start = ?",
            (tasks.queue, task_id, *token),
        ).fetchone()
    return None if row is None else int(row[0])


def _argument(
    tasks: Tasks, key: int, argument_id: str
) -> tuple[str, bytes | None, Outcome | None] | None:
    """How it was reserved, which incarnation, and what has arrived; None if there is no such argument."""
    row = tasks.execute(
        "SELECT answer, incarnation, kind, message, source FROM argument WHERE task = ? AND id = ?",
        (key, argument_id),
    ).fetchone()
    if row is None:
        return None
    answer, incarnation, *outcome = row
    return answer, incarnation, None if outcome[0] is None else Outcome(*outcome)
