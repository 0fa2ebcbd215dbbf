"""`worq spec`: the specification, its clauses, and histories that `worq check` replays."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.repo.clauses import ROOT
from worq.cli.app import worq as command
from worq.testing.vectors import histories_of, kept_histories

SPEC = (ROOT / "SPEC.md").read_text(encoding="utf-8")


def call(*args: str) -> Result:
    return CliRunner().invoke(command, args, env={"COLUMNS": "120"})


def test_it_prints_the_specification() -> None:
    assert call("spec").stdout == SPEC


def test_it_prints_the_clauses_that_are_named() -> None:
    done = call("spec", "CLM-2", "ENV-WAIT-6")
    first, second = done.stdout.splitlines()
    assert first == "[CLM-2] If none is ENQUEUED, the answer MUST be None."
    assert second.startswith("[ENV-WAIT-6] One task that becomes ready MUST wake one")
    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("CLM-99",), "CLAUSES: there is no 'CLM-99'"),
        (("CLM-1", "--vectors", "-"), "--vectors: there are no histories of single CLAUSES"),
    ],
)
def test_what_makes_no_sense_is_refused(args: tuple[str, ...], reason: str) -> None:
    done = call("spec", *args)
    assert done.exit_code == 2
    assert reason in done.stderr


def test_it_writes_the_histories_that_the_kit_replays(tmp_path: Path) -> None:
    path = tmp_path / "histories.jsonl"
    assert call("spec", "--vectors", str(path)).exit_code == 0
    text = path.read_text(encoding="utf-8")
    assert histories_of(text) == kept_histories()
    assert call("spec", "--vectors", "-").stdout == text


def test_a_file_that_can_not_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    done = call("spec", "--vectors", str(tmp_path / "nowhere" / "histories.jsonl"))
    assert done.exit_code == 1
    assert "No such file" in done.stderr


def test_check_replays_a_file_of_histories(tmp_path: Path) -> None:
    path = tmp_path / "histories.jsonl"
    path.write_text("".join(call("spec", "--vectors", "-").stdout.splitlines(keepends=True)[:5]))
    done = call("check", "memory://vectors", "--vectors", str(path))
    assert done.exit_code == 0
    assert "violated" not in done.stdout.splitlines()[-1]
    assert done.stdout.splitlines()[-1].endswith(": conforms")


def test_check_refuses_what_is_no_file_of_histories(tmp_path: Path) -> None:
    for path, reason in ((ROOT / "README.md", "line 1: no JSON"), (tmp_path / "no", "No such")):
        done = call("check", "memory://vectors", "--vectors", str(path))
        assert done.exit_code == 2
        assert reason in done.stderr
