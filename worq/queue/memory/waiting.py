"""Those who wait on one queue, and who is woken for what. Source: SPEC.md, section 7."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worq.queue.memory.guard import Guard
    from worq.queue.memory.tasks import Record

WAIT_MS_MAX = 5_000


class Opens(Protocol):
    """Where one call sleeps, in a thread or in an event loop."""

    def open(self) -> None:
        """Let it go on. Idempotent; under the lock of what it waits for, in any thread."""


@dataclass(slots=True, eq=False)
class Waiter:
    """One waiting call: of whom, for which tasks (none: any that is ready), and until when.

    `called` says that a ready task has woken it and that it has not looked since.
    """

    gate: Opens
    owner: object
    records: Sequence[Record]
    limit_ms: int | None
    until_ms: int = 0
    called: bool = False


class Waiting:
    """Who sleeps on one queue. Every method is called behind the queue's guard.

    On a clock that flows, one of those who sleep keeps watch: it wakes at the queue's next
    deadline, for all. Any other clock is advanced by somebody, who does that in its stead.
    """

    def __init__(self, guard: Guard, *, flows: bool) -> None:
        self._guard = guard
        self._flows = flows
        self._sleepers: dict[Waiter, None] = {}  # in the order in which they came, as all here
        self._claims: OrderedDict[Waiter, None] = OrderedDict()  # not called, longest first
        self._pops: dict[Record, dict[Waiter, None]] = {}
        self._called = 0
        self._watch: Waiter | None = None

    def __bool__(self) -> bool:
        return bool(self._sleepers)

    def sleep(self, waiter: Waiter, now_ms: int, ready: int, deadline_ms: int | None) -> None:
        """Release the lock until woken, or until one of the times that `_plan` says."""
        try:
            gate = self._guard.gate()  # whatever opened the last one is seen by now
            self.enter(waiter, gate, now_ms, ready, deadline_ms)
            self._guard.wait(gate, (waiter.until_ms - now_ms) / 1000)
        finally:  # whatever woke it, an exception in this thread too
            self.leave(waiter)

    def enter(
        self, waiter: Waiter, gate: Opens, now_ms: int, ready: int, deadline_ms: int | None
    ) -> None:
        """Count as one who sleeps, until `until_ms` at most; until `leave`, whatever happens."""
        waiter.gate = gate
        self._join(waiter)
        self._plan(waiter, now_ms, deadline_ms)
        self.settle(ready, deadline_ms)

    def tell(self, record: Record) -> None:
        """Wake all who wait for this task. [ENV-WAIT-5]"""
        for waiter in self._pops.get(record, ()):
            waiter.gate.open()

    def wake_owned_by(self, owner: object) -> None:
        """Wake all who wait on one queue object."""
        for waiter in self._sleepers:
            if waiter.owner is owner:
                waiter.gate.open()

    def wake_overdue(self, now_ms: int) -> None:
        """Wake all whose limit has passed."""
        for waiter in self._sleepers:
            if waiter.limit_ms is not None and waiter.limit_ms <= now_ms:
                waiter.gate.open()

    def settle(self, ready: int, deadline_ms: int | None) -> None:
        """Wake who has something to do: a claim for each ready task, and the watch.

        Called before the lock is released. A claim that was woken and found nothing, or ended for
        another reason, is counted no more, so what it was woken for wakes the next. [ENV-WAIT-6]
        """
        while self._called < ready and self._claims:
            waiter = self._next_claim()
            waiter.called = True
            self._called += 1
            waiter.gate.open()
        if deadline_ms is None or not self._flows or not self._sleepers:
            return
        if self._watch is None:
            self._watch = next(iter(self._sleepers))
        if deadline_ms < self._watch.until_ms:  # it sleeps too long: let it plan again
            self._watch.until_ms = deadline_ms
            self._watch.gate.open()

    def _plan(self, waiter: Waiter, now_ms: int, deadline_ms: int | None) -> None:
        """Set when it wakes by itself: its limit, for the watch the next deadline, 5 s at most."""
        waiter.until_ms = now_ms + WAIT_MS_MAX
        if not self._flows:
            return
        if waiter.limit_ms is not None:
            waiter.until_ms = min(waiter.until_ms, waiter.limit_ms)
        if self._watch is None:
            self._watch = waiter
            if deadline_ms is not None:
                waiter.until_ms = min(waiter.until_ms, deadline_ms)

    def _next_claim(self) -> Waiter:
        """The claim that waits longest; the watch is spared, so that nobody need take over."""
        waiter, _ = self._claims.popitem(last=False)
        if waiter is self._watch and self._claims:
            self._claims[waiter] = None
            waiter, _ = self._claims.popitem(last=False)
        return waiter

    def _join(self, waiter: Waiter) -> None:
        self._sleepers[waiter] = None
        if not waiter.records:
            self._claims[waiter] = None
        for record in waiter.records:
            self._pops.setdefault(record, {})[waiter] = None

    def leave(self, waiter: Waiter) -> None:
        """The end of `enter`, whatever woke it."""
        self._sleepers.pop(waiter, None)
        if self._watch is waiter:
            self._watch = None
        if waiter.called:
            waiter.called = False
            self._called -= 1
        elif not waiter.records:
            self._claims.pop(waiter, None)
        for record in waiter.records:
            waiters = self._pops.get(record, {})
            waiters.pop(waiter, None)
            if not waiters:
                self._pops.pop(record, None)
