"""The checks of the kit, stage by stage: what each drives, and what it needs. The engines are modules of their own."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache, partial
from random import Random
from typing import Any, Final, get_args

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.testing import in_bulk, shortest, waits
from worq.testing.bad_input import refusals
from worq.testing.bench import Bench
from worq.testing.blame import EVENTS, TIME
from worq.testing.capabilities import (
    CONTRACT,
    DURABLE,
    MANUAL_CLOCK,
    OF_REFERENCE,
    REFERENCE,
    RETRIES,
    SHARED,
    Capability,
)
from worq.testing.driver import Program, Tick
from worq.testing.elsewhere import elsewhere
from worq.testing.exhaustive import THEMES, Theme, run_theme
from worq.testing.kit import ATOMIC, Broken, Check, Loss, Subject
from worq.testing.lifecycle_machine import make_lifecycle_machine
from worq.testing.lockstep import Lockstep
from worq.testing.machine import MACHINES, Machine, make_machine
from worq.testing.parallel import Parallel, ThreadRun, examine, shrink
from worq.testing.parallel_programs import programs
from worq.testing.rows import programs as programs_of_histories
from worq.testing.scenarios import STORIES, run_story
from worq.testing.smoke import SMOKE, operations_of
from worq.testing.vectors import CLIENTS, NAMES, kept, kept_histories
from worq.testing.vectors import programs as programs_of
from worq.testing.walk import walk, walk_of_life
from worq.values import Request
from worq_model.lines import History

LOOKS: Final = frozenset({"size", "status"})
WINDING_UP: Final = LOOKS | {"discard"}
CONTRACT_OPERATIONS: Final = frozenset(
    {"submit", "claim", "finish", "heartbeat", "release", "pop", "discard", "purge", "size", "status"}
)  # fmt: skip
REFERENCE_OPERATIONS: Final = frozenset(EVENTS[kind].value for kind in OF_REFERENCE)
SHRINK_TIMES: Final = 20
BULK_MAX: Final = 3
SHRINK_TRIES: Final = 100
AS_THEY_COME: Final = (Phase.explicit, Phase.reuse, Phase.generate)
"""Hypothesis makes nothing smaller."""
HISTORIES_MIN: Final = 4
"""Fewer say nothing of whether operations met."""


# Smoke


def _smoke(program: Program, subject: Subject) -> Iterable[str]:
    with subject.benched(queues=1, clients=1) as bench:
        lockstep = bench.lockstep()
        lockstep.looks_at_arguments = "get_arguments" in operations_of(program)
        try:
            lockstep.run(program)
        except AssertionError:
            shortest.raise_shortest(bench, lockstep)
            raise
        return _clauses(lockstep.rows)


def _bad_input(subject: Subject) -> Iterable[str]:
    with closing(subject.make_queue(subject.name(), subject.clock())) as queue:
        return refusals(queue)


def _smoke_checks() -> Iterator[Check]:
    for name, program in SMOKE.items():
        uses = operations_of(program)
        uses |= LOOKS if uses - LOOKS else frozenset()  # what is looked at after each operation
        yield Check("smoke", name, partial(_smoke, program), uses, _needs(uses))
    yield Check("smoke", "deadlines in real time", waits.leases_are_real, CONTRACT_OPERATIONS)
    yield Check("smoke", "bad input is refused", _bad_input, frozenset({"submit", "size"}))


# Transitions


def _transitions(name: str, subject: Subject) -> Iterable[str]:
    with subject.benched(queues=1, clients=CLIENTS) as bench:
        for program in [*programs_of(kept(name), api=name == "reference")][:: subject.effort.every]:
            shortest.run(bench, program, observe=False)
        return _clauses(bench.rows)


def replayed(histories: Iterable[History], subject: Subject) -> Iterable[str]:
    """Histories as `worq spec --vectors` writes them."""
    with subject.benched(queues=1, clients=1) as bench:
        for program in programs_of_histories(histories):
            shortest.run(bench, program)
        return _clauses(bench.rows)


def _rows(subject: Subject) -> Iterable[str]:
    return replayed(kept_histories(), subject)


def _stories(subject: Subject) -> Iterable[str]:
    with subject.benched() as bench:
        for story in STORIES.values():
            lockstep = bench.lifecycle()
            run_story(lockstep, story)
            bench.lifecycle_done(lockstep)
        return _clauses(bench.rows)


def _transition_checks() -> Iterator[Check]:
    yield Check("transitions", "every row of the tables", _rows, CONTRACT_OPERATIONS | {TIME})
    for name in NAMES:
        asked = REFERENCE_OPERATIONS if name == "reference" else frozenset[str]()
        run = partial(_transitions, name)
        uses = CONTRACT_OPERATIONS | asked | {TIME}
        yield Check("transitions", f"every transition of {name}", run, uses, _needs(asked))


# Exhaustive


def _theme(theme: Theme, subject: Subject) -> Iterable[str]:
    with subject.benched(queues=1, clients=1) as bench:
        return _clauses(run_theme(theme, subject.effort.length, bench))


def _bulks(subject: Subject) -> Iterable[str]:
    with subject.benched(queues=1, clients=1) as bench:
        for program in in_bulk.programs(min(max(1, subject.effort.length - 1), BULK_MAX)):
            shortest.run(bench, program)
    return ("ENV-BULK-1", "ENV-BULK-3")


def _exhaustive_checks() -> Iterator[Check]:
    for theme in THEMES:
        uses = operations_of((*theme.prefix, *theme.alphabet)) | WINDING_UP
        needs = _needs(uses - {TIME})
        yield Check("exhaustive", theme.name, partial(_theme, theme), uses, needs)
    yield Check("exhaustive", "operations in bulk", _bulks, CONTRACT_OPERATIONS | {TIME})


# Machines


def _machine(
    make: Callable[[Bench], type[RuleBasedStateMachine]], subject: Subject
) -> Iterable[str]:
    with subject.benched() as bench:
        run_state_machine_as_test(make(bench), settings=_settings(subject.effort.examples))
        return _clauses(bench.rows)


def _queue_machine(machine: type[Machine], subject: Subject) -> Iterable[str]:
    """What fails is made smaller here: Hypothesis knows nothing of programs, and may take minutes for it."""
    with subject.benched() as bench:
        try:
            run_state_machine_as_test(
                make_machine(machine, bench),
                settings=_settings(subject.effort.examples, phases=AS_THEY_COME),
            )
        except (
            FlakyFailure
        ) as flaky:  # what an example before it has left in the store shows only once
            raise flaky.exceptions[0] from None
        except AssertionError:
            if isinstance(bench.out, Lockstep):
                shortest.raise_shortest(bench, bench.out)
            raise
        return _clauses(bench.rows)


def _walk(walk: Callable[[Bench, Random, int], None], subject: Subject) -> Iterable[str]:
    with subject.benched() as bench:
        walk(bench, Random(), subject.effort.walks)
        return _clauses(bench.rows)


def _machine_checks() -> Iterator[Check]:
    yield Check("machines", "stories of an application", _stories, CONTRACT_OPERATIONS)
    machines: dict[str, Callable[[Subject], Iterable[str]]] = {
        f"random histories of {machine.__name__}": partial(_queue_machine, machine)
        for machine in MACHINES
    }
    machines |= {
        "random walks": partial(_walk, walk),
        "random lives": partial(_machine, make_lifecycle_machine),
        "random walks of life": partial(_walk, walk_of_life),
    }
    for name, examine_ in machines.items():
        yield Check("machines", name, examine_, CONTRACT_OPERATIONS | {TIME})


def _settings(examples: int | None, **more: Any) -> settings:
    """The profile's own, but for what a slow backend would fail by."""
    if examples is not None:
        more["max_examples"] = examples
    return settings(
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
        **more,
    )


# Parallel


def _parallel(subject: Subject) -> Iterable[str]:
    """Chance is in the threads: what failed once is not asked again, and is made smaller by trying often."""
    run = ThreadRun(subject.make_queue, subject.claimed)
    failures: dict[Parallel, str] = {}
    counts: Counter[str] = Counter()

    @_settings(subject.effort.programs, phases=AS_THEY_COME)
    @given(programs())
    def example(program: Parallel) -> None:
        if program not in failures:
            failure = examine(run, program, subject.effort.times, counts)
            if failure is None:
                return
            smaller = shrink(failure, _again(run), SHRINK_TRIES)
            failures[program] = str(smaller)
        raise Broken(failures[program], ATOMIC)

    example()
    # How much does depends on how busy the machine is, and of a few histories it may be none.
    if counts["holds"] >= HISTORIES_MIN and not counts["overlapping"]:
        raise Broken(f"nothing happened at the same time: {dict(counts)}")
    return (ATOMIC,)


def _again(run: ThreadRun) -> Callable[[Parallel], Any]:
    return lambda program: examine(run, program, SHRINK_TIMES, Counter())


def _parallel_checks() -> Iterator[Check]:
    yield Check("parallel", "operations are atomic", _parallel, CONTRACT_OPERATIONS)
    about: dict[str, Callable[[Subject], Iterable[str]]] = {
        "a timeout of 0 looks once": waits.zero_looks_once,
        "no wait ends early": waits.no_wait_ends_early,
        "who waits for a task gets it": waits.claims_end,
        "who waits for an outcome is told": waits.pops_end,
        "who waits for many is told": waits.bulks_end,
        "a pop waits for one incarnation": waits.a_pop_waits_for_one_incarnation,
        "no wait polls": waits.no_wait_polls,
        "one task wakes one claim": waits.one_task_wakes_one_claim,
    }
    for name, examine_ in about.items():
        yield Check("parallel", name, examine_, CONTRACT_OPERATIONS)
    on_time: dict[str, Callable[[Subject], Iterable[str]]] = {
        "a deadline wakes who waits": waits.deadlines_wake,
        "timeouts follow the clock": waits.timeouts_follow_the_clock,
    }
    for name, examine_ in on_time.items():
        yield Check("parallel", name, examine_, CONTRACT_OPERATIONS | {TIME}, _claims(MANUAL_CLOCK))


# Faults, and the capabilities


def _manual_clock(subject: Subject) -> Iterable[str]:
    return _smoke(SMOKE["a lease passes"], subject._replace(claimed=_claims(MANUAL_CLOCK)))


def _reference(subject: Subject) -> Iterable[str]:
    claimed = subject.claimed | {REFERENCE}
    for program in SMOKE.values():
        if REFERENCE in _needs(operations_of(program)):
            yield from _smoke(program, subject._replace(claimed=claimed))


def _durable(subject: Subject) -> Iterable[str]:
    """A process submits a task and dies, and when it is gone another one claims the task."""
    with _somewhere(subject) as queue:
        queue.close()
        with elsewhere(queue, "submit") as process:
            _same(process.answer(), "accepted", "another process submits a task")
        with elsewhere(queue, "claim") as process:
            _same(
                process.answer(), ["a", "from elsewhere", 1], "the task of a process that has ended"
            )
    return (str(DURABLE),)


def _shared(subject: Subject) -> Iterable[str]:
    """A process claims a task and dies: its claim is released here. Another one waits for the task meanwhile."""
    with _somewhere(subject) as queue:
        queue.submit(Request("a", attempts=2), b"m")
        with elsewhere(queue, "claim") as process:
            _same(process.answer(), ["a", "m", 1], "another process claims a task")
        _same(queue.status("a"), "processing", "the process that claimed it has died")
        with elsewhere(queue, "wait") as process:
            process.wait_until_ready()
            _same(queue.release("a"), True, "the claim of a process that has died is released")
            _same(process.answer(), ["a", "m", 2], "a process waits for a task that another releases")  # fmt: skip
    return (str(SHARED),)


PROCESSES: Final = 4
ROUNDS: Final = 3


def _opened_by_many(subject: Subject) -> Iterable[str]:
    """Processes that open what is not there yet at the same time all reach the same queue, and none is refused."""
    make = subject.new_store or partial(subject.make_queue, subject.name(), None)
    for _ in range(ROUNDS):
        with closing(make()) as queue, ExitStack() as stack:
            them = [stack.enter_context(elsewhere(queue, "begin")) for _ in range(PROCESSES)]
            for process in them:
                process.wait_until_ready()
            for process in them:
                process.go()
            what = (
                f"{PROCESSES} processes open a queue that is not there yet, and each submits a task"
            )
            got = [process.answer() for process in them]
            _same(got, ["accepted"] * PROCESSES, what, "ENV-API-9")
            size = queue.size()
            queue.purge()
            _same(size, PROCESSES, f"{what}; its size", "ENV-API-9")
    return ("ENV-API-9",)


def _retries(subject: Subject) -> Iterable[str]:
    """The smoke programs, with each operation's request or reply lost."""
    for name, program in SMOKE.items():
        uses = operations_of(program)
        if _needs(uses) <= subject.claimed:
            for loss in get_args(Loss):
                _lose_all(name, program, loss, subject)
    return ("ENV-RETRY-1",)


def _lose_all(name: str, program: Program, loss: Loss, subject: Subject) -> None:
    """Client 1 loses; what is seen afterwards client 0 looks at."""
    assert subject.lossy is not None, "lossy_queue says how a connection is cut"
    clock, queue_name = subject.clock(), subject.name()
    with (
        closing(subject.make_queue(queue_name, clock)) as sure,
        subject.lossy(queue_name, clock) as (lossy, lose),
    ):
        lockstep = Lockstep([[sure, lossy]], clock or ManualClock(), subject.claimed)
        try:
            for entry in program:
                if isinstance(entry, Tick):
                    lockstep.tick(entry.ms)
                else:
                    lose(loss)
                    lockstep.do(entry._replace(client=1))
            lockstep.wind_up()
        except AssertionError as error:
            lockstep.abandon()
            raise Broken(f"{name}, and each {loss} is lost: {error}", "ENV-RETRY-1") from error


@contextmanager
def _somewhere(subject: Subject) -> Generator[AbstractTaskQueue]:
    """A queue on the backend's own clock, empty in the end; it may be closed meanwhile."""
    make = partial(subject.make_queue, subject.name(), None)
    try:
        with closing(make()) as queue:
            yield queue
    finally:
        with closing(make()) as queue:
            queue.discard("a")
            queue.size()


def _same(got: object, expected: object, what: str, *clauses: str) -> None:
    if got != expected:
        raise Broken(f"{what}: expected {expected!r}, got {got!r}", *clauses)


def _fault_checks() -> Iterator[Check]:
    yield Check("faults", "closing unblocks, and loses nothing", waits.close_unblocks, CONTRACT_OPERATIONS)  # fmt: skip
    many = "several processes open it at once"
    yield Check("faults", many, _opened_by_many, CONTRACT_OPERATIONS, _claims(SHARED))
    probes: dict[Capability, tuple[Callable[[Subject], Iterable[str]], str]] = {
        MANUAL_CLOCK: (_manual_clock, "a clock is followed"),
        REFERENCE: (_reference, "the operations of the API reference are there"),
        SHARED: (_shared, "a queue is reached from other processes"),
        DURABLE: (_durable, "tasks outlive their processes"),
        RETRIES: (_retries, "what is lost on the way is asked for again"),
    }
    for capability, (examine_, name) in probes.items():
        uses = CONTRACT_OPERATIONS
        yield Check("faults", name, examine_, uses, _claims(capability), probe=True)


# All of them


@cache
def all_checks() -> tuple[Check, ...]:
    """In the order in which they tell most."""
    return (
        *_smoke_checks(),
        *_transition_checks(),
        *_exhaustive_checks(),
        *_machine_checks(),
        *_parallel_checks(),
        *_fault_checks(),
    )


def _clauses(rows: Counter[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(clause for row in rows for clause in row.clauses))


def _claims(*capabilities: Capability) -> frozenset[Capability]:
    return frozenset({CONTRACT, *capabilities})


def _needs(uses: Iterable[str]) -> frozenset[Capability]:
    """Time needs a clock that is advanced by hand; without one it is left out where it is not what it is about."""
    needs = {CONTRACT}
    if TIME in uses:
        needs.add(MANUAL_CLOCK)
    if not REFERENCE_OPERATIONS.isdisjoint(uses):
        needs.add(REFERENCE)
    return frozenset(needs)
