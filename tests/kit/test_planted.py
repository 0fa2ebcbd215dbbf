"""A backend with a mistake: the kit names the clause, shows a short history, and blocks what can't work without it."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tests.kit.planted import MISTAKES, AsksAgain
from worq.clock import Clock
from worq.queue.memory import TaskQueue
from worq.testing import calls
from worq.testing.capabilities import (
    CONTRACT,
    DURABLE,
    MANUAL_CLOCK,
    REFERENCE,
    RETRIES,
    SHARED,
    Capability,
    checked,
)
from worq.testing.kit import BRIEF, STAGES, Check, Effort, Kit, Lossy, Subject, Verdict
from worq.testing.stages import all_checks

STEPS_MAX = 8
PATIENCE_S = 3.0
EFFORT = BRIEF._replace(every=5, length=2)


def kit_of(kind: type[TaskQueue], *claimed: str, effort: Effort = EFFORT) -> Kit:
    def make_queue(name: str, clock: Clock | None) -> TaskQueue:
        return kind("memory://planted", name, clock=clock)

    names = claimed or (REFERENCE, MANUAL_CLOCK)
    return Kit(Subject(make_queue, lambda queue: (), checked(names), effort), all_checks())


def violations(kit: Kit) -> Iterator[tuple[Check, Verdict]]:
    for check in kit.checks:
        verdict = kit.verdict(check)
        if verdict.answer == "violated":
            yield check, verdict


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_by_its_clause(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clause, kind = MISTAKES[name]
    effort = EFFORT
    if clause.startswith("ENV-WAIT"):  # who waits is looked at late, and may wait for ever
        monkeypatch.setattr(calls, "PATIENCE_S", PATIENCE_S)
        effort = BRIEF
    _, verdict = next(violations(kit_of(kind, effort=effort)))
    assert verdict.clause == clause
    assert verdict.text.count("Do(") <= STEPS_MAX


def test_what_happens_twice_after_a_lost_reply_is_noticed() -> None:
    @contextmanager
    def lossy(name: str, clock: Clock | None) -> Generator[Lossy]:
        with closing(AsksAgain("memory://planted", name, clock=clock)) as queue:
            yield queue, lambda loss: setattr(queue, "loses", loss == "reply")

    kit = kit_of(TaskQueue, REFERENCE, MANUAL_CLOCK, RETRIES)
    kit.subject = kit.subject._replace(lossy=lossy)
    (check,) = (check for check in kit.checks if RETRIES in check.needs)
    verdict = kit.verdict(check)
    assert verdict.clauses == ("ENV-RETRY-1",)
    assert verdict.text.startswith("claim, and each reply is lost: the queue does not do what")


def test_a_subject_that_does_not_say_how_to_cut_a_connection_has_no_retries() -> None:
    kit = kit_of(TaskQueue, RETRIES)
    (check,) = (check for check in kit.checks if RETRIES in check.needs)
    assert "lossy_queue says how" in kit.verdict(check).text


def capability(kit: Kit, claimed: Capability) -> Verdict:
    (check,) = (check for check in kit.checks if check.probe and claimed in check.needs)
    return kit.verdict(check)


def test_what_is_claimed_and_is_not_there_is_broken() -> None:
    kit = kit_of(TaskQueue, SHARED, DURABLE)
    assert "expected ['a', 'm', 1], got None" in capability(kit, SHARED).text
    assert "expected ['a', 'from elsewhere', 1], got None" in capability(kit, DURABLE).text


def test_a_class_that_another_process_cannot_import_is_said_to_be_so() -> None:
    class Local(TaskQueue):
        pass

    verdict = capability(kit_of(Local, SHARED), SHARED)
    assert verdict.answer == "violated"
    assert "another process can't use the queue" in verdict.text


class Stuck(TaskQueue):
    """It takes a clock, and does not look at it."""

    def __init__(self, url: str, name: str, *, clock: Clock | None = None) -> None:
        super().__init__(url, f"{name} {clock is not None}")


def test_a_clock_that_is_not_followed_is_not_claimed_or_broken() -> None:
    assert capability(kit_of(Stuck, REFERENCE), MANUAL_CLOCK).answer == "not claimed"
    assert capability(kit_of(Stuck, REFERENCE), REFERENCE).answer == "holds"
    kit = kit_of(Stuck, MANUAL_CLOCK)
    assert next(violations(kit))[1].clause in ("TIM-3", "TIM-4")


class ContractOnly(TaskQueue):
    """It has no clock but its own, and no operation beyond the contract."""

    def __init__(self, url: str, name: str, *, clock: Clock | None = None) -> None:
        assert clock is None, "a clock is given to a backend that does not claim one"
        super().__init__(url, name)

    def _defer(self, *args: Any) -> Any:
        raise NotImplementedError

    _set_argument = _get_arguments = _reserve_argument = _defer  # type: ignore[assignment]


def test_the_contract_alone_is_enough() -> None:
    kit = kit_of(ContractOnly, CONTRACT, effort=BRIEF)
    found = {check: kit.verdict(check) for check in kit.checks}
    assert {v.text for v in found.values() if v.answer in ("violated", "blocked", "works")} == set()
    claimed = {check.stage for check, verdict in found.items() if verdict.answer == "holds"}
    assert claimed == set(STAGES)
    assert {v.text for v in found.values() if v.answer == "not claimed"} >= {
        REFERENCE,
        MANUAL_CLOCK,
    }
