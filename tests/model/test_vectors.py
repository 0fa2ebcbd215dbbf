"""The files of transition coverage are those of this model, and say what they mean without it."""

import json

import pytest

from tests.repo.clauses import ROOT
from worq_model import operations as ops
from worq_model.asks import KEEP, Bounds
from worq_model.catalogue import VECTORS
from worq_model.graph import grow
from worq_model.programs import Tick, inc
from worq_model.spaces import contract, system
from worq_model.values import Outcome, Token
from worq_model.vectors import Vectors, dumps, generate, loads

FOLDER = ROOT / "model" / "vectors"

# Name → states, transitions, programs, steps.
COUNTS = {
    "contract": (721, 13_224, 214, 23_944),
    "retries": (2_192, 16_278, 477, 56_081),
    "options": (776, 16_761, 235, 24_694),
    "reference": (531, 12_301, 159, 16_023),
}


@pytest.mark.parametrize("name", VECTORS)
def test_a_file_is_what_the_model_gives(name: str) -> None:
    kept = VECTORS[name]
    vectors = generate(kept.space)
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert text == dumps(kept.about, vectors), "write them again: make vectors"
    assert loads(text) == vectors
    steps = sum(map(len, vectors.programs))
    assert (vectors.states, vectors.transitions, len(vectors.programs), steps) == COUNTS[name]


def test_the_files_are_these_and_small() -> None:
    sizes = {path.stem: path.stat().st_size for path in FOLDER.glob("*.json")}
    assert sizes.keys() == VECTORS.keys()
    assert sum(sizes.values()) < 2_000_000


PROGRAM = (
    ops.Submit("a", inc(1), b"m"),
    ops.Submit("a", inc(2), b"m"),
    ops.Submit("b", inc(3), b"m", (("a", inc(1)), ("b", None))),
    ops.Submit("b", inc(4), b"m", (("a", inc(1)),)),
    Tick(5),
    ops.Claim(),
    ops.Finish("a", Outcome("failure", b"f"), None, Token(inc(1), 1)),
    ops.Pop("b", inc(0)),
    ops.Defer("c", inc(5), b"m", ("x", "y")),
    ops.GetArguments("c", Token(inc(5), 0)),
)


def test_a_program_is_written_with_the_answers_and_read_again() -> None:
    text = dumps("an example", Vectors(3, 7, (PROGRAM,)))
    data = json.loads(text)
    [steps] = data["programs"]
    told = [
        (data["operations"][o], data["answers"][a])
        for o, a in zip(steps[::2], steps[1::2], strict=True)
    ]
    new, message = {"incarnation": "new"}, {"bytes": "m"}
    assert told[0] == (
        {"is": "Submit", "id": "a", "incarnation": new, "message": message},
        {"is": "Submitted", "status": "accepted"},
    )
    assert told[1][1] == {"is": "Submitted", "status": "duplicate"}
    assert told[2][0]["args"] == [["a", {"incarnation": "last", "of": "a"}], ["b", None]]
    assert told[4] == ({"is": "Tick", "ms": 5}, None)
    assert told[5][1]["token"] == {
        "is": "Token",
        "incarnation": {"incarnation": "last", "of": "a"},
        "start": 1,
    }
    assert told[6][1] == {"is": "Finished", "accepted": True, "dependent_id": "b"}
    assert told[7] == (
        {"is": "Pop", "id": "b", "incarnation": {"incarnation": "stale"}},
        "TASK_EXPIRED",
    )
    assert told[9][1] == []
    assert loads(text) == Vectors(3, 7, (PROGRAM,))


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format 2 of vectors"):
        loads('{"format": 2}')


def test_programs_can_take_every_two_transitions_in_a_row() -> None:
    small = contract(Bounds(("a",), (KEEP,)))
    steps = grow(system(small)).steps
    vectors = generate(small, in_pairs=True)
    assert vectors.states == len(steps)
    ways_in = sum(len(steps[target]) for targets in steps for target in targets)
    assert vectors.transitions == len(steps[0]) + ways_in
    assert sum(map(len, vectors.programs)) >= vectors.transitions
