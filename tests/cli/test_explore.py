"""`worq explore`: what it shows, and how it ends."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest
from click.testing import CliRunner, Result

from tests.cli.workers import PROGRAM, environment
from worq.cli.app import worq as command
from worq.testing import exploring
from worq_model import catalogue
from worq_model.catalogue import Entry
from worq_model.graph import System

Call = Callable[..., Result]


@pytest.fixture
def call() -> Call:
    return lambda *args: CliRunner().invoke(command, ["explore", *args], env={"COLUMNS": "120"})


def test_what_holds_is_counted(call: Call) -> None:
    done = call("argument")
    assert done.exit_code == 0
    line = next(line for line in done.stdout.splitlines() if "argument" in line)
    assert line.split()[:4] == ["argument", "3,601", "12,511", "12"]
    assert line.split()[-1] == "holds"
    assert done.stderr == ""


def test_what_ought_to_break_is_named_and_its_history_shown_when_asked_for(call: Call) -> None:
    done = call("late-result")
    assert done.exit_code == 0
    assert "as it should" in done.stdout
    assert "late-result: violated: a waiter gets no other task's result\n" in done.stdout
    assert "PROGRAM" not in done.stdout
    assert "waiter: b'first()'\n)" in call("late-result", "--history").stdout


def test_a_limit_is_no_verdict(call: Call) -> None:
    done = call("argument", "--states", "100")
    assert done.exit_code == 1
    assert "argument: unknown: more than 100 states\n" in done.stdout
    assert "argument: unknown: out of time\n" in call("argument", "--seconds", "0").stdout


def test_a_history_that_goes_on_for_ever_says_where_it_turns(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = System(0, lambda state: [("", (state + 1) % 2)], eventually={"two": lambda s: s == 2})
    monkeypatch.setitem(catalogue.SYSTEMS, "argument", Entry(ring))
    monkeypatch.setattr(exploring, "as_program", lambda labels, **_: f"{len(labels)} steps")
    done = call("argument")
    assert done.exit_code == 1
    assert (
        "argument: violated: two\n# 0 steps, and then the others for ever\n2 steps\n" in done.stdout
    )


def test_json_is_an_object_a_line(call: Call) -> None:
    done = call("stranded", "next-result", "--json")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["name"], first["verdict"], first["as_expected"]) == ("stranded", "violated", True)
    assert second["history"].startswith("PROGRAM = (")


def test_a_name_that_is_none_is_refused_with_those_that_are(call: Call) -> None:
    done = call("nobody")
    assert done.exit_code == 2
    assert "NAMES: 'nobody' is none of contract, contract-small," in done.stderr


def test_the_usual_ones_close_in_a_minute() -> None:
    assert {"contract", "reference", "argument", "no-alarm", "stranded"} < set(exploring.USUAL)
    assert "contract-large" not in exploring.USUAL


def test_a_terminal_shows_how_far_it_is_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    program = [*PROGRAM[1:], "explore", "contract-large"]
    child = pexpect.spawn(PROGRAM[0], program, env=environment(), cwd=str(tmp_path), timeout=60)
    child.expect("contract-large: [0-9,]+ states, [0-9,]+ steps, depth [0-9]+, [0-9,]+ waiting")
    child.kill(signal.SIGINT)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
