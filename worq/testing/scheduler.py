"""A scheduler for real threads: one of them runs at a time, and a strategy says which, so that a run can be repeated.

Threads take turns at switch points: where they take a lock or sleep at one, which they must get from
`Scheduler.threading`, and, if asked for, at each line of the code under test that they reach without a lock.
"""

import re
import sys
import threading
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import partial
from itertools import groupby
from random import Random
from types import FrameType, SimpleNamespace, TracebackType
from typing import Any, NamedTuple, Protocol, TypeAlias


class Strategy(Protocol):
    """Says which thread goes on, where several can. `current` is the one that was running, None if it can't."""

    def __call__(self, enabled: Sequence[int], current: int | None, /) -> int: ...


class Decision(NamedTuple):
    """Which threads could go on, and which did."""

    enabled: tuple[int, ...]
    current: int | None
    chosen: int


POINTS_MAX = 20_000
"""So many switch points one schedule never has, unless a thread looks again and again."""


class Deadlock(Exception):
    """A thread waits for a lock that nobody will release."""


class Abandoned(BaseException):
    """Ends a thread that would wait for ever."""


class _Turn(Enum):
    READY = "ready"
    ASLEEP = "asleep"
    DONE = "done"


class _Worker(threading.Thread):
    """A real thread, which does one job after another, whenever it has the baton."""

    def __init__(self, scheduler: "Scheduler", number: int) -> None:
        super().__init__(name=f"scheduled {number}", daemon=True)
        self.number = number
        self.baton: threading.Lock = threading.Lock()
        self.baton.acquire()
        self.job: Callable[[], None] | None = None
        self.turn: _Turn = _Turn.DONE
        self.wants: Lock | None = None
        self.holds: int = 0
        self.until_ms: int = 0
        self._scheduler = scheduler

    def can_go_on(self) -> bool:
        return self.turn is _Turn.READY and (self.wants is None or self.wants.owner is None)

    def run(self) -> None:
        while self.baton.acquire() and (job := self.job):
            try:
                with _traced_by(self._scheduler.tracer):
                    job()
            except Abandoned:
                pass
            except BaseException as error:  # noqa: BLE001 (`go` raises it)
                self._scheduler.errors.append(error)
            self.turn, self.wants, self.holds = _Turn.DONE, None, 0
            self._scheduler.hand_over()


@contextmanager
def _traced_by(tracer: "Tracer | None") -> Generator[None]:
    """None: by whoever traces anyway."""
    before = sys.gettrace()
    if tracer is not None:
        sys.settrace(tracer)
    try:
        yield
    finally:
        sys.settrace(before)


class Lock:
    """A lock. Taking it is a switch point. Waiting for it with a timeout is sleeping, until others release it.

    What is taken with a timeout, or without blocking, is a signal between threads: nobody holds it.
    """

    def __init__(self, scheduler: "Scheduler") -> None:
        self._scheduler = scheduler
        self._sleeper: _Worker | None = None
        self.owner: object = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 (as in `threading`)
        if blocking and timeout < 0:
            self._scheduler.point()
            self.take()
            return True
        if self.owner is not None and timeout > 0:
            self._sleep(round(timeout * 1000))
        if self.owner is not None:
            return False
        self.owner = Lock
        return True

    def take(self) -> None:
        """Wait until nobody has it; no switch point in itself."""
        worker = self._scheduler.current
        if worker is None:
            if self.owner is not None:
                raise Deadlock
            self.owner = self._scheduler
            return
        while self.owner is not None:
            if self._scheduler.abandons:  # who unwinds doesn't wait: see `release`
                return
            worker.wants = self
            self._scheduler.hand_over()
        worker.wants = None
        worker.holds += 1
        self.owner = worker

    def _sleep(self, ms: int) -> None:
        worker = self._scheduler.current
        assert worker is not None, "sleeping is for scheduled threads"
        assert self._sleeper is None, "one thread sleeps at a lock"
        worker.turn, worker.until_ms = _Turn.ASLEEP, self._scheduler.now_ms + ms
        self._sleeper = worker
        try:
            self._scheduler.hand_over()
        finally:
            self._sleeper = None

    def release(self) -> None:
        if self.owner not in (Lock, self._scheduler.current or self._scheduler):
            if self._scheduler.abandons:  # whoever was to get it while it unwinds
                return
            raise RuntimeError("release unlocked lock")
        if isinstance(self.owner, _Worker):
            self.owner.holds -= 1
        self.owner = None
        if self._sleeper is not None:
            self._sleeper.turn = _Turn.READY

    def locked(self) -> bool:
        return self.owner is not None

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class Scheduler:
    """Some threads, and the locks to give to the code that they run. Close it at the end.

    `now_ms` is the time on which waits are measured; nobody but its owner changes it. `files`: whose lines are
    switch points, unless the thread holds a lock.
    """

    def __init__(self, threads: int, files: Collection[str] = ()) -> None:
        self.threading: SimpleNamespace = SimpleNamespace(
            Lock=partial(Lock, self), get_ident=threading.get_ident
        )
        self.now_ms: int = 0
        self.errors: list[BaseException] = []
        self.decisions: list[Decision] = []
        self.current: _Worker | None = None
        self.tracer: Tracer | None = self._trace_calls if files else None
        self._files = frozenset(files)
        self._baton = threading.Lock()
        self._baton.acquire()
        self._strategy: Strategy = first
        self.abandons: bool = False
        self.endless: int | None = None
        """Which thread has gone on for ever; `abandon` ends the others."""
        self._points = 0
        self._workers = [_Worker(self, number) for number in range(threads)]
        for worker in self._workers:
            worker.start()

    def start(self, jobs: Sequence[Callable[[], None]], strategy: Strategy) -> None:
        """Give each thread a job; `go` begins them."""
        self._strategy, self.decisions = strategy, []
        self._points, self.endless = 0, None
        for worker, job in zip(self._workers, jobs, strict=False):
            worker.job, worker.turn, worker.wants = job, _Turn.READY, None

    def go(self) -> None:
        """Let the threads run until none can go on."""
        chosen = self._choose(None)
        if chosen is not None:
            self._pass_baton(chosen)
            self._baton.acquire()
        if self.errors:
            raise self.errors.pop()

    def asleep(self) -> dict[int, int]:
        """Who sleeps, and until when."""
        return {w.number: w.until_ms for w in self._workers if w.turn is _Turn.ASLEEP}

    def stuck(self) -> list[int]:
        """Who waits for a lock."""
        return [w.number for w in self._workers if w.turn is _Turn.READY]

    def wake(self, number: int) -> None:
        """End a wait as its timeout would, or as it may end without a reason."""
        self._workers[number].turn = _Turn.READY

    def pass_time(self, ms: int) -> None:
        """Advance the time, and wake those whose waits it ends."""
        self.now_ms += ms
        for worker in self._workers:
            if worker.turn is _Turn.ASLEEP and worker.until_ms <= self.now_ms:
                worker.turn = _Turn.READY

    def abandon(self) -> None:
        """End all jobs where they are."""
        self.abandons = True
        for worker in self._workers:
            if worker.turn is not _Turn.DONE:
                self._pass_baton(worker)
                self._baton.acquire()
        self.abandons = False

    def close(self) -> None:
        for worker in self._workers:
            worker.job = None
            worker.baton.release()
            worker.join()

    # In the threads

    def point(self) -> None:
        """Another thread may go on here."""
        worker = self.current
        if worker is not None and not self.abandons:
            self._points += 1
            if self._points > POINTS_MAX:
                self.endless = worker.number
                self.abandons = True
                raise Abandoned
            chosen = self._choose(worker)
            if chosen is not None and chosen is not worker:
                self._pass_baton(chosen)
                self._wait_for_baton(worker)

    def hand_over(self) -> None:
        """Another thread must go on here, for this one can't."""
        worker = self.current
        assert worker is not None
        is_over = worker.turn is _Turn.DONE  # soon it may have another job
        if self.abandons and not is_over:
            raise Abandoned
        chosen = None if self.abandons else self._choose(worker)
        if chosen is worker:
            return
        if chosen is None:
            self.current = None
            self._baton.release()
        else:
            self._pass_baton(chosen)
        if not is_over:
            self._wait_for_baton(worker)

    def _choose(self, current: _Worker | None) -> _Worker | None:
        enabled = [worker for worker in self._workers if worker.can_go_on()]
        if len(enabled) < 2:  # noqa: PLR2004 (nothing to choose)
            return enabled[0] if enabled else None
        numbers = tuple(worker.number for worker in enabled)
        running = current.number if current is not None and current in enabled else None
        chosen = self._strategy(numbers, running)
        self.decisions.append(Decision(numbers, running, chosen))
        return self._workers[chosen]

    def _pass_baton(self, worker: _Worker) -> None:
        self.current = worker
        worker.baton.release()

    def _wait_for_baton(self, worker: _Worker) -> None:
        worker.baton.acquire()
        if self.abandons:
            raise Abandoned

    def _trace_calls(self, frame: FrameType, *_: object) -> "Tracer | None":
        if frame.f_code.co_filename in self._files and not self._is_locked():
            return self._trace_lines
        return None

    def _trace_lines(self, _: FrameType, event: str, *__: object) -> "Tracer | None":
        if event == "line" and not self._is_locked():
            self.point()
        return self._trace_lines

    def _is_locked(self) -> bool:
        worker = self.current
        return worker is None or worker.holds > 0


Tracer: TypeAlias = Callable[[FrameType, str, Any], Any]


# Strategies


def first(enabled: Sequence[int], current: int | None) -> int:
    """Go on with the same thread as long as it can."""
    return enabled[0] if current is None else current


class Follow:
    """The choices of a schedule, and then `first`."""

    def __init__(self, choices: Iterable[int]) -> None:
        self._choices = iter(choices)

    def __call__(self, enabled: Sequence[int], current: int | None) -> int:
        chosen = next(self._choices, -1)
        return chosen if chosen in enabled else first(enabled, current)


class AtRandom:
    """Any thread."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 (a seed to repeat it)

    def __call__(self, enabled: Sequence[int], _: int | None) -> int:
        return self._random.choice(enabled)


class Priorities:
    """PCT: the thread of the highest priority, which falls behind all others at some random points.

    Of programs of `threads` threads and `length` decisions, a bug that takes d-1 = `falls` such points is found with a
    chance of 1/(threads * length^(d-1)) at least.
    """

    def __init__(self, seed: int, threads: int, length: int, falls: int) -> None:
        random = Random(seed)  # noqa: S311 (a seed to repeat it)
        self._priority = [*range(threads)]
        random.shuffle(self._priority)
        self._falls = {random.randrange(max(1, length)): -n for n in range(1, falls + 1)}
        self._at = 0

    def __call__(self, enabled: Sequence[int], current: int | None) -> int:
        if self._at in self._falls and current is not None:
            self._priority[current] = self._falls[self._at]
        self._at += 1
        return max(enabled, key=self._priority.__getitem__)


def as_text(decisions: Iterable[Decision]) -> str:
    """A schedule as text: a letter for each thread that was chosen, and how often in a row."""
    letters = ("abcdefgh"[decision.chosen] for decision in decisions)
    return "".join(f"{letter}{len(list(run))}" for letter, run in groupby(letters))


def from_text(text: str) -> list[int]:
    """The choices of a schedule."""
    return [
        number
        for letter, times in re.findall(r"([a-h])(\d+)", text)
        for number in ["abcdefgh".index(letter)] * int(times)
    ]
