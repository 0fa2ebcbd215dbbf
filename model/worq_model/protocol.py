"""Clients beside a queue, one operation at a time, in every order; one may die and one reply be lost between any two.

Whoever has to wait sleeps until it is woken, as SPEC.md says in section 7. The look that a sleeper
takes after 5 s at most is left out: nobody needs it, but for the wake-up of one who died before it
had looked; here the next sleeper gets that one.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from worq_model import operations as ops
from worq_model.clients import Role, Running, Told, Waiter, result_of
from worq_model.deadlines import NextDeadline, has_deadline_ahead, is_due, later, ranked
from worq_model.graph import System
from worq_model.invariants import INVARIANTS
from worq_model.ledger import Ledger, observe
from worq_model.operations import Operation, Reply, Submitted
from worq_model.queue import pass_time, step
from worq_model.values import COMPLETED, EMPTY, TASK_EXPIRED, Outcome, State, find

AWAKE = "awake"
ASLEEP = "asleep"
CALLED = "called"  # woken, and has not looked yet
DEAD = "dead"
LOST = "lost"  # died while called, and its wake-up with it

NEVER_MS = -1_000_000
"""A time at which no deadline has passed."""


class Process(NamedTuple):
    """One client: where it is, whether it sleeps and in which operation, and that whose answer it has not heard."""

    place: Hashable
    mood: str = AWAKE
    waits: Operation | None = None
    unheard: tuple[Operation, Reply] | None = None

    @property
    def is_alive(self) -> bool:
        return self.mood not in (DEAD, LOST)


class World(NamedTuple):
    """A queue, its clients, how many may still die, and how many replies may still be lost.

    `accepted`: the incarnations that were, in no order; `popped`: how many outcomes were taken out.
    """

    state: State
    processes: tuple[Process, ...]
    crashes: int
    losses: int
    accepted: frozenset[Hashable] = frozenset()
    popped: int = 0
    ledger: Ledger = Ledger()


class Event(NamedTuple):
    """A step: who did what, and the answer; of what is no operation, what happened."""

    who: str
    what: Operation | NextDeadline | str
    reply: Reply = None


class Rules(NamedTuple):
    """What SPEC.md promises to clients. Each can be taken away, to see what it is for.

    An answer that was lost is given again [ENV-RETRY-1]; those who sleep apply a deadline as soon as it
    passes [ENV-WAIT-4]; a wake-up that was lost with its client goes to the next [ENV-WAIT-3].
    """

    answers_again: bool = True
    alarm_for_leases: bool = True
    wakes_the_next: bool = True


@dataclass(frozen=True)
class Protocol:
    """The clients of one queue; `results`: message → what the task returns when it is run as it was submitted."""

    roles: tuple[Role, ...]
    results: Mapping[bytes, bytes]
    rules: Rules = Rules()
    crashes: int = 1
    losses: int = 1

    def system(self) -> System[World, Event]:
        processes = tuple(Process(role.start) for role in self.roles)
        return System(
            World(EMPTY, processes, self.crashes, self.losses),
            self._steps,
            self._canon,
            always={**{n: _of_state(holds) for n, holds in INVARIANTS.items()}, **self._always},
            sometimes=SOMETIMES,
            eventually={"all clients are done, and nothing is left": self._is_settled},
            possible={"all clients can still get done, and nothing be left": self._is_settled},
        )

    def under(self, rules: Rules) -> "Protocol":
        return replace(self, rules=rules)

    # Claims

    @property
    def _always(self) -> dict[str, Callable[[World], bool]]:
        return {
            "the ledger has no fault": lambda world: world.ledger.fault is None,
            "a task is run with all its arguments": self._runs_are_complete,
            "a waiter gets no other task's result": self._results_reach_their_waiters,
            "an outcome has one consumer, who gets it": _outcomes_are_in_one_hand,
        }

    def _runs_are_complete(self, world: World) -> bool:
        for process in world.processes:
            run = process.place
            if isinstance(run, Running) and run.arguments is not None:
                message = run.claim.message
                if result_of(message, run.arguments) != self.results[message]:
                    return False
        return True

    def _results_reach_their_waiters(self, world: World) -> bool:
        for role, process in zip(self.roles, world.processes, strict=True):
            told = process.place
            if isinstance(role, Waiter) and isinstance(told, Told):
                if isinstance(told.reply, Outcome) and told.reply.message != role.expects:
                    return False
        return True

    def _is_settled(self, world: World) -> bool:
        return world.state == EMPTY and all(
            self._is_at_rest(world, number) for number in range(len(self.roles))
        )

    def _is_at_rest(self, world: World, number: int) -> bool:
        role, process = self.roles[number], world.processes[number]
        if not process.is_alive or not self._has_begun(world, number):
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
            frozenset(Counter(world.processes[number] for number in numbers).items())
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
            if process.mood in (AWAKE, CALLED):
                yield from self._acts(world, number)
            if self._can_die(world, number):
                yield self._dies(world, number)
        if has_deadline_ahead(world.state):
            yield Event("time", NextDeadline()), world._replace(state=later(world.state))
        yield from self._alarm(world)

    def _acts(self, world: World, number: int) -> Iterator[tuple[Event, World]]:
        role, process = self.roles[number], world.processes[number]
        if not self._has_begun(world, number):
            return
        if process.waits is not None:
            yield from self._does(world, number, process.waits)
        elif process.unheard is None:
            for operation in role.may_do(process.place):
                yield from self._does(world, number, operation)
        elif self.rules.answers_again:
            place = role.answered(process.place, *process.unheard)
            heard = _put(world, number, Process(place))
            yield Event(role.name, "is answered again", process.unheard[1]), heard
        else:
            yield from self._does(world, number, process.unheard[0])

    def _does(
        self, world: World, number: int, operation: Operation
    ) -> Iterator[tuple[Event, World]]:
        """The operation as it ought to go, and, while a reply may be lost, without it."""
        role, process = self.roles[number], world.processes[number]
        after, reply = _apply(world, operation)
        if reply is None and isinstance(operation, ops.Claim | ops.Pop):
            asleep = Process(process.place, ASLEEP, _as_first_seen(after.state, operation))
            yield Event(role.name, operation, "sleeps"), self._woken(_put(after, number, asleep))
            return
        place = role.answered(process.place, operation, reply)
        yield Event(role.name, operation, reply), self._woken(_put(after, number, Process(place)))
        if world.losses:
            deaf = Process(process.place, unheard=(operation, reply))
            lost = _put(after, number, deaf)._replace(losses=world.losses - 1)
            yield Event(role.name, operation, "is lost"), self._woken(lost)

    def _can_die(self, world: World, number: int) -> bool:
        role, process = self.roles[number], world.processes[number]
        is_at_work = bool(role.may_do(process.place)) and self._has_begun(world, number)
        return bool(world.crashes) and process.is_alive and is_at_work

    def _dies(self, world: World, number: int) -> tuple[Event, World]:
        process = world.processes[number]
        is_lost = process.mood == CALLED and not self.rules.wakes_the_next
        dead = _put(world, number, process._replace(mood=LOST if is_lost else DEAD))
        dead = dead._replace(crashes=world.crashes - 1)
        return Event(self.roles[number].name, "dies"), self._woken(dead)

    # Waking

    def _alarm(self, world: World) -> Iterator[tuple[Event, World]]:
        """One of those who sleep wakes at a deadline, and applies it for all."""
        asleep = [n for n, process in enumerate(world.processes) if process.mood == ASLEEP]
        if asleep and _rings(world.state, for_leases=self.rules.alarm_for_leases):
            after, _ = _apply(world, ops.Size())
            yield Event(self.roles[asleep[0]].name, "wakes at the deadline"), self._woken(after)

    def _woken(self, world: World) -> World:
        """One sleeping worker is called for each ready task, and each waiter that has an answer to get."""
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


def _put(world: World, number: int, process: Process) -> World:
    processes = world.processes
    return world._replace(processes=(*processes[:number], process, *processes[number + 1 :]))


def _apply(world: World, operation: Operation) -> tuple[World, Reply]:
    """An operation, after the deadlines that are due; what time does and what the operation does are accounted for apart."""
    swept, ledger = world.state, world.ledger
    if is_due(swept):
        swept = ranked(pass_time(swept, 0)[0])
        ledger = observe(ledger, world.state, ops.Size(), None, swept)
    done = step(swept, operation, now_ms=0)
    after, reply = ranked(done.state), done.reply
    accepted = world.accepted
    if isinstance(operation, ops.Submit | ops.Defer) and reply in (True, Submitted("accepted")):
        accepted |= {operation.incarnation}
    popped = world.popped + (isinstance(operation, ops.Pop) and isinstance(reply, Outcome))
    ledger = observe(ledger, swept, operation, reply, after)
    world = world._replace(state=after, accepted=accepted, popped=popped, ledger=ledger)
    return world, reply


def _as_first_seen(state: State, operation: Operation) -> Operation:
    """A pop without a token waits for the incarnation that it first saw. [ENV-WAIT-5]"""
    if not isinstance(operation, ops.Pop):
        return operation
    task = find(state, operation.id, operation.incarnation)
    assert task is not None
    return operation._replace(incarnation=task.incarnation)


def _has_answer(state: State, operation: Operation | None) -> bool:
    """Whether a pop would be answered now, deadlines aside. [ENV-WAIT-5]"""
    assert isinstance(operation, ops.Pop)
    return step(state, operation, now_ms=NEVER_MS).reply is not None


def _rings(state: State, *, for_leases: bool) -> bool:
    if for_leases:
        return is_due(state)
    kept = tuple(task for task in state.tasks if task.state == COMPLETED)
    return is_due(State(kept))


def _of_state(holds: Callable[[State], bool]) -> Callable[[World], bool]:
    return lambda world: holds(world.state)


def _outcomes_are_in_one_hand(world: World) -> bool:
    """As many outcomes as were taken out are with clients, or on their way to one."""
    return world.popped == sum(_outcome_of(process) is not None for process in world.processes)


def _outcome_of(process: Process) -> Outcome | None:
    place, unheard = process.place, process.unheard
    if isinstance(place, Told) and isinstance(place.reply, Outcome):
        return place.reply
    if unheard is not None and isinstance(unheard[0], ops.Pop) and isinstance(unheard[1], Outcome):
        return unheard[1]
    return None


SOMETIMES: dict[str, Callable[[World], bool]] = {
    "a waiter gets a result": lambda world: any(map(_outcome_of, world.processes)),
    "a waiter is told of an expiry": lambda world: _some_told(world, TASK_EXPIRED),
    "somebody has died": lambda world: world.crashes == 0,
    "somebody did not hear the answer": lambda world: any(p.unheard for p in world.processes),
    "a sleeper is called": lambda world: any(p.mood == CALLED for p in world.processes),
    "nobody has called yet when a deadline is due": lambda world: is_due(world.state),
}


def _some_told(world: World, reply: Reply) -> bool:
    return any(process.place == Told(reply) for process in world.processes)
