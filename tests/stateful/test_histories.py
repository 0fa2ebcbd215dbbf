"""The count of many histories counts both verdicts, and says when they are wrong."""

import pytest

from tests.stateful import histories
from worq.testing import parallel
from worq.testing.linearizability import Verdict

FEW = ["memory", "--histories", "40", "--seed", "1"]


def test_right_and_altered_histories_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert histories.main(FEW) == 0
    seed, line = capsys.readouterr().out.splitlines()
    assert seed == "seed 1"
    assert line.startswith("memory: 40 histories of ")
    assert "holds 40, violated 0, unknown 0; with an answer altered: holds 0, violated " in line


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("holds", "a wrong history was not found"),
        ("violated", "the answers have no order that the model allows"),
        ("unknown", "the answers could not be checked"),
    ],
)
def test_a_checker_that_always_says_the_same_fails(
    answer: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parallel, "check", lambda _: Verdict(answer, {}, (), ()))  # type: ignore[arg-type]
    assert histories.main(FEW) == 1
    assert f"TOO LITTLE: {said}" in capsys.readouterr().out
