"""Programs that take every transition of a bounded space, with answers, as JSON. Schema: model/vectors/README.md."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol, cast, get_args

from worq_model import operations as ops
from worq_model.asks import STALE
from worq_model.concrete import concrete
from worq_model.cover import Walk, cover, pairs
from worq_model.graph import grow
from worq_model.operations import Operation, is_accepted
from worq_model.programs import Tick, inc
from worq_model.queue import step
from worq_model.spaces import Label, Space, labels, system, take
from worq_model.values import EMPTY, Options, Outcome, State, Token

FORMAT = 1
STEPS_MAX = 100
"""Of one program: long enough to meet old tasks, short enough for `concrete` to find its moments."""

Program = tuple[Operation | Tick, ...]


class Vectors(NamedTuple):
    """The programs, and how many states and transitions of the space they visit."""

    states: int
    transitions: int
    programs: tuple[Program, ...]


def generate(space: Space, *, in_pairs: bool = False) -> Vectors:
    """Programs that take every transition, or every two that may follow one another."""
    graph = grow(system(space))
    steps = pairs(graph.steps) if in_pairs else graph.steps
    walks = cover(steps, steps_max=STEPS_MAX)
    programs = (concrete(_labels(space, walk)) for walk in walks)
    flat = tuple(tuple(entry for entries in program for entry in entries) for program in programs)
    return Vectors(len(graph.states), sum(map(len, steps)), flat)


def _labels(space: Space, walk: Walk) -> Iterator[Label]:
    state = EMPTY
    known: dict[State, tuple[Label, ...]] = {}
    for place in walk:
        if state not in known:
            known[state] = tuple(labels(space, state))
        label = known[state][place]
        state, _ = take(state, label)
        yield label


# JSON


def dumps(about: str, vectors: Vectors) -> str:
    """The text of a file: one operation, one answer or one program a line."""
    operations: dict[str, int] = {}
    answers: dict[str, int] = {}
    programs = [
        _compact([n for entry in _encoded(program, operations, answers) for n in entry])
        for program in vectors.programs
    ]
    parts = {
        "format": _compact(FORMAT),
        "about": _compact(about),
        "states": _compact(vectors.states),
        "transitions": _compact(vectors.transitions),
        "operations": _lines(operations),
        "answers": _lines(answers),
        "programs": _lines(programs),
    }
    return "{\n" + ",\n".join(f'"{name}": {text}' for name, text in parts.items()) + "\n}\n"


def loads(text: str) -> Vectors:
    """What a file says, without the answers: the model has its own."""
    data = json.loads(text)
    if data["format"] != FORMAT:
        raise ValueError(f"format {data['format']!r} of vectors, and not {FORMAT}")
    programs = tuple(tuple(_decoded(program, data)) for program in data["programs"])
    return Vectors(data["states"], data["transitions"], programs)


def _encoded(
    program: Program, operations: dict[str, int], answers: dict[str, int]
) -> Iterator[tuple[int, int]]:
    """For each entry the numbers of the operation and of its answer; new ones join the tables."""
    state, now_ms, names = EMPTY, 0, _Names()
    for entry in program:
        operation, reply = _compact(to_json(entry, names)), None
        if isinstance(entry, Tick):
            now_ms += entry.ms
        else:
            done = step(state, entry, now_ms=now_ms)
            state, reply = done.state, done.reply
            names.note(entry, is_accepted=is_accepted(reply))
        answer = _compact(to_json(reply, names))
        yield (
            operations.setdefault(operation, len(operations)),
            answers.setdefault(answer, len(answers)),
        )


def _decoded(numbers: list[int], data: dict[str, Any]) -> Iterator[Operation | Tick]:
    names = _Names()
    for operation, answer in zip(numbers[::2], numbers[1::2], strict=True):
        entry = from_json(data["operations"][operation], names)
        reply = data["answers"][answer]
        yield entry
        accepted = isinstance(reply, dict) and cast("Any", reply).get("status") == "accepted"
        names.note(entry, is_accepted=reply is True or accepted)


class Names(Protocol):
    """How incarnations are written, and read."""

    def plain(self, incarnation: bytes) -> dict[str, Any]: ...

    def value(self, plain: dict[str, Any]) -> bytes: ...


class _Names:
    """Which incarnation each id had last, and how many there were."""

    def __init__(self) -> None:
        self.last: dict[str, bytes] = {}
        self.count = 0

    def note(self, entry: Operation | Tick, *, is_accepted: bool) -> None:
        if isinstance(entry, ops.Submit | ops.Defer) and is_accepted:
            assert isinstance(entry.incarnation, bytes)
            self.last[entry.id] = entry.incarnation

    def plain(self, incarnation: bytes) -> dict[str, Any]:
        if incarnation == STALE:
            return {"incarnation": "stale"}
        for task_id, last in self.last.items():
            if last == incarnation:
                return {"incarnation": "last", "of": task_id}
        return {"incarnation": "new"}

    def value(self, plain: dict[str, Any]) -> bytes:
        match plain["incarnation"]:
            case "stale":
                return STALE
            case "last":
                return self.last[plain["of"]]
            case _:
                self.count += 1
                return inc(self.count)


_TYPES: dict[str, Any] = {
    kind.__name__: kind for kind in (*get_args(Operation), Tick, Token, Options, Outcome)
}


def to_json(value: Any, names: Names) -> Any:
    """As JSON has it."""
    kind = value.__class__
    if kind is bytes:
        return names.plain(value) if len(value) == len(STALE) else {"bytes": value.decode()}
    if kind is tuple:
        return [to_json(item, names) for item in value]
    return _object(value, names) if hasattr(kind, "_fields") else value


def _object(value: Any, names: Names) -> dict[str, Any]:
    """A NamedTuple says what it is, and leaves out what is the default anyway."""
    plain: dict[str, Any] = {"is": type(value).__name__}
    for field, item in zip(value._fields, value, strict=True):
        if field not in value._field_defaults or item != value._field_defaults[field]:
            plain[field] = to_json(item, names)
    return plain


def from_json(plain: Any, names: Names) -> Any:
    kind = plain.__class__
    if kind is list:
        return tuple(from_json(item, names) for item in plain)
    return _of_object(plain, names) if kind is dict else plain


def _of_object(plain: dict[str, Any], names: Names) -> Any:
    if "bytes" in plain:
        return plain["bytes"].encode()
    if "is" not in plain:
        return names.value(plain)
    fields = {key: from_json(item, names) for key, item in plain.items() if key != "is"}
    return _TYPES[plain["is"]](**fields)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _lines(texts: Iterable[str]) -> str:
    return "[\n" + ",\n".join(texts) + "\n]"
