"""The life cycle's table: what an application sees, event by event. SPEC.md, section 8.

What a Deferred *holds* is its state: nothing yet, a value, a failure or an expiry. Events that concern
no Deferred stand under `nothing`.
"""

from enum import Enum
from typing import NamedTuple

NOTHING = "nothing"
VALUE = "value"
FAILURE = "failure"
EXPIRY = "expiry"
HOLDS = (NOTHING, VALUE, FAILURE, EXPIRY)


class Event(Enum):
    """What an application, or a worker, can do."""

    PASS = "passed as an argument"
    CALL = "call"
    RUN = "run"
    WAIT = "wait"
    VALUE = "value"
    STATUS = "status"
    PEEK = "has_value, repr"
    POP_RESULT = "pop_result"
    TASK_FAILED = "task_failed"
    DISCARD_PENDING = "discard_pending_tasks"
    LENGTH = "len"
    BROKER_STATUS = "broker.status"
    HEARTBEAT = "heartbeat"


class Row(NamedTuple):
    """On `event`, a Deferred that holds `holds` comes to hold `becomes`, and the caller sees `answer`."""

    event: Event
    holds: str
    case: str
    becomes: str
    answer: str
    clauses: tuple[str, ...]


def _row(event: Event, holds: str, case: str, becomes: str, answer: str, clauses: str) -> Row:
    return Row(event, holds, case, becomes, answer, tuple(clauses.split()))


def _looks(event: Event, answers: dict[str, str], clause: str) -> tuple[Row, ...]:
    """The rows of an event that fetches: one for each thing that may be found, one for each thing already held."""
    arrived = (
        ("result", VALUE, ""),
        ("failure", FAILURE, ""),
        ("failure of an argument", FAILURE, " DEF-4"),
        ("expired", EXPIRY, " DEF-5"),
        ("unreadable", FAILURE, " DEF-8"),
        ("reserved", NOTHING, ""),
        ("not yet", NOTHING, ""),
    )
    found = tuple(
        _row(event, NOTHING, case, becomes, answers[becomes], clause + more)
        for case, becomes, more in arrived
    )
    held = tuple(
        _row(event, holds, "held", holds, answers[holds], f"DEF-1 {clause}") for holds in HOLDS[1:]
    )
    return found + held


E = Event

ROWS: tuple[Row, ...] = (
    _row(E.PASS, NOTHING, "same queue", NOTHING, "reserved by the task", "CALL-5"),
    _row(
        E.PASS, NOTHING, "another queue", NOTHING, "TaskFailure: result is not available", "CALL-2"
    ),
    _row(E.PASS, NOTHING, "two incarnations", NOTHING, "never available", "CALL-5"),
    _row(E.PASS, VALUE, "always", VALUE, "passed by value", "CALL-1"),
    _row(E.PASS, FAILURE, "on_error='pass'", FAILURE, "passed as TaskFailure", "CALL-3"),
    _row(E.PASS, EXPIRY, "on_error='pass'", EXPIRY, "passed as TaskExpired", "CALL-3"),
    _row(E.PASS, FAILURE, "on_error='fail'", FAILURE, "the task ends with it", "CALL-3"),
    _row(E.PASS, EXPIRY, "on_error='fail'", EXPIRY, "the task ends with it", "CALL-3"),
    _row(E.CALL, NOTHING, "duplicate", NOTHING, "DuplicateTask", "CALL-4"),
    _row(E.CALL, NOTHING, "unavailable", NOTHING, "TaskFailure: result is not available", "CALL-5"),
    _row(E.CALL, NOTHING, "accepted", NOTHING, "a Deferred", "CALL-6"),
    _row(E.CALL, NOTHING, "accepted, ignore_result", NOTHING, "None", "CALL-6"),
    _row(E.CALL, NOTHING, "ended, ignore_result", NOTHING, "None; it is logged", "CALL-6 CALL-7"),
    _row(E.RUN, NOTHING, "returns", NOTHING, "a result", "RUN-1"),
    _row(E.RUN, NOTHING, "returns a TaskFailure", NOTHING, "a failure", "RUN-1"),
    _row(E.RUN, NOTHING, "raises", NOTHING, "a failure", "RUN-2"),
    _row(E.RUN, NOTHING, "no such task", NOTHING, "a failure", "RUN-3"),
    _row(E.RUN, NOTHING, "result not serializable", NOTHING, "a failure", "RUN-4"),
    _row(E.RUN, NOTHING, "message not readable", NOTHING, "a failure", "RUN-5"),
    _row(E.RUN, NOTHING, "argument failed", NOTHING, "is called with a TaskFailure", "RUN-6"),
    _row(E.RUN, NOTHING, "argument expired", NOTHING, "is called with a TaskExpired", "RUN-6"),
    _row(E.RUN, NOTHING, "claim lost, or fire-and-forget", NOTHING, "dropped", "RUN-7"),
    *_looks(E.WAIT, {NOTHING: "False", VALUE: "True", FAILURE: "True", EXPIRY: "True"}, "DEF-2"),
    *_looks(
        E.VALUE,
        {
            NOTHING: "AttributeError",
            VALUE: "the value",
            FAILURE: "raises TaskFailure",
            EXPIRY: "raises TaskExpired",
        },
        "DEF-3",
    ),
    _row(E.STATUS, NOTHING, "absent", NOTHING, "None", "DEF-6"),
    _row(E.STATUS, NOTHING, "not COMPLETED", NOTHING, "the state", "DEF-6"),
    _row(E.STATUS, NOTHING, "COMPLETED, result", VALUE, "'success'", "DEF-6"),
    _row(E.STATUS, NOTHING, "COMPLETED, failure", FAILURE, "'failed'", "DEF-6"),
    _row(E.STATUS, VALUE, "held", VALUE, "'success'", "DEF-1 DEF-6"),
    _row(E.STATUS, FAILURE, "held", FAILURE, "'failed'", "DEF-1 DEF-6"),
    _row(E.STATUS, EXPIRY, "held", EXPIRY, "'failed'", "DEF-1 DEF-6"),
    _row(E.PEEK, NOTHING, "always", NOTHING, "False, the state last seen", "DEF-7"),
    _row(E.PEEK, VALUE, "always", VALUE, "True, success", "DEF-7"),
    _row(E.PEEK, FAILURE, "always", FAILURE, "True, failed", "DEF-7"),
    _row(E.PEEK, EXPIRY, "always", EXPIRY, "True, failed", "DEF-7"),
    _row(E.POP_RESULT, NOTHING, "result", NOTHING, "the result", "BRK-1"),
    _row(E.POP_RESULT, NOTHING, "failure", NOTHING, "the TaskFailure", "BRK-1"),
    _row(E.POP_RESULT, NOTHING, "reserved", NOTHING, "KeyError", "BRK-1"),
    _row(E.POP_RESULT, NOTHING, "not yet", NOTHING, "KeyError", "BRK-1"),
    _row(E.POP_RESULT, NOTHING, "expired", NOTHING, "raises TaskExpired", "BRK-1"),
    _row(E.TASK_FAILED, NOTHING, "always", NOTHING, "expired", "BRK-2"),
    _row(E.DISCARD_PENDING, NOTHING, "always", NOTHING, "how many were purged", "BRK-3"),
    _row(E.LENGTH, NOTHING, "always", NOTHING, "the size", "BRK-3"),
    _row(E.BROKER_STATUS, NOTHING, "always", NOTHING, "the state", "BRK-3"),
    _row(E.HEARTBEAT, NOTHING, "stands", NOTHING, "True", "BRK-4"),
    _row(E.HEARTBEAT, NOTHING, "lost", NOTHING, "False", "BRK-4"),
)

_BY_KEY = {(row.event, row.holds, row.case): row for row in ROWS}


def row(event: Event, holds: str = NOTHING, case: str = "always") -> Row:
    """The one row for an event, what the Deferred holds, and a case."""
    return _BY_KEY[event, holds, case]
