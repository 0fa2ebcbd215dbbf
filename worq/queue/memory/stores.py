"""The stores of this process: who shares one, for how long, and what a fork does to them."""

from __future__ import annotations

import os
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING
from weakref import WeakSet

from worq.clock import MonotonicClock
from worq.queue.memory.guard import Guard
from worq.queue.memory.tasks import Tasks
from worq.queue.memory.waiting import Opens, Waiter, Waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worq.clock import Clock
    from worq.queue.memory.taskqueue import TaskQueue
    from worq.queue.memory.tasks import Record

TIDIED_AT_ONCE = 2


class Store:
    """One queue: its tasks and those who wait, behind one guard, on one clock."""

    def __init__(self, clock: Clock | None) -> None:
        self.clock: Clock = MonotonicClock() if clock is None else clock
        self.queues: WeakSet[TaskQueue] = WeakSet()
        self._flows = isinstance(self.clock, MonotonicClock)
        self._empty()
        self._unsubscribe = self.clock.subscribe(self._clock_advanced)

    def _empty(self) -> None:
        self.guard: Guard = Guard()
        self.waiting: Waiting = Waiting(self.guard, flows=self._flows)
        self.tasks: Tasks = Tasks(self.waiting.tell)

    # Behind the guard, until `settle`.

    def look(self) -> None:
        """Begin an operation: its time, and the deadlines that have passed by then."""
        self.tasks.begin(self.clock.now_ms())

    def settle(self) -> None:
        """Wake whoever has something to do after an operation."""
        if self.waiting:
            self.waiting.settle(self.tasks.ready, self.tasks.next_deadline_ms())

    def waiter(self, owner: TaskQueue, records: Sequence[Record], timeout_ms: int | None) -> Waiter:
        """Make a waiting call that begins now."""
        limit_ms = None
        if timeout_ms is not None:
            # Of the present millisecond of a clock that flows a part is gone, so it does not
            # count: or the wait would end before its timeout. [ENV-WAIT-2]
            limit_ms = self.tasks.now_ms + timeout_ms + int(self._flows)
        return Waiter(self.guard.gate(), owner, records, limit_ms)

    def is_over(self, waiter: Waiter) -> bool:
        """Whether its timeout has passed."""
        return waiter.limit_ms is not None and waiter.limit_ms <= self.tasks.now_ms

    def sleep(self, waiter: Waiter) -> None:
        """Settle and let go of the lock, until there may be something to see."""
        tasks = self.tasks
        self.waiting.sleep(waiter, tasks.now_ms, tasks.ready, tasks.next_deadline_ms())

    def enter(self, waiter: Waiter, gate: Opens) -> None:
        """Sleep elsewhere than in this thread: it does not let go of the lock."""
        tasks = self.tasks
        self.waiting.enter(waiter, gate, tasks.now_ms, tasks.ready, tasks.next_deadline_ms())

    # Outside it.

    def runs_on(self, clock: Clock) -> bool:
        """Whether it is this clock; all monotonic ones are the same."""
        return self.clock is clock or (self._flows and isinstance(clock, MonotonicClock))

    def is_needed(self) -> bool:
        """Whether a queue object is open, or a task there. [ENV-API-8]"""
        return bool(self.queues) or self.guard.run(self._has_tasks)

    def _has_tasks(self) -> bool:
        self.look()
        return bool(self.tasks)

    def let_go(self) -> None:
        """Leave the clock."""
        self._unsubscribe()

    def disown(self) -> None:
        """Belong to a forked child: empty, every queue object closed, a lock that nobody holds."""
        self._empty()
        for queue in self.queues:
            queue.disown()

    def _clock_advanced(self) -> None:
        """Apply the deadlines in the thread that advances the clock. [ENV-WAIT-8]"""
        self.guard.run(self._catch_up)

    def _catch_up(self) -> None:
        self.look()
        self.waiting.wake_overdue(self.tasks.now_ms)
        self.settle()


class Stores:
    """The stores of this process, by (URL, name), each for as long as it is needed. [ENV-API-8]

    A queue object that is dropped without `close` counts as closed; no task is lost by it.
    """

    def __init__(self) -> None:
        self._guard = Guard()
        self._stores: OrderedDict[tuple[str, str], Store] = OrderedDict()

    def held(self) -> list[tuple[str, str]]:
        """The (URL, name) of each store that is needed."""
        return self._guard.run(self._held)

    def _held(self) -> list[tuple[str, str]]:
        self._tidy(len(self._stores))
        return list(self._stores)

    def open(self, queue: TaskQueue) -> Store:
        """The store of a queue object. If it must be made, it runs on that object's clock."""
        return self._guard.run(self._open, queue)

    def _open(self, queue: TaskQueue) -> Store:
        key = queue.url, queue.name
        self._tidy(TIDIED_AT_ONCE)
        self._free_unless_needed(key)
        store = self._stores.get(key)
        if store is None:
            store = self._stores[key] = Store(queue.clock)
        elif queue.clock is not None and not store.runs_on(queue.clock):
            raise ValueError(f"clock: {queue!r} runs on another one than {queue.clock!r}")
        store.queues.add(queue)
        return store

    def close(self, queue: TaskQueue, store: Store) -> None:
        """Count a queue object as closed."""
        self._guard.run(self._close, queue, store)

    def _close(self, queue: TaskQueue, store: Store) -> None:
        store.queues.discard(queue)
        self._free_unless_needed((queue.url, queue.name))

    def disown(self) -> None:
        """Begin anew in a forked child, which shares nothing with its parent.

        What it inherited may be half done, and locked by a thread that is not there any more.
        """
        stores, self._stores = self._stores, OrderedDict()
        self._guard = Guard()
        for store in stores.values():
            store.disown()

    def _tidy(self, count: int) -> None:
        """Free what deadlines emptied after its last queue object was closed; some at each turn."""
        for key in list(islice(self._stores, count)):
            self._stores.move_to_end(key)
            self._free_unless_needed(key)

    def _free_unless_needed(self, key: tuple[str, str]) -> None:
        store = self._stores.get(key)
        if store is not None and not store.is_needed():
            store.let_go()
            del self._stores[key]


STORES = Stores()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=STORES.disown)
