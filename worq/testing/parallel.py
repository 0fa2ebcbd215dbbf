"""Parallel programs: a prefix, then lanes that run at the same time, each in a thread of its own.

Every operation has an answer in every state, so whatever is cut out of a program leaves a program. What its
answers were is a history, and `worq.testing.linearizability` says whether it is a right one.
"""

import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import count
from typing import Final, NamedTuple, TypeAlias, cast

from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.testing.bench import MakeQueue
from worq.testing.capabilities import (
    IN_LOCKSTEP,
    MANUAL_CLOCK,
    REFERENCE,
    Capabilities,
    is_claimed,
    suited,
)
from worq.testing.driver import Bulk, Do, Tick
from worq.testing.histories import (
    Act,
    Clients,
    Event,
    History,
    Lane,
    Steered,
    Unknown,
    Wait,
    as_lanes,
    calls_of,
    perform,
    queue_of,
    singles,
)
from worq.testing.linearizability import Verdict, check
from worq.testing.programs import as_code
from worq_model import operations as ops
from worq_model.operations import Reply
from worq_model.values import Outcome

CLIENTS: Final = 2  # and one more that runs the prefix and looks at what is left
OBSERVER: Final = CLIENTS
PUMP_MS: Final = 10
PATIENCE_S: Final = 0.002  # for waits that ought to end
SWITCH_S: Final = 1e-6  # threads take turns as often as they can


class Parallel(NamedTuple):
    """A prefix that runs alone, then lanes that run at the same time."""

    prefix: Lane
    lanes: tuple[Lane, ...]


class Tried(NamedTuple):
    """A history of a program, and what is to be said of it."""

    history: History
    verdict: Verdict


Run: TypeAlias = Callable[[Parallel], Tried]


class Failure(NamedTuple):
    """A program, and a history of it that is wrong, or that nobody could check in time."""

    program: Parallel
    history: History
    verdict: Verdict

    def __str__(self) -> str:
        wrong = self.verdict.answer == "violated"
        return "\n".join(
            [
                f"the answers {'have no order that the model allows' if wrong else 'could not be checked'}:",
                program_code(self.program),
                as_lanes(self.history),
                *reasons(self.history, self.verdict),
            ]
        )


class NotLinearizable(AssertionError):
    """The operations of a queue are not atomic, or not what the model says."""


def program_code(program: Parallel) -> str:
    """The program as Python to paste."""
    lanes = "".join(f"        {as_code(lane)},\n" for lane in program.lanes)
    return f"PROGRAM = Parallel(\n    {as_code(program.prefix)},\n    (\n{lanes}    ),\n)"


def reasons(history: History, verdict: Verdict) -> Iterator[str]:
    """The longest order that was found, and why it ends where it does."""
    acts = {call.op_id: call.act for call in calls_of(history)}
    if verdict.longest:
        yield "# the longest order that the model allows:"
        yield from (f"#     {as_code(acts[op_id])}" for op_id in verdict.longest)
    yield from (f"# {objection}" for objection in verdict.objections)


class Recorder:
    """Carries out acts and writes down what was asked and answered, and when."""

    def __init__(
        self,
        clients: Clients,
        clock: Steered,
        now: Callable[[], int] = time.monotonic_ns,
        first_id: int = 0,
    ) -> None:
        self.history: list[Event] = []
        self._clients = clients
        self._clock = clock
        self._now = now
        self._ids = count(first_id)

    def do(self, process: str, act: Act) -> Reply:
        """The answer to one act; raises Unknown if nobody knows whether it happened: the process is over then."""
        if isinstance(act, Bulk):
            return self._do_in_bulk(process, act)
        op_id = next(self._ids)
        self.history.append(Event(self._now(), process, op_id, "call", act))
        try:
            reply = self.perform(process, op_id, act)
        except Unknown:
            self.history.append(Event(self._now(), process, op_id, "unknown"))
            raise
        self.history.append(Event(self._now(), process, op_id, "return", reply))
        return reply

    def _do_in_bulk(self, process: str, bulk: Bulk) -> Reply:
        """Several operations at the same time, one behind the other. Claims that were not made are not written down."""
        dos = singles(bulk)
        ids = [next(self._ids) for _ in dos]
        called = self._now()
        replies: tuple[Reply, ...] | None = None
        try:
            replies = cast("tuple[Reply, ...]", self.perform(process, ids[0], bulk))
            return replies
        finally:
            returned = self._now()
            done = ids if replies is None else ids[: len(replies)]
            for n, op_id in enumerate(done):
                self.history.append(Event(called, process, op_id, "call", dos[n]))
                end = (
                    Event(returned, process, op_id, "unknown")
                    if replies is None
                    else Event(returned, process, op_id, "return", replies[n])
                )
                self.history.append(end)

    def perform(self, process: str, op_id: int, act: Act) -> Reply:
        """To be overridden where an operation must be told apart."""
        del process, op_id
        return perform(self._clients, self._clock, act)


class ThreadRun:
    """Runs parallel programs in threads, each on new queues of one backend. Time is a manual clock.

    Waits have their timeouts on that clock too: when nobody does anything else any more, it is advanced.
    What a backend does not claim is left out; without a manual clock that is all that has to do with time.
    """

    def __init__(self, make_queue: MakeQueue, claimed: Capabilities = IN_LOCKSTEP) -> None:
        self._make_queue = make_queue
        self._claimed = claimed
        self._name = f"parallel {secrets.token_hex(6)}"  # of no other run on the same server
        self._names = count(1)

    def __call__(self, program: Parallel) -> Tried:
        clock = ManualClock()
        program = as_claimed(program, self._claimed)

        def make(name: str) -> AbstractTaskQueue:
            return self._make_queue(name, clock if MANUAL_CLOCK in self._claimed else None)

        with opened(make, f"{self._name} {next(self._names)}", queues_of(program)) as clients:
            recorder = Recorder(clients, clock)
            for act in program.prefix:
                recorder.do("prefix", act)
            if program.lanes:
                run_lanes(recorder, program.lanes, pump=True)
            look_after(recorder, program, self._claimed)
            return Tried(recorder.history, self.judge(recorder.history))

    def judge(self, history: History) -> Verdict:
        """What is to be said of a history."""
        return check(history)


def as_claimed(program: Parallel, claimed: Capabilities) -> Parallel:
    """What of a program can be asked of a backend with these capabilities."""
    lanes = (tuple(_as_claimed(lane, claimed)) for lane in program.lanes)
    return Parallel(tuple(_as_claimed(program.prefix, claimed)), tuple(filter(None, lanes)))


def _as_claimed(lane: Lane, claimed: Capabilities) -> Iterator[Act]:
    for act in lane:
        if isinstance(act, Bulk):
            yield act._replace(operations=tuple(suited(each, claimed) for each in act.operations))
            continue
        do = act.do if isinstance(act, Wait) else act
        if isinstance(do, Do) and is_claimed(do.operation, claimed):
            do = do._replace(operation=suited(do.operation, claimed))
            can_wait = isinstance(act, Wait) and MANUAL_CLOCK in claimed
            yield act._replace(do=do) if can_wait and isinstance(act, Wait) else do
        elif not isinstance(do, Do) and MANUAL_CLOCK in claimed:
            yield act


def queues_of(program: Parallel) -> int:
    """How many queues a program needs."""
    acts = (act for lane in (program.prefix, *program.lanes) for act in lane)
    return 1 + max((queue for act in acts if (queue := queue_of(act)) is not None), default=0)


@contextmanager
def opened(
    make: Callable[[str], AbstractTaskQueue], name: str, queues: int, clients: int = CLIENTS + 1
) -> Generator[Clients]:
    """Queue objects for the lanes and for the observer."""
    with ExitStack() as stack:
        made = [[make(f"{name}-{queue}") for _ in range(clients)] for queue in range(queues)]
        for client in (client for of_one in made for client in of_one):
            stack.callback(client.close)
        yield made


def run_lanes(recorder: Recorder, lanes: tuple[Lane, ...], *, pump: bool) -> None:
    """All at the same time. `pump`: the clock is advanced when all that are left wait."""
    _Lanes(recorder, lanes).run(pump=pump)


def look_after(recorder: Recorder, program: Parallel, claimed: Capabilities = IN_LOCKSTEP) -> None:
    """Look at all that is left, and work it off, so that nothing stays hidden and nothing is left."""
    acts = [act for lane in (program.prefix, *program.lanes) for act in lane]
    for queue in sorted({queue for act in acts if (queue := queue_of(act)) is not None}):
        ids = sorted({task_id for act in acts if queue_of(act) == queue for task_id in ids_of(act)})
        _work_off(recorder, queue, ids, claimed)


def _work_off(recorder: Recorder, queue: int, ids: Sequence[str], claimed: Capabilities) -> None:
    def ask(operation: ops.Operation) -> Reply:
        return recorder.do("after", Do(operation, queue, OBSERVER))

    ask(ops.Size())
    there = [task_id for task_id in ids if ask(ops.Status(task_id)) is not None]
    for task_id in ids if REFERENCE in claimed else ():
        ask(ops.GetArguments(task_id))
    started = there
    for turn in range(len(ids) + 1):  # what was ready, and then what that made ready
        for task_id in started:
            ask(ops.Finish(task_id, Outcome("result", b"%d" % turn + task_id.encode()), None))
        claims = [claim for _ in ids if isinstance(claim := ask(ops.Claim()), ops.Claimed)]
        started = [claim.id for claim in claims]
        if not started:
            break
    for task_id in there:
        ask(ops.Pop(task_id))
        ask(ops.Discard(task_id))
    ask(ops.Size())


def ids_of(act: Act) -> Iterator[str]:
    """The tasks that an act names."""
    if isinstance(act, Bulk):
        for single in singles(act):
            yield from ids_of(single)
        return
    do = act.do if isinstance(act, Wait) else act
    match do:
        case Do(ops.Submit(task_id, _, _, args)):
            yield from (task_id, *(argument_id for argument_id, _ in args))
        case Do(ops.Defer(task_id, _, _, args)):
            yield from (task_id, *args)
        case Do(ops.ReserveArgument(one, other) | ops.SetArgument(one, other)):
            yield from (one, other)
        case Do(operation) if not isinstance(operation, ops.Claim | ops.Purge | ops.Size):
            assert not isinstance(operation, ops.ReserveArgument)
            yield operation.id
        case _:
            pass


class _Lanes:
    """Threads that begin together, and a clock that advances when all that are left wait."""

    def __init__(self, recorder: Recorder, lanes: tuple[Lane, ...]) -> None:
        self._recorder = recorder
        self._lanes = lanes
        self._barrier = threading.Barrier(len(lanes))
        self._changed = threading.Condition()
        self._busy = len(lanes)
        self._left = len(lanes)

    def run(self, *, pump: bool) -> None:
        threads = [
            threading.Thread(target=self._run, args=(f"lane {number}", lane))
            for number, lane in enumerate(self._lanes)
        ]
        with switching_often() if pump else nullcontext():
            for thread in threads:
                thread.start()
            if pump:
                self._pump()
            for thread in threads:
                thread.join()

    def _run(self, process: str, lane: Lane) -> None:
        self._barrier.wait()
        try:
            for act in lane:
                if isinstance(act, Wait):
                    self._note(busy=-1)
                    self._recorder.do(process, act)
                    self._note(busy=1)
                else:
                    self._recorder.do(process, act)
        except Unknown:
            pass
        finally:
            self._note(busy=-1, left=-1)

    def _note(self, *, busy: int, left: int = 0) -> None:
        with self._changed:
            self._busy += busy
            self._left += left
            self._changed.notify()

    def _pump(self) -> None:
        with self._changed:
            while self._left:
                if self._changed.wait_for(lambda: not self._busy) and self._left:
                    self._changed.release()
                    self._recorder.do("clock", Tick(PUMP_MS))
                    self._changed.acquire()
                    self._changed.wait_for(lambda: self._busy or not self._left, PATIENCE_S)


@contextmanager
def switching_often() -> Generator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def examine(run: Run, program: Parallel, times: int, counts: Counter[str]) -> Failure | None:
    """Run a program some times; its first history that is not right. `counts`: what was seen."""
    for _ in range(times):
        history, verdict = run(program)
        counts[verdict.answer] += 1
        counts["overlapping"] += overlaps(history)
        counts["operations"] += len(history) // 2
        if verdict.answer != "holds":
            return Failure(program, history, verdict)
    return None


def overlaps(history: History) -> bool:
    """Was an operation called before one that was called earlier had returned?"""
    latest = -1
    for call in calls_of(history):
        if call.called < latest:
            return True
        latest = max(latest, call.called if call.returned is None else call.returned)
    return False


def shrink(failure: Failure, fails: Callable[[Parallel], Failure | None], tries: int) -> Failure:
    """A smaller program that fails too: without a lane, without an operation, or with less at the same time."""
    smaller = True
    while smaller and tries > 0:
        smaller = False
        for program in _simpler(failure.program):
            tries -= 1
            found = fails(program)
            if found is not None:
                failure, smaller = found, True
                break
            if tries <= 0:
                break
    return failure


def _simpler(program: Parallel) -> Iterator[Parallel]:
    prefix, lanes = program
    for number in range(len(lanes)):
        yield Parallel(prefix, _without(lanes, number))
    for size in (8, 4, 2, 1):
        for number, acts in enumerate((prefix, *lanes)):
            for at in range(0, len(acts), size):
                yield _with_lane(program, number, acts[:at] + acts[at + size :])
    for number, lane in enumerate(lanes):
        if lane and not isinstance(lane[0], Wait):
            moved = Parallel((*prefix, lane[0]), lanes)
            yield _with_lane(moved, number + 1, lane[1:])


def _with_lane(program: Parallel, number: int, lane: Lane) -> Parallel:
    """Number 0 is the prefix; a lane that is empty is none."""
    if number == 0:
        return program._replace(prefix=lane)
    lanes = tuple(lane if n == number - 1 else other for n, other in enumerate(program.lanes))
    return program._replace(lanes=tuple(filter(None, lanes)))


def _without(lanes: tuple[Lane, ...], number: int) -> tuple[Lane, ...]:
    return lanes[:number] + lanes[number + 1 :]
