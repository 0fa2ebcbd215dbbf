"""Short histories with the model's answers, each a line of JSON, for any language. Schema: model/vectors/README.md."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

from worq_model.operations import Operation, Reply
from worq_model.programs import Tick
from worq_model.queue import step
from worq_model.table import Row
from worq_model.values import EMPTY
from worq_model.vectors import from_json, to_json

FORMAT = "worq histories"
VERSION = 1
"""Any change of what is said of the lines raises it."""

History = tuple[Operation | Tick, ...]


class Step(NamedTuple):
    """An operation, or time that passes; the answer; and the rows of the table that it takes."""

    do: Operation | Tick
    answer: Reply
    rows: tuple[Row, ...]


class _Bytes:
    """Incarnations as they are: who replays a history has none of their own."""

    def plain(self, incarnation: bytes) -> dict[str, Any]:
        return {"hex": incarnation.hex()}

    def value(self, plain: dict[str, Any]) -> bytes:
        return bytes.fromhex(plain["hex"])


def steps_of(history: History) -> Iterator[Step]:
    """The history as the model goes through it, from an empty queue at time 0."""
    state, now_ms = EMPTY, 0
    for do in history:
        if isinstance(do, Tick):
            now_ms += do.ms
            yield Step(do, None, ())
        else:
            done = step(state, do, now_ms=now_ms)
            state = done.state
            yield Step(do, done.reply, done.rows)


def dumps(histories: Iterable[History]) -> str:
    """The text of a file: a line that says what it is, then a history a line."""
    lines = [_line(history) for history in histories]
    head = {"format": FORMAT, "version": VERSION, "histories": len(lines)}
    return "".join(f"{line}\n" for line in (json.dumps(head), *lines))


def _line(history: History) -> str:
    names = _Bytes()
    steps = [
        {
            "do": to_json(each.do, names),
            "answer": to_json(each.answer, names),
            "rows": [[row.event.value, row.state, row.case] for row in each.rows],
            "clauses": sorted({clause for row in each.rows for clause in row.clauses}),
        }
        for each in steps_of(history)
    ]
    return json.dumps({"steps": steps}, separators=(",", ":"))


def loads(text: str) -> tuple[History, ...]:
    """The histories of a file, without the answers: the model has its own. ValueError names the line that is wrong."""
    head, *lines = text.splitlines() or [""]
    if _json(head, 1).get("format") != FORMAT:
        raise ValueError(f"line 1: no file of {FORMAT}: {head[:100]!r}")
    if (version := _json(head, 1).get("version")) != VERSION:
        raise ValueError(f"line 1: version {version!r} of {FORMAT}, and not {VERSION}")
    return tuple(_history(line, number) for number, line in enumerate(lines, 2))


def _history(line: str, number: int) -> History:
    try:
        return tuple(from_json(each["do"], _Bytes()) for each in _json(line, number)["steps"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"line {number}: no history: {error!r}: {line[:100]!r}") from error


def _json(line: str, number: int) -> dict[str, Any]:
    try:
        found: Any = json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number}: no JSON: {error}: {line[:100]!r}") from error
    if not isinstance(found, dict):
        raise ValueError(f"line {number}: an object is needed, not {line[:100]!r}")  # noqa: TRY004 (of a file)
    return cast("dict[str, Any]", found)
