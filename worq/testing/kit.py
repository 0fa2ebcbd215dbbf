"""What a kit is: checks of a backend in an order, and what became of each. Which there are is in `stages`."""

import secrets
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Final, Literal, NamedTuple, TypeAlias

from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.testing.bench import Bench, MakeQueue
from worq.testing.capabilities import CONTRACT, MANUAL_CLOCK, Capability

Stage = Literal["smoke", "transitions", "exhaustive", "machines", "parallel", "faults"]
STAGES: Final[tuple[Stage, ...]] = (
    "smoke",
    "transitions",
    "exhaustive",
    "machines",
    "parallel",
    "faults",
)
Answer = Literal["holds", "violated", "blocked", "not claimed", "works"]
ATOMIC: Final = "atomic"
"""What the parallel stage is about; SPEC.md says it at the head of section 5, where no clause has a number."""
LeftBehind: TypeAlias = Callable[[AbstractTaskQueue], Sequence[str]]


class Effort(NamedTuple):
    """How much the kit does.

    `length`: of the exhaustive histories. `every`: of the programs of a file of transitions every so manieth.
    `examples`: of a machine, None for what Hypothesis's profile says. `walks`: of random walks. `programs`: of
    parallel ones, each run `times` times.
    """

    length: int = 3
    every: int = 1
    examples: int | None = None
    walks: int = 40
    programs: int = 20
    times: int = 10


USUAL: Final = Effort()
BRIEF: Final = Effort(length=1, every=25, examples=15, walks=5, programs=5, times=3)
"""For backends without a manual clock, or far away."""


Loss = Literal["request", "reply"]
Lossy: TypeAlias = tuple[AbstractTaskQueue, Callable[[Loss], None]]
"""A queue object, and what loses the request or the reply of its next operation."""
MakeLossy: TypeAlias = Callable[[str, ManualClock | None], AbstractContextManager[Lossy]]


class Subject(NamedTuple):
    """What is examined: how queues are made, and what they claim.

    `lossy`: how one is made whose connection is cut. `new_store`: how one is made where there is nothing at all yet.
    """

    make_queue: MakeQueue
    left_behind: LeftBehind
    claimed: frozenset[Capability]
    effort: Effort
    lossy: MakeLossy | None = None
    new_store: Callable[[], AbstractTaskQueue] | None = None

    def bench(self, *, queues: int = 2, clients: int = 2) -> Bench:
        return Bench(
            self.make_queue,
            self.left_behind,
            queues=queues,
            clients=clients,
            claimed=self.claimed,
        )

    @contextmanager
    def benched(self, *, queues: int = 2, clients: int = 2) -> Generator[Bench]:
        """A bench that is closed at the end, and empty."""
        with closing(self.bench(queues=queues, clients=clients)) as bench:
            yield bench

    def name(self) -> str:
        """A name that no other queue has."""
        return f"worq check {secrets.token_hex(6)}"

    def clock(self) -> ManualClock | None:
        """A clock for a queue of its own, if it can have one."""
        return ManualClock() if MANUAL_CLOCK in self.claimed else None


class Check(NamedTuple):
    """One thing to find out. `examine` gives the clauses that it saw kept, and raises AssertionError at a broken one.

    `uses`: the operations, and `time`, without which it makes no sense. `needs`: without which it is not claimed.
    `probe`: of a capability, which is found out also where it is not claimed.
    """

    stage: Stage
    name: str
    examine: Callable[[Subject], Iterable[str]]
    uses: frozenset[str] = frozenset()
    needs: frozenset[Capability] = frozenset({CONTRACT})
    probe: bool = False


class Verdict(NamedTuple):
    """What became of a check.

    `holds`: `clauses` are those that were seen to be kept. `violated`: those that are broken, the likeliest first,
    and `text` is the history that shows it. `blocked`: `text` names the check whose failure makes this one pointless.
    `not claimed`: `text` names the capability. `works`: that is not claimed, and is there.
    """

    answer: Answer
    clauses: tuple[str, ...] = ()
    text: str = ""
    seconds: float = 0.0

    @property
    def clause(self) -> str:
        """The clause that is broken; '' if that can't be said."""
        return self.clauses[0] if self.clauses else ""


class Broken(AssertionError):
    """A check failed that knows which clause it was about."""

    def __init__(self, text: str, *clauses: str) -> None:
        super().__init__(text)
        self.clauses = clauses
        self.broken = ""


class Kit:
    """The checks of a subject, each run once, when its verdict is asked for; those of the smoke stage before others.

    So verdicts do not depend on who asks first, and part of a kit can be run by itself.
    """

    def __init__(self, subject: Subject, checks: Sequence[Check]) -> None:
        self.subject = subject
        self.checks = checks
        self.verdicts: dict[str, Verdict] = {}
        self._broken: dict[str, Check] = {}

    def verdict(self, check: Check) -> Verdict:
        if check.stage != "smoke":
            for first in self.checks:
                if first.stage == "smoke":
                    self._know(first)
        return self._know(check)

    def _know(self, check: Check) -> Verdict:
        if check.name not in self.verdicts:
            began = time.monotonic()
            verdict = self._find_out(check)
            self.verdicts[check.name] = verdict._replace(seconds=time.monotonic() - began)
        return self.verdicts[check.name]

    def _find_out(self, check: Check) -> Verdict:
        missing = sorted(check.needs - self.subject.claimed)
        blocker = self._blocker(check)
        if blocker is not None and not missing:
            return Verdict("blocked", text=blocker.name)
        if missing and not check.probe:
            return Verdict("not claimed", text=", ".join(missing))
        verdict = self._examined(check)
        if not missing:
            return verdict
        answer: Answer = "works" if verdict.answer == "holds" else "not claimed"
        return Verdict(answer, text=", ".join(missing))

    def _blocker(self, check: Check) -> Check | None:
        """An earlier check that found an operation broken which this one uses."""
        for part in sorted(check.uses & self._broken.keys()):
            found = self._broken[part]
            if check.stage == "smoke" or found.stage != check.stage:
                return found
        return None

    def _examined(self, check: Check) -> Verdict:
        try:
            return Verdict("holds", tuple(dict.fromkeys(check.examine(self.subject))))
        except Exception as error:  # noqa: BLE001 (whatever a backend raises, its verdict is that)
            if check.needs - self.subject.claimed:
                return Verdict("violated")
            return self._violated(check, error)

    def _violated(self, check: Check, error: Exception) -> Verdict:
        clauses: tuple[str, ...] = getattr(error, "clauses", ())
        text = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"  # fmt: skip
        verdict = Verdict("violated", clauses, text)
        same = next((name for name, v in self.verdicts.items() if _is_same(v, verdict)), None)
        if same is not None:
            return Verdict("blocked", text=same)
        if part := getattr(error, "broken", ""):
            self._broken.setdefault(part, check)
        return verdict


def _is_same(earlier: Verdict, later: Verdict) -> bool:
    return earlier.answer == "violated" and earlier.clause == later.clause != ""
