"""The class of tests: how it is collected, what it says of capabilities, and what a part of it does by itself."""

import os
import subprocess
import sys
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from worq.testing import QueueConformance
from worq.testing.conformance import reported
from worq.testing.kit import BRIEF

ROOT = Path(__file__).parents[2]

HEAD = """
from worq.queue.memory import TaskQueue
from worq.testing import Effort, QueueConformance

class Base(QueueConformance):
    '''It is not known how a queue is made.'''
    effort = Effort(length=1, every=200, examples=3, walks=1, programs=2, times=2)

class Backwards(TaskQueue):
    def _claim(self, timeout_ms):
        self._store.guard.run(self._turn_round)
        return super()._claim(timeout_ms)
    def _turn_round(self):
        ready = self._store.tasks._ready
        if ready:
            ready.move_to_end(next(reversed(ready)), last=False)
"""
WHOLE = """
class TestWhole(Base):
    capabilities = ["reference", "manual clock"]
    def make_queue(self, name, clock):
        return TaskQueue("memory://whole", name, clock=clock)
"""
BROKEN = WHOLE.replace("return TaskQueue", "return Backwards").replace("Whole", "Broken")


def run(folder: Path, source: str, *command: str) -> str:
    """In a process of its own, in an empty folder; what it said."""
    (folder / "test_mine.py").write_text(HEAD + source)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'model'}"}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def pytest_(folder: Path, source: str, *arguments: str) -> str:
    options = ["-q", "-pno:cacheprovider", "-pno:valkey", "-pworq.testing.plugin", "-pno:worq"]
    return run(folder, source, "-m", "pytest", *options, *arguments)


def test_pytest_runs_it_and_reports(tmp_path: Path) -> None:
    said = pytest_(tmp_path, WHOLE, "-k", "smoke or faults")
    assert "conformance of TestWhole" in said
    assert "claimed, and there: contract, manual clock, reference" in said
    assert "not claimed: shared, durable, retries" in said
    assert " 4 skipped" in said
    assert "failed" not in said


def test_unittest_runs_it(tmp_path: Path) -> None:
    said = run(tmp_path, WHOLE, "-m", "unittest", "-k", "smoke", "-k", "stories", "test_mine")
    assert "OK" in said.splitlines()[-1]
    assert " 0 tests" not in said


def test_what_does_not_say_how_a_queue_is_made_is_no_test(tmp_path: Path) -> None:
    said = pytest_(tmp_path, "", "--collect-only")
    assert "no tests collected" in said


def test_what_uses_a_broken_operation_is_blocked_by_it(tmp_path: Path) -> None:
    said = pytest_(tmp_path, BROKEN, "-k", "smoke or exhaustive", "-rs")
    assert "1 failed" in said
    assert "CLM-1 is broken. The task that has been ENQUEUED longest MUST become" in said
    assert "blocked by 'claim'" in said
    assert "violated: 1 clauses (CLM-1)" in said
    assert "claimed, and broken: contract" in said


def test_what_is_blocked_fails_where_nobody_else_says_why(tmp_path: Path) -> None:
    said = pytest_(tmp_path, BROKEN, "-k", "test_3_exhaustive and one_task")
    assert "1 failed" in said
    assert "blocked by 'claim': CLM-1 is broken." in said


def test_what_is_found_comes_from_the_processes_of_xdist(tmp_path: Path) -> None:
    said = pytest_(tmp_path, BROKEN, "-k", "smoke or exhaustive", "-n", "2")
    assert "violated: 1 clauses (CLM-1)" in said


NO_CLAIMS = WHOLE.replace('capabilities = ["reference", "manual clock"]', "capabilities = ()")


def test_what_is_not_claimed_and_works_is_said(tmp_path: Path) -> None:
    said = pytest_(tmp_path, NO_CLAIMS, "-rs", "-k", "smoke or faults")
    assert "not claimed, but it works: manual clock, reference" in said
    assert "not claimed, but it works: reference" in said
    assert "not claimed: manual clock" in said
    assert "failed" not in said


def test_a_capability_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="capabilities: 'fast' is none of contract, durable, man"):

        class Wrong(QueueConformance):
            capabilities = ("fast",)

            def make_queue(self, name: str, clock: Any) -> Any: ...

    with pytest.raises(TypeError, match="capabilities: a set of names is needed, not 'shared'"):

        class WrongToo(QueueConformance):
            capabilities = "shared"

            def make_queue(self, name: str, clock: Any) -> Any: ...


def test_the_plugin_is_installed_for_everybody() -> None:
    (entry,) = entry_points(group="pytest11", name="worq")
    assert entry.value == "worq.testing.plugin"


def test_a_report_of_nothing_has_examined_nothing() -> None:
    report = reported([])
    assert not report.conforms
    assert {clause.answer for clause in report.clauses().values()} == {
        "not examined",
        "not claimed",
    }
    assert BRIEF.examples is not None


def test_without_its_extra_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['hypothesis'] = None; from worq.testing import "
    run = partial(subprocess.run, capture_output=True, text=True, check=False)
    done = run([sys.executable, "-c", f"{program} QueueConformance"])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: worq.testing.QueueConformance needs the package hypothesis: "
        "install worq-spec[testing]"
    )
    assert run([sys.executable, "-c", f"{program} Sandbox"]).returncode == 0
