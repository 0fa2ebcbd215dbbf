"""Whose fault it is: the clauses that a wrong answer breaks, the likeliest first."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias, cast

from worq_model import operations as ops
from worq_model.operations import Operation, Reply
from worq_model.queue import Step
from worq_model.table import Event, Row
from worq_model.values import ABSENT, ENQUEUED, PENDING, TASK_EXPIRED, Outcome

EVENTS: Final[dict[type[Operation], Event]] = {
    ops.Submit: Event.SUBMIT,
    ops.Claim: Event.CLAIM,
    ops.Finish: Event.FINISH,
    ops.Heartbeat: Event.HEARTBEAT,
    ops.Release: Event.RELEASE,
    ops.Pop: Event.POP,
    ops.Discard: Event.DISCARD,
    ops.Purge: Event.PURGE,
    ops.Size: Event.SIZE,
    ops.Status: Event.STATUS,
    ops.Defer: Event.DEFER,
    ops.Undefer: Event.UNDEFER,
    ops.ReserveArgument: Event.RESERVE,
    ops.SetArgument: Event.SET_ARGUMENT,
    ops.GetArguments: Event.GET_ARGUMENTS,
}
WAITING: Final = (PENDING, ENQUEUED)
OF_TIME: Final = (Event.LEASE, Event.RETENTION)
Pairs: TypeAlias = tuple[tuple[str, object], ...]
TIME: Final = "time"
"""What is broken where a deadline is."""

# Said of many rows, so it says little of one.
GENERAL: Final = frozenset({"TIM-1", "TIM-2", "TIM-6", "TIM-7", "TOK-1", "TOK-2", "TOK-3"})
STALE: Final = ("stale token", "an argument is of another incarnation", "argument of another incarnation")  # fmt: skip
ARGUMENTS: Final = (Event.ARRIVE, Event.SET_ARGUMENT, Event.RESERVE, Event.TAKE)


def operation_name(operation: Operation) -> str:
    """As SPEC.md has it."""
    return EVENTS[type(operation)].value


def for_an_answer(
    step: Step, operation: Operation, expected: Reply, got: object, earlier: Iterable[Row] = ()
) -> tuple[str, ...]:
    """The clauses that say what an operation should have answered. `step`: what the model does; `earlier`: before."""
    own = [row for row in step.rows if row.event is EVENTS[type(operation)]]
    if isinstance(operation, ops.SetArgument) and any("ARG-4" in row.clauses for row in own):
        # What is answered; ARG-3 says what becomes of the task.
        return _distinct(["ARG-4", *_clauses(own)])
    rows = [*of_time(step), *own, *step.rows]
    named = (clause for row in rows for clause in _clauses([row], own))
    return _distinct([*_of_fields(expected, got, earlier), *named])


def of_time(step: Step) -> list[Row]:
    """The deadlines that have passed with it."""
    return [row for row in step.rows if row.event in OF_TIME]


def for_a_look(
    step: Step, operation: Operation, look: Operation, expected: Reply, got: object
) -> tuple[str, ...]:
    """The clauses by which an operation should have left something else to be seen.

    `look` sees it; the state of each task is looked at first, so if that is right, the size and the arguments are not.
    """
    likely: Sequence[Row] = ()
    match look:
        case ops.Status(task_id):
            there = ABSENT if expected is None else expected
            is_submitted = isinstance(operation, ops.Submit) and task_id == operation.id
            if is_submitted and there in WAITING and got in WAITING:
                return _distinct(["SUB-7", *_clauses(step.rows)])
            ended = [row for row in step.rows if row.becomes == there]
            own = [row for row in ended if row.event is EVENTS[type(operation)]]
            others = [row for row in ended if row.event is not EVENTS[type(operation)]]
            is_own = getattr(operation, "id", task_id) == task_id
            likely = [*own, *others] if is_own else [*others, *own]
            likely = sorted(likely, key=lambda row: row.state == row.becomes)
        case ops.GetArguments():
            if _differ_in_expired_ones_alone(expected, got):
                return ("GAR-1",)
            likely = [row for row in step.rows if row.event in ARGUMENTS]
        case _:
            return ()
    changing = [row for row in step.rows if row.state != row.becomes]
    own = [row for row in step.rows if row.event is EVENTS[type(operation)]]
    rows = [*likely, *changing, *step.rows]
    return _distinct(clause for row in rows for clause in _clauses([row], own))


def _differ_in_expired_ones_alone(expected: Reply, got: object) -> bool:
    """Whether all have arrived, and those are right that did not expire."""
    if not isinstance(expected, tuple) or not isinstance(got, tuple):
        return False
    there, seen = _messages(cast("Pairs", expected)), _messages(cast("Pairs", got))
    others = [arg for arg, message in there.items() if message != TASK_EXPIRED]
    return there.keys() == seen.keys() and all(there[arg] == seen[arg] for arg in others)


def _messages(pairs: "Pairs") -> dict[str, object]:
    return dict(pairs)


def broken_part(clauses: Sequence[str], operation: Operation) -> str:
    """The operation that can't be relied on any more, or time."""
    return TIME if clauses and clauses[0].startswith("TIM-") else operation_name(operation)


def _of_fields(expected: Reply, got: object, earlier: Iterable[Row]) -> Iterable[str]:
    """Answers of one kind that differ in a field about which there is a clause."""
    match expected, got:
        case ops.Claimed(), ops.Claimed():
            if expected.id != got.id or expected.message != got.message:
                yield "CLM-1"
            if expected.arguments != got.arguments:
                yield "CLM-4"
            if expected.token != got.token:
                yield "TOK-3"
        case ops.Submitted("accepted"), ops.Submitted("unavailable") if _has_freed(earlier):
            yield "OUT-7"  # an argument is reserved still
        case ops.Submitted(), ops.Submitted() if expected.status == got.status:
            yield "SUB-8" if expected.outcome != got.outcome else "SUB-3"
        case ops.Finished(), ops.Finished() if expected.accepted and got.accepted:
            if expected.dependent_id is None and _has_freed(earlier):
                yield "OUT-7"  # it is reserved still
            yield "FIN-2"
        case Outcome(), Outcome() if expected.source_id != got.source_id:
            yield "OUT-3"
        case _:
            pass


def _has_freed(earlier: Iterable[Row]) -> bool:
    """Whether something that had been reserved is free again."""
    return any("OUT-7" in row.clauses for row in earlier)


def _clauses(rows: Iterable[Row], own: Iterable[Row] = ()) -> list[str]:
    """Of these rows: what is special comes first, but for a token that is stale.

    `own`: those of the operation. What becomes of an argument is a row of several operations, whose clauses it names.
    """
    mine = {clause for row in own for clause in row.clauses}
    found: list[str] = []
    for row in rows:
        if row.case in STALE:
            found.append("TOK-1")
        named = [clause for clause in row.clauses if clause not in GENERAL]
        if row.event is Event.TAKE:
            named.sort(key=lambda clause: clause not in mine)
        found += named
    return [*found, *(clause for row in rows for clause in row.clauses)]


def _distinct(clauses: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(clauses))
