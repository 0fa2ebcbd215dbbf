"""Clients beside a queue, one operation at a time, in every order; one may die and one reply be lost between any two.

Whoever has to wait sleeps until it is woken, as SPEC.md says in section 7. The look that a sleeper
takes after 5 s at most is left out: nobody needs it, but for the wake-up of one who died before it
had looked; here the next sleeper gets that one.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple

from worq_model import operations as ops
from worq_model.clients import Role, Running, Told, Waiter, as_bytes, result_of
from worq_model.deadlines import NextDeadline, has_deadline_ahead, is_due, later, ranked
from worq_model.graph import System
from worq_model.invariants import broken
from worq_model.ledger import Ledger, observe
from worq_model.operations import Operation, Reply, is_accepted
from worq_model.queue import pass_time, step
from worq_model.values import COMPLETED, EMPTY, TASK_EXPIRED, Outcome, State, find

AWAKE: Final = "awake"
ASLEEP: Final = "asleep"
CALLED: Final = "called"  # woken, and has not looked yet
DEAD: Final = "dead"
LOST: Final = "lost"  # died while called, and its wake-up with it

NEVER_MS = -1_000_000
"""A time at which no deadline has passed."""


class Process(NamedTuple):
    """One client: where it is, the operation in which it sleeps, and the one whose answer it has not heard."""

    place: Hashable
    mood: str = AWAKE
    waits: Operation | None = None
    unheard: tuple[Operation, Reply] | None = None


class World(NamedTuple):
    """A queue, its clients, how many may still die, and how many replies may still be lost.

    `accepted`: the incarnations that were; `popped`: how many outcomes clients have taken out.
    """

    state: State
    processes: tuple[Process, ...]
    crashes: int
    losses: int
    accepted: frozenset[Hashable] = frozenset()
    popped: int = 0
    ledger: Ledger = Ledger()


class Event(NamedTuple):
    """A step: who did what. `note`: what became of the caller or of the answer, if not the usual."""

    who: str
    what: Operation | NextDeadline | str
    note: str = ""


class Rules(NamedTuple):
    """What SPEC.md promises to clients. Each can be taken away, to see what it is for.

    An answer that was lost is given again [ENV-RETRY-1]; those who sleep apply a deadline as soon as it
    passes [ENV-WAIT-4]; a wake-up that was lost with its client goes to the next [ENV-WAIT-3].
    """

    answers_again: bool = True
    alarm_for_leases: bool = True
    wakes_the_next: bool = True


AS_SPECIFIED: Final = Rules()

IS_SETTLED: Final = "all clients get done, and nothing is left"
CAN_SETTLE: Final = "all clients can still get done, and nothing be left"
RUNS_ARE_COMPLETE: Final = "a task is run with all its arguments"
NO_RESULT_GOES_ASTRAY: Final = "a waiter gets no other task's result"
ONE_CONSUMER: Final = "an outcome has one consumer, who gets it"


@dataclass(frozen=True)
class Protocol:
    """The clients of one queue; `results`: message → what the task returns when it is run as it was submitted."""

    roles: tuple[Role, ...]
    results: Mapping[bytes, bytes]
    rules: Rules = AS_SPECIFIED
    crashes: int = 1
    losses: int = 1

    def under(self, rules: Rules) -> "Protocol":
        return replace(self, rules=rules)

    def system(self) -> System[World, Event]:
        processes = tuple(Process(role.start) for role in self.roles)
        return System(
            World(EMPTY, processes, self.crashes, self.losses),
            self._steps,
            self._canon,
            always={
                "no invariant of the queue is broken": _is_sound,
                "the ledger has no fault": _has_no_fault,
                RUNS_ARE_COMPLETE: self._runs_are_complete,
                NO_RESULT_GOES_ASTRAY: self._no_result_goes_astray,
                ONE_CONSUMER: _outcomes_are_in_one_hand,
            },
            sometimes=REACHED,
            eventually={IS_SETTLED: self._is_settled},
            possible={CAN_SETTLE: self._is_settled},
        )

    # Claims

    def _runs_are_complete(self, world: World) -> bool:
        runs = (p.place for p in world.processes if isinstance(p.place, Running))
        return all(
            result_of(run.claim.message, run.arguments) == self.results[as_bytes(run.claim.message)]
            for run in runs
            if run.arguments is not None
        )

    def _no_result_goes_astray(self, world: World) -> bool:
        waiters = zip(self.roles, world.processes, strict=True)
        got = [(role, _outcome_of(process)) for role, process in waiters]
        return all(
            outcome is None or not isinstance(role, Waiter) or outcome.message == role.expects
            for role, outcome in got
        )

    def _is_settled(self, world: World) -> bool:
        numbers = range(len(self.roles))
        return world.state == EMPTY and all(self._is_at_rest(world, number) for number in numbers)

    def _is_at_rest(self, world: World, number: int) -> bool:
        role, process = self.roles[number], world.processes[number]
        if process.mood in (DEAD, LOST) or not self._has_begun(world, number):
            return True
        if process.unheard is not None:
            return False
        return process.place == role.start if role.serves else not role.may_do(process.place)

    def _has_begun(self, world: World, number: int) -> bool:
        knows = self.roles[number].knows
        return knows is None or knows in world.accepted

    def _canon(self, world: World) -> Hashable:
        """Clients that differ in nothing but their names may change places."""
        groups = [
            frozenset(Counter([world.processes[number] for number in numbers]).items())
            for numbers in self._alike
        ]
        return *groups, world._replace(processes=())

    @cached_property
    def _alike(self) -> list[list[int]]:
        groups: dict[Role, list[int]] = {}
        for number, role in enumerate(self.roles):
            groups.setdefault(role, []).append(number)
        return list(groups.values())

    # Steps

    def _steps(self, world: World) -> Iterator[tuple[Event, World]]:
        for number, process in enumerate(world.processes):
            if process.mood in (DEAD, LOST) or not self._has_begun(world, number):
                continue
            if process.mood != ASLEEP:
                yield from self._acts(world, number)
            if world.crashes and self.roles[number].may_do(process.place):
                yield self._dies(world, number)
        if has_deadline_ahead(world.state):
            yield Event("", NextDeadline()), world._replace(state=later(world.state))
        yield from self._alarm(world)

    def _acts(self, world: World, number: int) -> Iterator[tuple[Event, World]]:
        role, process = self.roles[number], world.processes[number]
        if process.unheard is not None and self.rules.answers_again:
            heard = Process(role.answered(process.place, process.unheard[1]))
            yield Event(role.name, "gets the answer again"), _put(world, number, heard)
            return
        operations = role.may_do(process.place)
        if process.waits is not None:
            operations = (process.waits,)
        elif process.unheard is not None:
            operations = process.unheard[:1]
        for operation in operations:
            yield from self._does(world, number, operation)

    def _does(
        self, world: World, number: int, operation: Operation
    ) -> Iterator[tuple[Event, World]]:
        """The operation as it ought to go, and, while a reply may be lost, without it."""
        role, process = self.roles[number], world.processes[number]
        after, reply = _apply(world, operation)
        if reply is None and isinstance(operation, ops.Claim | ops.Pop):
            asleep = Process(process.place, ASLEEP, _as_first_seen(after.state, operation))
            yield Event(role.name, operation, "sleeps"), _woken(_put(after, number, asleep))
            return
        heard = Process(role.answered(process.place, reply))
        yield Event(role.name, operation), _woken(_put(after, number, heard))
        if world.losses:
            deaf = Process(process.place, unheard=(operation, reply))
            lost = _put(after, number, deaf)._replace(losses=world.losses - 1)
            yield Event(role.name, operation, "lost"), _woken(lost)

    def _dies(self, world: World, number: int) -> tuple[Event, World]:
        process = world.processes[number]
        is_lost = process.mood == CALLED and not self.rules.wakes_the_next
        dead = _put(world, number, process._replace(mood=LOST if is_lost else DEAD))
        dead = dead._replace(crashes=world.crashes - 1)
        return Event(self.roles[number].name, "dies"), _woken(dead)

    def _alarm(self, world: World) -> Iterator[tuple[Event, World]]:
        """One of those who sleep wakes at a deadline, and applies it for all."""
        asleep = [n for n, process in enumerate(world.processes) if process.mood == ASLEEP]
        if asleep and _rings(world.state, for_leases=self.rules.alarm_for_leases):
            after, _ = _apply(world, ops.Size())
            who = self.roles[asleep[0]].name
            yield Event(who, ops.Size(), "woken by the deadline"), _woken(after)


def _put(world: World, number: int, process: Process) -> World:
    processes = world.processes
    return world._replace(processes=(*processes[:number], process, *processes[number + 1 :]))


def _apply(world: World, operation: Operation) -> tuple[World, Reply]:
    """An operation, after the deadlines that are due; the ledger sees one after the other."""
    swept, ledger = world.state, world.ledger
    if is_due(swept):
        swept = ranked(pass_time(swept, 0)[0])
        ledger = observe(ledger, world.state, ops.Size(), None, swept)
    done = step(swept, operation, now_ms=0)
    after, reply = ranked(done.state), done.reply
    ledger = observe(ledger, swept, operation, reply, after)
    accepted = world.accepted
    if isinstance(operation, ops.Submit | ops.Defer) and is_accepted(reply):
        accepted |= {operation.incarnation}
    popped = world.popped + (isinstance(operation, ops.Pop) and isinstance(reply, Outcome))
    world = world._replace(state=after, accepted=accepted, popped=popped, ledger=ledger)
    return world, reply


# Waking


def _woken(world: World) -> World:
    """One sleeping worker is called for each ready task, and each waiter that has an answer to get. [ENV-WAIT-6]"""
    called = sum(
        isinstance(process.waits, ops.Claim) and process.mood in (CALLED, LOST)
        for process in world.processes
    )
    for number, process in enumerate(world.processes):
        if process.mood != ASLEEP:
            continue
        if isinstance(process.waits, ops.Claim):
            is_called = called < len(world.state.ready)
            called += is_called
        else:
            is_called = _has_answer(world.state, process.waits)
        if is_called:
            world = _put(world, number, process._replace(mood=CALLED))
    return world


def _has_answer(state: State, operation: Operation | None) -> bool:
    """Whether a pop would be answered now, deadlines aside. [ENV-WAIT-5]"""
    assert isinstance(operation, ops.Pop)
    return step(state, operation, now_ms=NEVER_MS).reply is not None


def _as_first_seen(state: State, operation: Operation) -> Operation:
    """A pop without a token waits for the incarnation that it first saw. [ENV-WAIT-5]"""
    if not isinstance(operation, ops.Pop):
        return operation
    task = find(state, operation.id, operation.incarnation)
    assert task is not None
    return operation._replace(incarnation=task.incarnation)


def _rings(state: State, *, for_leases: bool) -> bool:
    if for_leases:
        return is_due(state)
    return is_due(State(tuple(task for task in state.tasks if task.state == COMPLETED)))


# What is claimed of any world


def _is_sound(world: World) -> bool:
    return not broken(world.state)


def _has_no_fault(world: World) -> bool:
    return world.ledger.fault is None


def _outcome_of(process: Process) -> Outcome | None:
    """The outcome that a client has, or that is on its way to it."""
    place, unheard = process.place, process.unheard
    if isinstance(place, Told) and isinstance(place.reply, Outcome):
        return place.reply
    return unheard[1] if unheard is not None and isinstance(unheard[1], Outcome) else None


def _outcomes_are_in_one_hand(world: World) -> bool:
    return world.popped == sum(_outcome_of(process) is not None for process in world.processes)


REACHED: dict[str, Callable[[World], bool]] = {
    "a waiter gets a result": lambda w: any(map(_outcome_of, w.processes)),
    "a waiter is told of an expiry": lambda w: any(
        process.place == Told(TASK_EXPIRED) for process in w.processes
    ),
    "somebody has died": lambda w: w.crashes == 0,
    "somebody did not hear the answer": lambda w: any(p.unheard for p in w.processes),
    "a sleeper is called": lambda w: any(process.mood == CALLED for process in w.processes),
    "a deadline has passed, and nobody has looked": lambda w: is_due(w.state),
}
