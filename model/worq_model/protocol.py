"""Clients beside a queue, one operation at a time, in every order; one may die and one reply be lost between any two.

Whoever has to wait sleeps until it is woken, as SPEC.md says in section 7. The look that a sleeper
takes after 5 s at most is left out: nobody needs it, but for the wake-up of one who died before it
had looked; here the next sleeper gets that one.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from worq_model import operations as ops
from worq_model.clients import Role, Running, Told, Waiter, result_of
from worq_model.deadlines import NextDeadline, is_due, later, ranked
from worq_model.graph import System
from worq_model.invariants import INVARIANTS
from worq_model.ledger import Ledger, observe
from worq_model.operations import Operation, Reply, Submitted
from worq_model.queue import pass_time, step
from worq_model.values import COMPLETED, EMPTY, Outcome, State, find

AWAKE = "awake"
ASLEEP = "asleep"
CALLED = "called"  # woken, and has not looked yet
DEAD = "dead"
LOST = "lost"  # died while called, and its wake-up with it


class Process(NamedTuple):
    """One client: where it is, whether it sleeps, and the operation whose answer it has not heard, if there is one."""

    place: Hashable
    mood: str = AWAKE
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
        return world.state == EMPTY and all(map(self._is_at_rest, self.roles, world.processes))

    def _is_at_rest(self, role: Role, process: Process) -> bool:
        if not process.is_alive:
            return True
        return process.place == role.start if role.serves else not role.may_do(process.place)

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
            if world.crashes and self._can_die(world, number):
                yield self._dies(world, number)
        passed = later(world.state)
        if passed is not None:
            yield Event("time", NextDeadline()), world._replace(state=passed)
        yield from self._alarm(world)

    def _acts(self, world: World, number: int) -> Iterator[tuple[Event, World]]:
        role, process = self.roles[number], world.processes[number]
        if role.knows is not None and role.knows not in world.accepted:
            return
        if process.unheard is None:
            for operation in role.may_do(process.place):
                yield from self._does(world, number, operation)
        elif not self.rules.answers_again:
            yield from self._does(world, number, process.unheard[0])
        else:
            operation, reply = process.unheard
            place = role.answered(process.place, operation, reply)
            heard = _put(world, number, Process(place))
            yield Event(role.name, "is answered again", reply), heard

    def _does(
        self, world: World, number: int, operation: Operation
    ) -> Iterator[tuple[Event, World]]:
        """The operation as it should be, and, while one may be lost, with the reply lost."""
        role, process = self.roles[number], world.processes[number]
        after, reply = _apply(world, operation)
        if reply is None and isinstance(operation, ops.Claim | ops.Pop):
            asleep = _put(after, number, process._replace(mood=ASLEEP, unheard=None))
            yield Event(role.name, operation, "sleeps"), self._woken(asleep)
            return
        place = role.answered(process.place, operation, reply)
        yield Event(role.name, operation, reply), self._woken(_put(after, number, Process(place)))
        if world.losses:
            waits = Process(process.place, AWAKE, (operation, reply))
            lost = _put(after, number, waits)._replace(losses=world.losses - 1)
            yield Event(role.name, operation, "is lost"), self._woken(lost)

    def _can_die(self, world: World, number: int) -> bool:
        role, process = self.roles[number], world.processes[number]
        return process.is_alive and bool(role.may_do(process.place))

    def _dies(self, world: World, number: int) -> tuple[Event, World]:
        process = world.processes[number]
        is_lost = process.mood == CALLED and not self.rules.wakes_the_next
        dead = _put(world, number, process._replace(mood=LOST if is_lost else DEAD))
        return Event(self.roles[number].name, "dies"), self._woken(
            dead._replace(crashes=world.crashes - 1)
        )

    # Waking

    def _alarm(self, world: World) -> Iterator[tuple[Event, World]]:
        """One of those who sleep wakes at a deadline, and applies it for all."""
        asleep = [n for n, process in enumerate(world.processes) if process.mood == ASLEEP]
        if asleep and _rings(world.state, for_leases=self.rules.alarm_for_leases):
            after, reply = _apply(world, ops.Size())
            yield Event(self.roles[asleep[0]].name, "wakes at the deadline"), self._woken(after)

    def _woken(self, world: World) -> World:
        """One sleeping worker is called for each ready task, and each waiter that has an answer to get."""
        called = [p.mood in (CALLED, LOST) and p.place is None for p in world.processes]
        ...


def _of_state(holds: Callable[[State], bool]) -> Callable[[World], bool]:
    return lambda world: holds(world.state)
