"""Every interleaving of a small program on the memory queue's own code, up to a bound; and some of larger ones.

The queue gets its locks from a `Scheduler`. A schedule is right if its history is linearizable, and if
no thread sleeps while what it waits for is there. Each schedule is run at least twice: the second run must go as the
first did, and then whoever sleeps is woken without a reason, and must find nothing.
"""

import threading
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count, groupby
from typing import Final, NamedTuple, Self
from unittest.mock import patch

from worq import clock as clock_module
from worq.clock import ManualClock, MonotonicClock
from worq.queue.memory import deadlines, guard, stores, taskqueue, tasks, waiting
from worq.testing.driver import Tick
from worq.testing.histories import Close, Event, Lane, as_lanes
from worq.testing.linearizability import Verdict, check
from worq.testing.parallel import CLIENTS, Parallel, Recorder, look_after, program_code, reasons
from worq.testing.programs import as_code
from worq.testing.scheduler import (
    AtRandom,
    Decision,
    Follow,
    Priorities,
    Scheduler,
    Strategy,
    as_text,
    first,
    from_text,
)

URL: Final = "memory://interleavings"
# Without `guard`: between releasing the lock and falling asleep no time may pass, or nobody would be late.
FILES: Final = tuple(
    m.__file__ for m in (deadlines, stores, taskqueue, tasks, waiting) if m.__file__
)
TICKS_MS: Final = (
    10,
    5002,
)  # of a manual clock, when all wait: past their timeouts, then past the leases
PAUSES_MAX: Final = 6  # of a clock that flows, which passes to whenever somebody wakes by itself
FORCED_MAX: Final = 3


class VirtualClock(MonotonicClock):
    """A clock that flows, in the eyes of the queue; it flows when nobody has anything else to do."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def now_ms(self) -> int:
        return self._scheduler.now_ms

    def advance(self, ms: int) -> None:
        self._scheduler.pass_time(ms)


class Run(NamedTuple):
    """What one schedule of a program did.

    `pauses`: how often all threads slept before the end. `complaints`: of threads that sleep, or wait for
    a lock, when they should not. `settled`: how many decisions and events there were before those who slept
    were woken without a reason.
    """

    history: list[Event]
    decisions: list[Decision]
    pauses: int
    complaints: tuple[str, ...] = ()
    settled: tuple[int, int] | None = None

    @property
    def schedule(self) -> str:
        return as_text(self.decisions)


class Nondeterminism(AssertionError):
    """A schedule went otherwise when it was run again: something is not under the scheduler's control."""


class Stage:
    """Runs programs of up to `threads` lanes on memory queues, one schedule at a time. A context manager.

    `lines`: each line of the memory queue that is reached without a lock is a switch point too. `flows`: the
    queue runs on a clock that flows, else on one that is advanced by hand.
    """

    def __init__(self, *, threads: int = 3, lines: bool = False, flows: bool = False) -> None:
        self._flows = flows
        self._scheduler = Scheduler(threads, FILES if lines else ())
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        assert vars(guard)["threading"] is threading, "one stage at a time"
        self._stack.callback(self._scheduler.close)
        for module in (guard, clock_module):
            self._stack.enter_context(patch.object(module, "threading", self._scheduler.threading))
        for module in (stores, taskqueue):
            self._stack.enter_context(patch.object(module, "STORES", stores.Stores()))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, program: Parallel, strategy: Strategy = first, *, force_at: int = -1) -> Run:
        """One schedule. `force_at`: at that pause all who sleep are woken without a reason, and that is the end."""
        fresh = stores.Stores()
        for module in (stores, taskqueue):
            vars(module)["STORES"] = fresh
        return _Execution(self._scheduler, program, flows=self._flows).run(strategy, force_at)


class _Execution:
    """One run on a queue of its own."""

    def __init__(self, scheduler: Scheduler, program: Parallel, *, flows: bool) -> None:
        self._scheduler = scheduler
        self._program = program
        self._flows = flows
        self._clock = VirtualClock(scheduler) if flows else ManualClock()
        self._queues = [[taskqueue.TaskQueue(URL, clock=self._clock) for _ in range(CLIENTS + 1)]]
        self._recorder = Recorder(self._queues, self._clock, partial(next, count()))
        self._complaints: list[str] = []
        self._settled: tuple[int, int] | None = None

    def run(self, strategy: Strategy, force_at: int) -> Run:
        for act in self._program.prefix:
            self._recorder.do("prefix", act)
        jobs = [
            partial(self._lane, f"lane {n}", lane) for n, lane in enumerate(self._program.lanes)
        ]
        self._scheduler.start(jobs, strategy)
        pauses = self._go(force_at)
        if not self._complaints and self._settled is None:
            look_after(self._recorder, self._program)
        for queue in self._queues[0]:
            queue.close()
        decisions = self._scheduler.decisions
        return Run(
            self._recorder.history, decisions, pauses, tuple(self._complaints), self._settled
        )

    def _lane(self, process: str, lane: Lane) -> None:
        for act in lane:
            self._recorder.do(process, act)

    def _go(self, force_at: int) -> int:
        """Run to the end; how often all slept on the way."""
        for pause in count():
            self._scheduler.go()
            if self._scheduler.endless is not None:
                self._complain("goes on for ever", (self._scheduler.endless,))
            if stuck := self._scheduler.stuck():
                self._complain("waits for a lock that is never released", stuck)
            if not self._scheduler.asleep():
                return pause
            if pause == force_at:
                self._force()
                return pause + 1
            if not self._pass_time(pause):
                self._complain("sleeps although its queue is closed", self._scheduler.asleep())
        raise AssertionError

    def _complain(self, what: str, threads: Iterable[int]) -> None:
        self._complaints += [f"lane {number} {what}" for number in threads]
        self._scheduler.abandon()

    def _force(self) -> None:
        """Whoever sleeps must find nothing when it looks, up to the millisecond before one would wake by itself."""
        self._settled = len(self._scheduler.decisions), len(self._recorder.history)
        if self._flows:
            self._scheduler.now_ms = max(self._scheduler.now_ms, self._next_ms() - 1)
        for number in self._scheduler.asleep():
            self._scheduler.wake(number)
        self._scheduler.go()
        for event in self._recorder.history[self._settled[1] :]:
            if event.kind == "return":
                self._complaints.append(
                    f"{event.process} slept although it could have had {as_code(event.value)}"
                )
                break
        self._scheduler.abandon()

    def _next_ms(self) -> int:
        """When one of those who sleep wakes by itself."""
        return min(self._scheduler.asleep().values())

    def _pass_time(self, pause: int) -> bool:
        """Let something happen when all sleep; False if all has been tried."""
        pauses = PAUSES_MAX if self._flows else len(TICKS_MS)
        if pause > pauses:
            return False
        if pause == pauses:
            for client in range(CLIENTS):
                self._recorder.do("closer", Close(0, client))
        else:
            ms = self._next_ms() - self._scheduler.now_ms if self._flows else TICKS_MS[pause]
            self._recorder.do("clock", Tick(ms))
        return True


class Trouble(NamedTuple):
    """A schedule of a program that went wrong. `replay` runs it again."""

    program: Parallel
    run: Run
    verdict: Verdict | None

    def __str__(self) -> str:
        why = () if self.verdict is None else reasons(self.run.history, self.verdict)
        return "\n".join(
            [
                f"schedule {self.run.schedule} is wrong:",
                program_code(self.program),
                as_lanes(self.run.history),
                *(f"# {complaint}" for complaint in self.run.complaints),
                *why,
            ]
        )


class Interleavings:
    """Examines schedules of programs on a stage, and counts them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.counts: Counter[str] = Counter()
        self._verdicts: dict[Hashable, Verdict] = {}
        self._program: Parallel | None = None

    def exhaust(
        self, program: Parallel, preemptions: int, schedules_max: int = 10**9
    ) -> Trouble | None:
        """Every schedule that stops a thread that could go on at most so often; the first that is wrong."""
        left: list[tuple[int, ...]] = [()]
        for _ in range(schedules_max):
            if not left:
                return None
            begin = left.pop()
            run, trouble = self.examine(program, Follow(begin))
            if trouble is not None:
                return trouble
            left += _others(run.decisions, len(begin), preemptions)
        self.counts["cut short"] += 1
        return None

    def sample(self, program: Parallel, seeds: Iterable[int]) -> Trouble | None:
        """For each seed a schedule at random, and one by priorities; the first that is wrong."""
        length = len(self._stage.run(program).decisions)
        for seed in seeds:
            falls = Priorities(seed, len(program.lanes), length, 1 + seed % 3)
            for strategy in (AtRandom(seed), falls):
                trouble = self.examine(program, strategy)[1]
                if trouble is not None:
                    return trouble
        return None

    def examine(self, program: Parallel, strategy: Strategy) -> tuple[Run, Trouble | None]:
        """Run one schedule, and again for each of its pauses; what is wrong with it."""
        run = self._stage.run(program, strategy)
        self.counts["schedules"] += 1
        self.counts["preemptions"] += _preemptions(run.decisions)
        if run.complaints:
            return run, Trouble(program, run, None)
        verdict = self._check(program, run.history)
        if verdict.answer != "holds":
            return run, Trouble(program, run, verdict)
        for pause in range(max(1, min(run.pauses, FORCED_MAX))):
            again = self._again(program, run, pause)
            if again.complaints:
                return run, Trouble(program, again, None)
        return run, None

    def _again(self, program: Parallel, run: Run, pause: int) -> Run:
        choices = [decision.chosen for decision in run.decisions]
        again = self._stage.run(program, Follow(choices), force_at=pause)
        decisions, events = again.settled or (len(again.decisions), len(again.history))
        self.counts["runs again"] += 1
        if again.decisions[:decisions] != run.decisions[:decisions]:
            raise Nondeterminism(f"{run.schedule} was {again.schedule} when it was run again")
        if again.history[:events] != run.history[:events]:
            raise Nondeterminism(f"{run.schedule} had other answers when it was run again")
        return again

    def _check(self, program: Parallel, history: list[Event]) -> Verdict:
        """Many schedules have the same history."""
        if program != self._program:
            self._program, self._verdicts = program, {}
        key = _signature(history)
        verdict = self._verdicts.get(key)
        if verdict is None:
            self.counts["histories"] += 1
            verdict = self._verdicts[key] = check(history)
        return verdict


def replay(stage: Stage, program: Parallel, schedule: str) -> Trouble | None:
    """Run a schedule again, from its text."""
    return Interleavings(stage).examine(program, Follow(from_text(schedule)))[1]


def _signature(history: list[Event]) -> Hashable:
    """What the check depends on: calls in a row, or returns in a row, may be in any order."""
    blocks = groupby(history, key=lambda event: event.kind)
    return tuple(
        (kind, *sorted((e.process, "" if kind == "call" else repr(e.value)) for e in events))
        for kind, events in blocks
    )


def _others(decisions: list[Decision], begin: int, preemptions: int) -> Iterator[tuple[int, ...]]:
    """How else a run could have gone after its first `begin` decisions: by one decision each."""
    chosen = tuple(decision.chosen for decision in decisions)
    used = _preemptions(decisions[:begin])
    for at in range(begin, len(decisions)):
        enabled, current, _ = decisions[at]
        for other in enabled:
            costs = current is not None and other != current
            if other != chosen[at] and used + costs <= preemptions:
                yield (*chosen[:at], other)
        used += _preemptions(decisions[at : at + 1])


def _preemptions(decisions: Iterable[Decision]) -> int:
    return sum(d.current is not None and d.chosen != d.current for d in decisions)
