"""The conformance kit as a class of tests: subclass `QueueConformance`, say how a queue is made, and run pytest.

Each check is a test method, in the order in which they tell most; unittest runs them too. docs/backends.md shows how.
"""

import re
import unittest
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, ClassVar

from worq.backend import AbstractTaskQueue
from worq.clock import Clock
from worq.testing import capabilities as caps
from worq.testing.kit import BRIEF, STAGES, USUAL, Check, Effort, Kit, Loss, Subject, Verdict
from worq.testing.report import Report, described
from worq.testing.stages import all_checks


class QueueConformance(unittest.TestCase):
    """The tests of one backend.

    `capabilities` are what it claims beyond the contract, of `reference`, `manual clock`, `shared`, `durable` and
    `retries`. What it claims is checked; what it does not claim and has all the same is said in the report.
    `effort`: how much to do, None for what suits a backend with or without a manual clock.
    """

    capabilities: ClassVar[Collection[str]] = ()
    effort: ClassVar[Effort | None] = None

    kits: ClassVar[dict[type, Kit]] = {}
    _failed: ClassVar[dict[type, set[str]]] = {}

    def make_queue(self, name: str, clock: Clock | None) -> AbstractTaskQueue:
        """A new queue object. All of one name reach one queue; `clock` is the one to follow, None its own.

        It is called with a clock only if `manual clock` is claimed, or to find out whether it could be.
        """
        raise NotImplementedError(f"{type(self).__name__} says how a queue is made")

    def left_behind(self, queue: AbstractTaskQueue) -> Sequence[str]:
        """What the backend still holds of a queue that has been worked off, as text. May be overridden."""
        del queue
        return ()

    def new_store(self) -> AbstractTaskQueue:
        """For `shared`: a queue object where there is nothing at all yet, no file nor folder. May be overridden.

        Several processes open that at the same time. Without it they open a new queue of the store that is there.
        """
        return self.make_queue(self._kit().subject.name(), None)

    def lossy_queue(
        self, name: str, clock: Clock | None
    ) -> AbstractContextManager[tuple[AbstractTaskQueue, Callable[[Loss], None]]]:
        """For `retries`: a queue object, and what loses the `request` or the `reply` of its next operation."""
        raise NotImplementedError(f"{type(self).__name__} says how a connection is cut")

    def __init_subclass__(cls, **kw: Any) -> None:
        """A test for each check, if it is known how a queue is made."""
        super().__init_subclass__(**kw)
        if cls.make_queue is not QueueConformance.make_queue:
            caps.checked(cls.capabilities)
            for name, check in _tests().items():
                setattr(cls, name, _test(name, check))

    def verdict_of(self, check: Check) -> Verdict:
        """What becomes of one check, here and now. It is found out once."""
        return self._kit().verdict(check)

    def _kit(self) -> Kit:
        cls = type(self)
        claimed = caps.checked(cls.capabilities)
        effort = cls.effort or (USUAL if caps.MANUAL_CLOCK in claimed else BRIEF)
        subject = Subject(
            self.make_queue, self.left_behind, claimed, effort, self.lossy_queue, self.new_store
        )
        kit = QueueConformance.kits.setdefault(cls, Kit(subject, all_checks()))
        kit.subject = subject  # of the instance that runs now, whose fixtures are there
        return kit

    def report(self, check: Check) -> None:
        __tracebackhide__ = True
        verdict = self.verdict_of(check)
        failed = QueueConformance._failed.setdefault(type(self), set())
        match verdict.answer:
            case "holds":
                return
            case "violated":
                failed.add(check.name)
                raise AssertionError(described(verdict)) from None
            case "blocked" if verdict.text not in failed:
                # Nobody has said why: that test was not run, or somewhere else.
                blocker = next(each for each in all_checks() if each.name == verdict.text)
                raise AssertionError(
                    f"blocked by {verdict.text!r}: {described(self.verdict_of(blocker))}"
                ) from None
            case "blocked":
                self.skipTest(f"blocked by {verdict.text!r}")
            case "not claimed":
                self.skipTest(f"not claimed: {verdict.text}")
            case "works":
                self.skipTest(f"not claimed, but it works: {verdict.text}")


def found_by(cls: type[QueueConformance], test: str) -> tuple[Any, ...] | None:
    """What a test of a kit has found, as plain values; None if it has not come so far."""
    check = _tests().get(test)
    kit = QueueConformance.kits.get(cls)
    if check is None or kit is None or check.name not in kit.verdicts:
        return None
    claimed = sorted(map(str, kit.subject.claimed))
    return (cls.__qualname__, claimed, check.name, list(kit.verdicts[check.name]))


def reported(found: Iterable[Any]) -> Report:
    """The report of what the tests of one kit have found."""
    verdicts: dict[str, Verdict] = {}
    claimed: Collection[str] = ()
    for claimed, check, verdict in found:  # noqa: B007 (the same in each)
        answer, clauses, text, seconds = verdict
        verdicts[check] = Verdict(answer, tuple(clauses), text, seconds)
    return Report(all_checks(), verdicts, caps.checked(claimed))


@cache
def _tests() -> dict[str, Check]:
    """The names of the test methods: unittest runs them in the order of the alphabet."""
    names: dict[str, Check] = {}
    for check in all_checks():
        stage = STAGES.index(check.stage) + 1
        words = re.sub(r"\W+", "_", check.name).strip("_")
        names[f"test_{stage}_{check.stage}_{len(names):03}_{words}"] = check
    return names


def _test(name: str, check: Check) -> Any:
    def test(self: QueueConformance) -> None:
        __tracebackhide__ = True
        self.report(check)

    test.__name__ = name
    test.__qualname__ = f"QueueConformance.{name}"
    test.__doc__ = None
    return test
