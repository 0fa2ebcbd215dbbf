"""The account of a history: what no order can explain, found in O(n) before any search for one."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from worq.testing.histories import Call, operation_of
from worq.testing.programs import as_code
from worq_model import operations as ops
from worq_model.values import Outcome


class _Fact(NamedTuple):
    """Something with this name was given to the queue at the earliest at `t`, or got from it at the latest then."""

    name: Hashable
    t: float
    times: int = 1
    task_id: str = ""


def account(calls: Sequence[Call]) -> Iterator[str]:
    """Say what was started too often, delivered twice, came from nowhere, or was lost.

    Each is wrong for certain. It tells tasks by id and message, and outcomes by message.
    """
    yield from _balance("started", _submitted(calls), _started(calls))
    yield from _balance("delivered", _supplied(calls), _delivered(calls))
    yield from _lost(calls)


def _balance(verb: str, given: Iterable[_Fact], got: Iterable[_Fact]) -> Iterator[str]:
    since: dict[Hashable, float] = {}
    times: Counter[Hashable] = Counter()
    for fact in given:
        since.setdefault(fact.name, fact.t)
        times[fact.name] += fact.times
    for fact in got:
        times[fact.name] -= 1
        if since.get(fact.name, math.inf) > fact.t:
            yield f"{as_code(fact.name)} was {verb}, and nobody had given it to the queue"
        elif times[fact.name] == -1:
            yield f"{as_code(fact.name)} was {verb} too often"


def _submitted(calls: Iterable[Call]) -> Iterator[_Fact]:
    for call in calls:
        op = operation_of(call.act)
        if isinstance(op, ops.Submit | ops.Defer):
            yield _Fact((op.id, op.message), call.called, op.options.attempts)


def _started(calls: Iterable[Call]) -> Iterator[_Fact]:
    for call in calls:
        match call.reply:
            case ops.Claimed(task_id, _, message, _):
                yield _Fact((task_id, message), _returned(call), task_id=task_id)
            case (str(task_id), bytes(message)) if isinstance(operation_of(call.act), ops.Claim):
                yield _Fact((task_id, message), _returned(call), task_id=task_id)
            case _:
                pass


def _supplied(calls: Iterable[Call]) -> Iterator[_Fact]:
    for call in calls:
        op = operation_of(call.act)
        if isinstance(op, ops.Submit | ops.Finish) and op.outcome is not None:
            yield _Fact(op.outcome.message, call.called)


def _delivered(calls: Iterable[Call]) -> Iterator[_Fact]:
    for call in calls:
        if isinstance(operation_of(call.act), ops.Pop):
            match call.reply:
                case Outcome(_, message):
                    yield _Fact(message, _returned(call))
                case bytes(message):
                    yield _Fact(message, _returned(call))
                case _:
                    pass


def _lost(calls: Sequence[Call]) -> Iterator[str]:
    """What was accepted, has no deadline and no arguments, and is absent at the end, though nobody touched it."""
    accepted = (True, ops.Submitted("accepted"))
    absent: dict[str, int] = {
        op.id: call.called
        for call in calls
        if isinstance(op := operation_of(call.act), ops.Status) and call.reply is None
        if op.incarnation is None and call.returned is not None
    }
    touched = {task_id for call in calls for task_id in _touched(call)}
    for call in calls:
        op = operation_of(call.act)
        if isinstance(op, ops.Submit) and call.reply in accepted and not (op.args or op.outcome):
            is_absent = absent.get(op.id, -1) > _returned(call)
            if is_absent and not touched & {op.id, None}:
                yield f"{op.id!r} was accepted and is absent, and nobody touched it"


def _touched(call: Call) -> Iterator[str | None]:
    """The tasks that an operation may have moved; None for any."""
    op = operation_of(call.act)
    match op:
        case ops.Purge():
            yield None
        case ops.Claim() if call.returned is None:
            yield None
        case ops.Discard():
            yield op.id
        case _:
            yield from (fact.task_id for fact in _started([call]))


def _returned(call: Call) -> float:
    return math.inf if call.returned is None else call.returned
