"""The pytest plugin: a sandbox for the tests of applications, and the report of the conformance kit.

pytest loads it in every run, so it imports next to nothing by itself.
"""

import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from worq.clock import ManualClock
    from worq.core import Broker
    from worq.testing.sandbox import Sandbox

PROPERTY = "worq.testing"
KIT = "worq.testing.conformance"


@pytest.fixture
def worq_sandbox() -> "Iterator[Sandbox]":
    """An empty queue in memory on a manual clock, and workers that do as they are told: `worq.testing.Sandbox`."""
    from worq.testing.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def worq_broker(worq_sandbox: "Sandbox") -> "Broker":
    """The broker of the sandbox."""
    return worq_sandbox.broker


@pytest.fixture
def worq_clock(worq_sandbox: "Sandbox") -> "ManualClock":
    """The clock of the sandbox."""
    return worq_sandbox.clock


@pytest.fixture
def run_all(worq_sandbox: "Sandbox") -> Any:
    """Works the queue of the sandbox off: `Sandbox.run_all`."""
    return worq_sandbox.run_all


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test of the kit found goes along with its report, from the processes of pytest-xdist too."""
    report = yield
    kit = sys.modules.get(KIT)
    cls = getattr(item, "cls", None)
    if call.when == "call" and kit is not None and issubclass(cls or object, kit.QueueConformance):
        found = kit.found_by(cls, item.name)
        if found is not None:
            report.user_properties.append((PROPERTY, found))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The verdict of each kit, clause by clause."""
    found: dict[str, list[Any]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == PROPERTY:
                    found.setdefault(value[0], []).append(value[1:])
    if not found:
        return
    from worq.testing.conformance import reported

    for name, values in found.items():
        terminalreporter.section(f"conformance of {name}", sep="-")
        for line in reported(values).lines():
            terminalreporter.line(line)
