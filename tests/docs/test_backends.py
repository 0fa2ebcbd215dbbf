"""docs/backends.md builds the example part by part, and is as green after each as it says; it shows what is seen."""

import abc
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from worq.clock import Clock
from worq.testing.capabilities import MANUAL_CLOCK, REFERENCE, checked
from worq.testing.kit import BRIEF, Effort, Kit, Subject
from worq.testing.report import described
from worq.testing.stages import all_checks

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "toyqueue"
TEXT = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
TESTS, *PARTS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
STEPS = TEXT.split("\n## ")
GREEN = re.compile(r"^Green up to `(.*?)`", re.MULTILINE)
CLAIMED = (REFERENCE, MANUAL_CLOCK)


@contextmanager
def module_of(source: str) -> Generator[ModuleType]:
    module = ModuleType("toyqueue")
    sys.modules["toyqueue"] = module  # dataclasses look there
    exec(compile(source, "toyqueue.py", "exec"), module.__dict__)  # noqa: S102 - to run it is the test
    yield module
    del sys.modules["toyqueue"]


def kit_of(module: Any, effort: Effort = BRIEF) -> Kit:
    def make_queue(name: str, clock: Clock | None) -> Any:
        return module.TaskQueue("toy://test", name, clock=clock)

    return Kit(Subject(make_queue, lambda queue: (), checked(CLAIMED), effort), all_checks())


def not_yet(self: Any, *args: Any) -> Any:
    raise NotImplementedError


def test_the_parts_are_the_example() -> None:
    parts = "".join(f"{part}\n" for part in PARTS).rstrip("\n") + "\n"
    assert parts == (EXAMPLE / "toyqueue.py").read_text(encoding="utf-8")
    assert (EXAMPLE / "test_toyqueue.py").read_text(encoding="utf-8") == TESTS


def test_each_step_says_how_far_it_is_green() -> None:
    steps = [step for step in STEPS if re.match(r"\d\.", step)]
    assert [len(GREEN.findall(step)) for step in steps] == [0, 1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("step", range(1, len(PARTS) + 1))
def test_after_each_step_the_kit_is_as_green_as_it_says(step: int) -> None:
    (says,) = GREEN.findall(STEPS[step + 1]) or [None]
    with module_of("\n".join(PARTS[:step])) as module:
        kind = module.__dict__["TaskQueue"]
        for name in kind.__abstractmethods__:
            setattr(kind, name, not_yet)
        abc.update_abstractmethods(kind)
        kit = kit_of(module)
        answers = {c.name: kit.verdict(c).answer for c in kit.checks if c.stage == "smoke"}
    green = [name for name, answer in answers.items() if answer == "holds"]
    there = list(answers)
    first = next((n for n, name in enumerate(there) if name not in green), len(there))
    assert (there[first - 1] if first else None) == says


def test_the_example_is_green() -> None:
    with module_of((EXAMPLE / "toyqueue.py").read_text(encoding="utf-8")) as module:
        kit = kit_of(module, Effort(length=2, every=10, examples=20, walks=10, programs=5, times=3))
        claimed = [c for c in kit.checks if not c.probe and c.needs <= checked(CLAIMED)]
        found = {c.name: kit.verdict(c) for c in claimed}
    assert {name: v.text for name, v in found.items() if v.answer != "holds"} == {}


def test_what_is_broken_is_said_as_it_says() -> None:
    source = (EXAMPLE / "toyqueue.py").read_text(encoding="utf-8")
    assert source.count("ready.pop(0)") == 1
    (shown,) = re.findall(r"^```text\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    with module_of(source.replace("ready.pop(0)", "ready.pop()")) as module:
        kit = kit_of(module)
        broken = [v for c in kit.checks if (v := kit.verdict(c)).answer == "violated"]
    assert [described(verdict) + "\n" for verdict in broken] == [shown]
