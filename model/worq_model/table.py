"""The transition table: what each event does to a task in each state, and which clause says so.

The table is total: each pair of an event and a state has its rows, or stands in `NEVER` with the reason why
the two can't meet. `worq_model.queue` takes a row for whatever it does; it can't do what has no row.
Here, an operation whose token is stale meets the state absent. [TOK-1]
"""

from enum import Enum
from typing import NamedTuple

from worq_model.values import ABSENT, COMPLETED, ENQUEUED, PENDING, PROCESSING, STATES


class Event(Enum):
    """What can happen to one task: the operations that name it, and what other tasks and time do to it."""

    SUBMIT = "submit"
    DEFER = "defer_task"
    TAKE = "becomes an argument"
    ARRIVE = "an argument arrives"
    FREE = "its reservation ends"
    CLAIM = "claim"
    LEASE = "lease passes"
    RETENTION = "retention passes"
    FINISH = "finish"
    HEARTBEAT = "heartbeat"
    RELEASE = "release"
    POP = "pop"
    DISCARD = "discard"
    PURGE = "purge"
    SIZE = "size"
    STATUS = "status"
    UNDEFER = "undefer_task"
    RESERVE = "reserve_argument"
    SET_ARGUMENT = "set_argument"
    GET_ARGUMENTS = "get_arguments"


class Row(NamedTuple):
    """In `state`, in this case, `event` makes the task `becomes`, and the operation answers `answer`.

    No answer: that is the doing of another row.
    """

    event: Event
    state: str
    case: str
    becomes: str
    answer: str
    clauses: tuple[str, ...]


def _row(event: Event, state: str, case: str, becomes: str, answer: str, clauses: str) -> Row:
    return Row(event, state, case, becomes, answer, tuple(clauses.split()))


def _same(
    event: Event, states: tuple[str, ...], case: str, answer: str, clauses: str
) -> tuple[Row, ...]:
    """Rows that change no state."""
    return tuple(_row(event, state, case, state, answer, clauses) for state in states)


def _absent(event: Event, answer: str, clause: str) -> tuple[Row, ...]:
    """The two ways of being absent to an operation that names a task."""
    return (
        _row(event, ABSENT, "no such task", ABSENT, answer, clause),
        _row(event, ABSENT, "stale token", ABSENT, answer, f"{clause} TOK-1"),
    )


E = Event
_THERE = (PENDING, ENQUEUED, PROCESSING, COMPLETED)
_LIVE = (PENDING, ENQUEUED, PROCESSING)
_NOT_PROCESSING = (PENDING, ENQUEUED, COMPLETED)

ROWS: tuple[Row, ...] = (
    *_same(E.SUBMIT, _THERE, "same incarnation", "accepted", "SUB-1"),
    *_same(E.SUBMIT, _THERE, "other incarnation", "duplicate", "SUB-2"),
    _row(E.SUBMIT, ABSENT, "an argument is absent", ABSENT, "unavailable", "SUB-3"),
    _row(
        E.SUBMIT,
        ABSENT,
        "an argument is of another incarnation",
        ABSENT,
        "unavailable",
        "SUB-3 TOK-1",
    ),
    _row(E.SUBMIT, ABSENT, "an argument has ignore_result", ABSENT, "unavailable", "SUB-3"),
    _row(E.SUBMIT, ABSENT, "an argument is reserved", ABSENT, "unavailable", "SUB-3"),
    _row(E.SUBMIT, ABSENT, "with a failure, ignore_result", ABSENT, "accepted, it", "SUB-4 SUB-8"),
    _row(E.SUBMIT, ABSENT, "with a failure", COMPLETED, "accepted", "SUB-4"),
    _row(E.SUBMIT, ABSENT, "with an expiry, ignore_result", ABSENT, "accepted, it", "SUB-4 SUB-8"),
    _row(E.SUBMIT, ABSENT, "with an expiry", ABSENT, "accepted", "SUB-4"),
    _row(
        E.SUBMIT,
        ABSENT,
        "an argument failed, ignore_result",
        ABSENT,
        "accepted, its failure",
        "SUB-5 SUB-8 OUT-4",
    ),
    _row(E.SUBMIT, ABSENT, "an argument failed", COMPLETED, "accepted", "SUB-5 OUT-5"),
    _row(E.SUBMIT, ABSENT, "an argument is missing", PENDING, "accepted", "SUB-6 SUB-7 TIM-7"),
    _row(E.SUBMIT, ABSENT, "no argument is missing", ENQUEUED, "accepted", "SUB-6 SUB-7 TIM-7"),
    *_same(E.DEFER, _THERE, "same incarnation", "True", "DFR-1"),
    *_same(E.DEFER, _THERE, "other incarnation", "False", "DFR-1"),
    _row(E.DEFER, ABSENT, "no such task", PENDING, "True", "DFR-2 TIM-7"),
    # An argument, when `submit` or `reserve_argument` takes it for a dependent.
    *_same(E.TAKE, _LIVE, "is reserved", "", "SUB-6 RSV-4"),
    _row(E.TAKE, COMPLETED, "is consumed", ABSENT, "", "SUB-5 SUB-6 RSV-3"),
    # A dependent, when an argument that it reserved ends. `last`: no other argument is missing.
    _row(E.ARRIVE, PENDING, "result, last", ENQUEUED, "", "OUT-1"),
    _row(E.ARRIVE, PENDING, "result", PENDING, "", "OUT-1"),
    _row(E.ARRIVE, PENDING, "failure passed, last", ENQUEUED, "", "OUT-2"),
    _row(E.ARRIVE, PENDING, "failure passed", PENDING, "", "OUT-2"),
    _row(E.ARRIVE, PENDING, "expiry passed, last", ENQUEUED, "", "OUT-2"),
    _row(E.ARRIVE, PENDING, "expiry passed", PENDING, "", "OUT-2"),
    _row(E.ARRIVE, PENDING, "failure, reserved", ABSENT, "", "OUT-3"),
    _row(E.ARRIVE, PENDING, "failure, ignore_result", ABSENT, "", "OUT-4"),
    _row(E.ARRIVE, PENDING, "failure", COMPLETED, "", "OUT-5"),
    _row(E.ARRIVE, PENDING, "expiry", ABSENT, "", "OUT-6"),
    *_same(E.FREE, _LIVE, "is free again", "", "OUT-7 ARG-3"),
    _row(E.CLAIM, ENQUEUED, "longest in the queue", PROCESSING, "the claim", "CLM-1 CLM-4 TOK-3"),
    _row(E.CLAIM, ENQUEUED, "ignore_result, last start", ABSENT, "the claim", "CLM-3 CLM-4 TOK-3"),
    _row(E.CLAIM, ABSENT, "none is ENQUEUED", ABSENT, "None", "CLM-2"),
    _row(E.LEASE, PROCESSING, "starts left", ENQUEUED, "", "TIM-1 TIM-2 TIM-3 TIM-6"),
    _row(E.LEASE, PROCESSING, "last start", ABSENT, "", "TIM-1 TIM-2 TIM-4 TIM-6 OUT-6"),
    _row(E.LEASE, ABSENT, "ignore_result, last start", ABSENT, "", "GAR-3 TIM-1"),
    _row(E.RETENTION, COMPLETED, "always", ABSENT, "", "TIM-1 TIM-2 TIM-5"),
    *_absent(E.FINISH, "refused", "FIN-1"),
    *_same(E.FINISH, _NOT_PROCESSING, "always", "refused", "FIN-1"),
    _row(E.FINISH, PROCESSING, "reserved", ABSENT, "accepted, dependent", "FIN-2"),
    _row(E.FINISH, PROCESSING, "ignore_result", ABSENT, "accepted", "FIN-3"),
    _row(E.FINISH, PROCESSING, "kept", COMPLETED, "accepted", "FIN-4"),
    *_absent(E.HEARTBEAT, "False", "HRT-2"),
    *_same(E.HEARTBEAT, _NOT_PROCESSING, "always", "False", "HRT-2"),
    *_same(E.HEARTBEAT, (PROCESSING,), "always", "True", "HRT-1 TOK-2"),
    *_absent(E.RELEASE, "False", "REL-2"),
    *_same(E.RELEASE, _NOT_PROCESSING, "always", "False", "REL-2"),
    _row(E.RELEASE, PROCESSING, "not begun, starts left", ENQUEUED, "True", "REL-3 TOK-3"),
    _row(E.RELEASE, PROCESSING, "starts left", ENQUEUED, "True", "REL-1 TIM-3"),
    _row(E.RELEASE, PROCESSING, "last start", ABSENT, "True", "REL-1 TIM-4 OUT-6"),
    *_absent(E.POP, "TASK_EXPIRED", "POP-1"),
    *_same(E.POP, _LIVE, "ignore_result", "TASK_EXPIRED", "POP-2"),
    *_same(E.POP, _LIVE, "reserved", "RESERVED", "POP-3"),
    *_same(E.POP, _LIVE, "not yet", "None", "POP-4"),
    _row(E.POP, COMPLETED, "always", ABSENT, "the outcome", "POP-5 TOK-2"),
    *_absent(E.DISCARD, "False", "DSC-2"),
    *(_row(E.DISCARD, state, "always", ABSENT, "True", "DSC-1 OUT-6") for state in _THERE),
    _row(E.PURGE, PENDING, "always", ABSENT, "counted", "PRG-1"),
    _row(E.PURGE, ENQUEUED, "always", ABSENT, "counted", "PRG-1"),
    *_same(E.PURGE, (ABSENT, PROCESSING, COMPLETED), "always", "not counted", "PRG-2"),
    *_same(E.SIZE, (PENDING, ENQUEUED), "always", "counted", "SIZ-1"),
    *_same(E.SIZE, (ABSENT, PROCESSING, COMPLETED), "always", "not counted", "SIZ-1"),
    *_absent(E.STATUS, "None", "STA-2"),
    *_same(E.STATUS, _THERE, "always", "the state", "STA-1 TOK-2"),
    *_absent(E.UNDEFER, "None", "UND-2"),
    *_same(E.UNDEFER, (PENDING,), "always", "ValueError", "UND-1"),
    *_same(E.UNDEFER, (ENQUEUED, PROCESSING, COMPLETED), "always", "None", "UND-2"),
    # Of the dependent; what happens to the argument are the rows of TAKE.
    *_absent(E.RESERVE, "(False, None)", "RSV-2"),
    *_same(E.RESERVE, _LIVE, "again, was promised", "(True, None)", "RSV-1"),
    *_same(E.RESERVE, _LIVE, "again, was given", "(True, message)", "RSV-1"),
    *_same(E.RESERVE, _LIVE, "misses no such argument", "(False, None)", "RSV-2"),
    *_same(E.RESERVE, (PENDING,), "argument absent", "(False, None)", "RSV-2"),
    *_same(
        E.RESERVE, (PENDING,), "argument of another incarnation", "(False, None)", "RSV-2 TOK-1"
    ),
    *_same(E.RESERVE, (PENDING,), "argument has ignore_result", "(False, None)", "RSV-2"),
    *_same(E.RESERVE, (PENDING,), "argument reserved by another", "(False, None)", "RSV-2"),
    *_same(E.RESERVE, (PENDING,), "argument not older", "(False, None)", "RSV-2 TOK-4"),
    *_same(E.RESERVE, (PENDING,), "argument not COMPLETED", "(True, None)", "RSV-4"),
    *_same(E.RESERVE, (PENDING,), "argument COMPLETED", "(True, message)", "RSV-3"),
    *_same(E.RESERVE, (COMPLETED,), "always", "(False, None)", "RSV-2"),
    *_absent(E.SET_ARGUMENT, "False", "ARG-1"),
    *_same(E.SET_ARGUMENT, _LIVE, "no such argument", "False", "ARG-1"),
    *_same(E.SET_ARGUMENT, (PENDING,), "has it, misses another", "False", "ARG-2"),
    *_same(E.SET_ARGUMENT, (ENQUEUED, PROCESSING), "has it", "True", "ARG-2"),
    *_same(E.SET_ARGUMENT, (PENDING,), "misses another", "False", "ARG-3 ARG-4"),
    *_same(E.SET_ARGUMENT, (PENDING,), "was reserved, misses another", "False", "ARG-3 ARG-4"),
    _row(E.SET_ARGUMENT, PENDING, "last", ENQUEUED, "True", "ARG-3 ARG-4"),
    _row(E.SET_ARGUMENT, PENDING, "was reserved, last", ENQUEUED, "True", "ARG-3 ARG-4"),
    *_same(E.SET_ARGUMENT, (COMPLETED,), "always", "False", "ARG-1"),
    *_absent(E.GET_ARGUMENTS, "{}", "GAR-2"),
    _row(E.GET_ARGUMENTS, ABSENT, "ignore_result, last start", ABSENT, "what it had", "GAR-3"),
    *_same(E.GET_ARGUMENTS, _LIVE, "always", "what has arrived", "GAR-1"),
    *_same(E.GET_ARGUMENTS, (COMPLETED,), "always", "{}", "GAR-2"),
)

_WHY_ENQUEUED = "a claim takes what is ENQUEUED"
_WHY_PENDING = "only a PENDING task misses an argument that can arrive"
_WHY_LEASE = "only a PROCESSING task has a lease"
_WHY_RETENTION = "only a COMPLETED task has a retention"

NEVER: dict[tuple[Event, str], str] = {
    (E.TAKE, ABSENT): "an absent argument is refused",
    **{(E.ARRIVE, state): _WHY_PENDING for state in (ABSENT, ENQUEUED, PROCESSING, COMPLETED)},
    (E.FREE, ABSENT): "what is reserved is there",
    (E.FREE, COMPLETED): "what is reserved and COMPLETED has arrived",
    **{(E.CLAIM, state): _WHY_ENQUEUED for state in (PENDING, PROCESSING, COMPLETED)},
    **{(E.LEASE, state): _WHY_LEASE for state in _NOT_PROCESSING},
    **{(E.RETENTION, state): _WHY_RETENTION for state in (ABSENT, *_LIVE)},
}

_BY_KEY = {(row.event, row.state, row.case): row for row in ROWS}


def row(event: Event, state: str, case: str = "always") -> Row:
    """The one row for an event, a state and a case."""
    return _BY_KEY[event, state, case]


def holes() -> list[tuple[Event, str]]:
    """The pairs that have no row and no reason to have none: there must be none."""
    met = {(row.event, row.state) for row in ROWS}
    return [(e, s) for e in Event for s in STATES if ((e, s) in met) == ((e, s) in NEVER)]
