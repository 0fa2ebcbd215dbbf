"""Histories of the explorer as programs for any queue: with milliseconds, and incarnations that never come back."""

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from worq_model import operations as ops
from worq_model.deadlines import NextDeadline
from worq_model.operations import Operation
from worq_model.programs import Tick, inc
from worq_model.queue import pass_time, step
from worq_model.values import EMPTY, Token, find

PARTS = 4
"""Into so many parts the time to the next deadline is divided when a moment is needed that comes before it."""


def concrete(labels: Iterable[Operation | NextDeadline]) -> Iterator[tuple[Operation | Tick, ...]]:
    """For each step of a history what is to be done: an operation, time that passes, or time and then the operation."""
    run = _Run()
    for label in labels:
        yield run.tick() if isinstance(label, NextDeadline) else run.do(label)


class _Run:
    """The history as it goes in the model, with a clock."""

    def __init__(self) -> None:
        self._state = EMPTY
        self._now_ms = 0
        self._incarnations = 0
        self._names: dict[Hashable, bytes] = {}  # in the history → in the program

    def tick(self) -> tuple[Tick]:
        return (self._pass(self._left_ms()),)

    def do(self, label: Operation) -> tuple[Operation | Tick, ...]:
        """The operation; first a little time, if it would else set a deadline that another task has already."""
        if isinstance(label, ops.Submit | ops.Defer):
            self._name(label)
        operation = _renamed(label, self._names)
        state = step(self._state, operation, now_ms=self._now_ms).state
        deadlines = [t.deadline_ms for t in state.tasks if t.deadline_ms is not None]
        waits: tuple[Tick, ...] = ()
        if len(deadlines) > len(set(deadlines)):
            waits = (self._pass(self._left_ms() // PARTS),)
        self._state = step(self._state, operation, now_ms=self._now_ms).state
        return *waits, operation

    def _left_ms(self) -> int:
        """How long until the next deadline, which is there."""
        deadlines = [t.deadline_ms for t in self._state.tasks if t.deadline_ms is not None]
        return min(deadline - self._now_ms for deadline in deadlines if deadline > self._now_ms)

    def _pass(self, ms: int) -> Tick:
        if ms == 0:
            raise ValueError("no moment is left before the next deadline: make times longer")
        self._now_ms += ms
        return Tick(ms)

    def _name(self, label: ops.Submit | ops.Defer) -> None:
        """A new incarnation gets a new name, unless it is that of the task that is there."""
        there = find(pass_time(self._state, self._now_ms)[0], label.id)
        if there is None or there.incarnation != self._names.get(label.incarnation):
            self._incarnations += 1
            self._names[label.incarnation] = inc(self._incarnations)


def _renamed(operation: Operation, names: dict[Hashable, bytes]) -> Operation:
    """The operation with other names for incarnations; one that has none keeps its own."""
    changes: dict[str, Any] = {}
    for field in operation._fields:
        value = getattr(operation, field)
        if field in ("incarnation", "deferred_incarnation"):
            changes[field] = names.get(value, value)
        elif isinstance(value, Token):
            changes[field] = Token(names.get(value.incarnation, value.incarnation), value.start)
        elif field == "args" and isinstance(operation, ops.Submit):
            changes[field] = tuple((key, names.get(made, made)) for key, made in operation.args)
    return operation._replace(**changes)
