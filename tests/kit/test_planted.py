"""A backend with a mistake: the kit names the clause, shows a short history, and blocks what can't work without it."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager

import pytest

from tests.kit.planted import MISTAKES, AsksAgain
from worq.clock import Clock
from worq.queue.memory import TaskQueue
from worq.testing import calls
from worq.testing.capabilities import MANUAL_CLOCK, REFERENCE, RETRIES, checked
from worq.testing.kit import BRIEF, Check, Kit, Lossy, Subject, Verdict
from worq.testing.stages import all_checks

STEPS_MAX = 8
EFFORT = BRIEF._replace(every=5, length=2)


def kit_of(kind: type[TaskQueue], *claimed: str) -> Kit:
    def make_queue(name: str, clock: Clock | None) -> TaskQueue:
        return kind("memory://planted", name, clock=clock)

    names = claimed or (REFERENCE, MANUAL_CLOCK)
    return Kit(Subject(make_queue, lambda queue: (), checked(names), EFFORT), all_checks())


def violations(kit: Kit) -> Iterator[tuple[Check, Verdict]]:
    for check in kit.checks:
        verdict = kit.verdict(check)
        if verdict.answer == "violated":
            yield check, verdict


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_by_its_clause(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PATIENCE_S", 0.5)
    clause, kind = MISTAKES[name]
    _, verdict = next(violations(kit_of(kind)))
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
