"""Programs in the midst of which another server takes over; the journal says what was right."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, Final, Protocol

from tests.stateful.profile import by_profile
from worq.testing.driver import Tick
from worq.testing.histories import Act, Lane, Wait, by_client
from worq.testing.journal import JournalQueue, replay, take_journal
from worq.testing.parallel import Parallel, look_after, reasons
from worq.testing.redis_runs import LabellingRecorder, RealTime
from worq.testing.small_programs import ACTS, SITUATIONS

PROGRAMS: Final[Sequence[tuple[Lane, Act]]] = [
    (before, act)
    for before, act in product(SITUATIONS.values(), ACTS)
    if not isinstance(act, Tick | Wait)
][:: by_profile(12, 3, 1)]
"""What was done before, and what is done when it happens."""


class Servers(Protocol):
    """Of which one takes over."""

    def queue(self, name: str, *, after: bool = False) -> JournalQueue:
        """A queue object; or, `after` it, one that looks from elsewhere."""
        ...

    def promote(self) -> None:
        """From now on nothing that is done is known to the one that takes over."""
        ...

    def fail_over(self) -> None:
        """Now it does."""
        ...

    def admin_of(self, name: str) -> Any:
        """A client of redis-py for the server that has that queue now."""
        ...


class Program:
    """One of them, on two queue objects and one that looks from elsewhere."""

    def __init__(self, servers: Servers, name: str, before: Lane, act: Act) -> None:
        self.name = name
        self.act = act
        self._servers = servers
        self._before = before
        queue, after = servers.queue(name), servers.queue(name, after=True)
        self._recorder = LabellingRecorder([[queue, queue, after]], RealTime())

    def begin(self) -> None:
        for each in self._before:
            self._recorder.do("before", by_client(each, 0))

    def do(self) -> None:
        self._recorder.do("after", by_client(self.act, 0))

    def lose(self) -> None:
        """Do it, where nothing that is done is known afterwards."""
        known = len(self._recorder.history)
        self._recorder.do("lost", by_client(self.act, 0))
        del self._recorder.history[known:]

    def go_on(self) -> None:
        self.do()
        self.judge()

    def judge(self) -> None:
        look_after(self._recorder, Parallel(self._before, ((self.act,),)))
        journal = take_journal(self._servers.admin_of(self.name), self.name)
        verdict = replay(self._recorder.history, {0: journal})
        wrong = [self._before, self.act, *reasons(self._recorder.history, verdict)]
        assert verdict.answer == "holds", wrong


def fail_over(servers: Servers, *, lost: bool) -> None:
    """Before the last act of each program, or after it."""
    programs = [
        Program(servers, f"q{number}", before, act) for number, (before, act) in enumerate(PROGRAMS)
    ]
    for_all(programs, Program.begin)
    servers.promote()
    if lost:
        for_all(programs, Program.lose)
    servers.fail_over()
    for_all(programs, Program.go_on)


def for_all(programs: list[Program], do: Callable[[Program], object]) -> None:
    for program in programs:
        do(program)
