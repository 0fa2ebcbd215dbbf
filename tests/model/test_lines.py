"""The short histories: they take every row, are written with their answers, and read again."""

import json

import pytest

from tests.repo.clauses import ROOT
from worq.testing.rows import histories
from worq_model import operations as ops
from worq_model.lines import FORMAT, VERSION, dumps, loads, steps_of
from worq_model.programs import Tick, inc
from worq_model.table import ROWS
from worq_model.values import Outcome, Token

FILE = ROOT / "model" / "vectors" / "rows.jsonl"
STEPS_MAX = 8

HISTORY = (
    ops.Submit("a", inc(1), b"m"),
    ops.Claim(),
    Tick(5),
    ops.Finish("a", Outcome("failure", b"f"), None, Token(inc(1), 1)),
    ops.Pop("a", inc(2)),
)


def test_the_file_is_what_the_model_gives() -> None:
    assert FILE.read_text(encoding="utf-8") == dumps(histories()), "write it again: make vectors"


@pytest.mark.every_row("table")
def test_the_histories_take_every_row_and_say_which() -> None:
    there = {(row.event.value, row.state, row.case): set(row.clauses) for row in ROWS}
    seen: set[tuple[str, ...]] = set()
    head, *lines = map(json.loads, FILE.read_text(encoding="utf-8").splitlines())
    assert head == {"format": FORMAT, "version": VERSION, "histories": len(lines)}
    for line in lines:
        assert len(line["steps"]) <= STEPS_MAX
        for step in line["steps"]:
            rows = {tuple(row) for row in step["rows"]}
            clauses = set[str]().union(*(there[row] for row in rows))
            assert set(step["clauses"]) == clauses
            seen |= rows
    assert seen == there.keys()


def test_a_history_is_written_with_its_answers_and_read_again() -> None:
    text = dumps([HISTORY])
    assert loads(text) == (HISTORY,)
    steps = json.loads(text.splitlines()[1])["steps"]
    new = {"hex": "00000000000000000000000000000001"}
    submit = {"is": "Submit", "id": "a", "incarnation": new, "message": {"bytes": "m"}}
    assert steps[0]["do"] == submit
    assert steps[0]["answer"] == {"is": "Submitted", "status": "accepted"}
    assert steps[1]["answer"]["token"] == {"is": "Token", "incarnation": new, "start": 1}
    assert steps[2] == {"do": {"is": "Tick", "ms": 5}, "answer": None, "rows": [], "clauses": []}
    assert steps[4]["answer"] == "TASK_EXPIRED"
    assert [row.case for row in [*steps_of(HISTORY)][4].rows] == ["stale token"]


HEAD = json.dumps({"format": FORMAT, "version": VERSION})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1: no JSON"),
        ("[]", "line 1: an object is needed"),
        ('{"format": 1}', "line 1: no file of worq histories"),
        (HEAD.replace(f": {VERSION}", ": 9"), "line 1: version 9 of worq histories, and not 1"),
        (f"{HEAD}\n{{", "line 2: no JSON"),
        (f'{HEAD}\n{{"steps": [{{"do": {{"is": "Jump"}}}}]}}', "line 2: no history: KeyError"),
        (f'{HEAD}\n{{"steps": [{{"do": {{"is": "Pop"}}}}]}}', "line 2: no history: TypeError"),
        (f'{HEAD}\n{{"steps": [1]}}', "line 2: no history"),
    ],
)
def test_what_is_no_file_of_histories_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        loads(text)
