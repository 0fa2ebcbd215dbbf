"""A history that the explorer has found, as a program to paste into a test: who did what, and what the answer was."""

from collections.abc import Iterable, Iterator

from worq_model import operations as ops
from worq_model.concrete import concrete
from worq_model.deadlines import NextDeadline
from worq_model.operations import Claimed, Finished, Operation, Reply, Submitted
from worq_model.programs import Tick, as_code
from worq_model.protocol import Event
from worq_model.queue import step
from worq_model.values import EMPTY, Outcome

Label = Operation | NextDeadline | Event


def program(labels: Iterable[Label]) -> tuple[Operation | Tick, ...]:
    """What is done to the queue, and no more."""
    steps = concrete(what for what in map(_what, labels) if not isinstance(what, str))
    return tuple(entry for entries in steps for entry in entries)


def as_program(labels: Iterable[Label], *, api: bool = False) -> str:
    """The history as Python. `api`: by the names of the API reference, and with the answers that it has."""
    lines = [f"    {line}" for line in _lines(list(labels), api=api)]
    return "\n".join(["PROGRAM = (", *lines, ")"])


def _what(label: Label) -> Operation | NextDeadline | str:
    return label.what if isinstance(label, Event) else label


def _lines(labels: list[Label], *, api: bool) -> Iterator[str]:
    steps = concrete(what for what in map(_what, labels) if not isinstance(what, str))
    state, now_ms = EMPTY, 0
    for label in labels:
        if isinstance(label, Event) and isinstance(label.what, str):
            yield f"# {label.who} {label.what}"
            continue
        for entry in next(steps):
            if isinstance(entry, Tick):
                now_ms += entry.ms
                yield f"{as_code(entry)},"
            else:
                done = step(state, entry, now_ms=now_ms)
                state = done.state
                yield _line(label, entry, done.reply, api=api)


def _line(label: Label, operation: Operation, reply: Reply, *, api: bool) -> str:
    who, note = (f"{label.who}: ", label.note) if isinstance(label, Event) else ("", "")
    answer = as_code(_of_reference(operation, reply) if api else reply)
    call = f"Do({as_code(operation)}, api=True)" if api else f"Do({as_code(operation)})"
    return f"{call},  # {who}{answer}{note and ', ' + note}"


def _of_reference(operation: Operation, reply: Reply) -> Reply:
    """What the API reference's operation shows of an answer."""
    match reply:
        case Submitted():
            return reply.status == "accepted"
        case Claimed():
            return reply.id, reply.message
        case Finished():
            return reply.dependent_id
        case Outcome():
            return reply.message
        case _:
            return None if isinstance(operation, ops.Discard | ops.Purge) else reply
