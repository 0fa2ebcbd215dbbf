# ruff: noqa: SLF001 (mistakes are planted inside)
"""Mistakes that only threads show, planted in the memory queue: each is a function that puts it there."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from worq.const import ENQUEUED, PENDING, PROCESSING, RESERVED, TASK_EXPIRED
from worq.queue.memory.stores import Store
from worq.queue.memory.taskqueue import TaskQueue
from worq.queue.memory.tasks import LOST, Record, Tasks
from worq.queue.memory.waiting import Waiter, Waiting
from worq.values import EXPIRED, Claim, Finished

Plant = Callable[[pytest.MonkeyPatch], None]
RACES: dict[str, Plant] = {}


def race(plant: Plant) -> Plant:
    RACES[plant.__name__.replace("_", " ")] = plant
    return plant


def tasks_of(queue: Any) -> Any:
    return queue._store.tasks


@race
def submit_without_the_lock(patch: pytest.MonkeyPatch) -> None:
    def submit(self: Any, *args: Any) -> Any:
        self._look()
        try:
            return tasks_of(self).submit(*args)
        finally:
            with self._store.guard.lock:
                self._store.settle()

    patch.setattr(TaskQueue, "_submit", submit)


@race
def check_and_insert_in_two_steps(patch: pytest.MonkeyPatch) -> None:
    original = TaskQueue._submit

    def insert(tasks: Any, ticket: Any, *args: Any) -> Any:
        tasks._records.pop(ticket.id, None)
        return tasks.submit(ticket, *args)

    def submit(self: Any, ticket: Any, *args: Any) -> Any:
        if self._status(ticket.id, None) is not None:
            return original(self, ticket, *args)
        return self._apply(partial(insert, tasks_of(self)), ticket, *args)

    patch.setattr(TaskQueue, "_submit", submit)


@race
def claim_in_two_steps(patch: pytest.MonkeyPatch) -> None:
    def take(tasks: Any, record: Record) -> Claim:
        tasks._ready.pop(record.id, None)
        record.state, record.start = PROCESSING, record.start + 1
        tasks._deadlines.set(record.id, tasks.now_ms + record.ticket.lease_ms)
        return Claim(record.id, record.token, record.message, dict(record.arguments))

    def claim(self: Any, timeout_ms: int | None) -> Any:
        tasks = tasks_of(self)
        first = partial(lambda: next(iter(tasks._ready.values()), None))
        record = self._apply(self._wait, timeout_ms, first, None)
        return None if record is None else self._apply(take, tasks, record)

    patch.setattr(TaskQueue, "_claim", claim)


@race
def pop_then_delete_by_id(patch: pytest.MonkeyPatch) -> None:
    def delete(tasks: Any, task_id: str) -> None:
        if task_id in tasks._records:
            tasks._remove(tasks._records[task_id])

    def pop(self: Any, task_id: str, timeout_ms: int | None, incarnation: Any) -> Any:
        tasks = tasks_of(self)

        def look() -> Any:
            record = tasks.find(task_id, incarnation)
            if record is None or record.ticket.ignore_result:
                return TASK_EXPIRED
            return RESERVED if record.dependent else record.outcome

        record = tasks.find(task_id, incarnation)
        found = self._apply(self._wait, 0 if record is None else timeout_ms, look, record)
        if found not in (None, RESERVED, TASK_EXPIRED):
            self._apply(delete, tasks, task_id)
        return found

    patch.setattr(TaskQueue, "_pop", pop)


@race
def finish_in_steps(patch: pytest.MonkeyPatch) -> None:
    def finish(self: Any, task_id: str, outcome: Any, retention_ms: Any, token: Any) -> Finished:
        tasks = tasks_of(self)
        record = self._apply(tasks._claimed, task_id, token)
        if record is None:
            return LOST
        dependent = record.dependent
        if tasks._records.get(task_id) is record:
            self._apply(tasks._end, record, outcome, retention_ms)
        return Finished(accepted=True, dependent_id=dependent.id if dependent else None)

    patch.setattr(TaskQueue, "_finish", finish)


@race
def discard_from_a_snapshot(patch: pytest.MonkeyPatch) -> None:
    def end(tasks: Any, task_id: str) -> bool:
        if task_id in tasks._records:
            tasks._end(tasks._records[task_id], EXPIRED, None)
        return True

    def discard(self: Any, task_id: str, incarnation: Any) -> bool:
        tasks = tasks_of(self)
        if self._apply(tasks.find, task_id, incarnation) is None:
            return False
        return bool(self._apply(end, tasks, task_id))

    patch.setattr(TaskQueue, "_discard", discard)


@race
def purge_one_by_one(patch: pytest.MonkeyPatch) -> None:
    def remove(tasks: Any, task_id: str) -> bool:
        record = tasks._records.get(task_id)
        if record is None or record.state not in (PENDING, ENQUEUED):
            return False
        tasks._remove(record)
        return True

    def purge(self: Any) -> int:
        tasks = tasks_of(self)
        ids = self._apply(lambda: [*tasks._pending, *tasks._ready])
        return sum(self._apply(remove, tasks, task_id) for task_id in ids)

    patch.setattr(TaskQueue, "_purge", purge)


@race
def reserve_outside_the_lock(patch: pytest.MonkeyPatch) -> None:
    def reserve(self: Any, *args: Any) -> Any:
        self._apply(lambda: None)
        return tasks_of(self).reserve_argument(*args)

    patch.setattr(TaskQueue, "_reserve_argument", reserve)


@race
def a_woken_claim_is_counted_for_ever(patch: pytest.MonkeyPatch) -> None:
    original = Waiting.leave

    def leave(self: Any, waiter: Waiter) -> None:
        called = self._called
        original(self, waiter)
        self._called = called

    patch.setattr(Waiting, "leave", leave)


@race
def one_pop_is_told(patch: pytest.MonkeyPatch) -> None:
    def tell(self: Any, record: Record) -> None:
        for waiter in list(self._pops.get(record, ()))[:1]:
            waiter.gate.open()

    patch.setattr(Waiting, "tell", tell)


@race
def whoever_leaves_still_watches(patch: pytest.MonkeyPatch) -> None:
    original = Waiting.leave

    def leave(self: Any, waiter: Waiter) -> None:
        watch = self._watch
        original(self, waiter)
        self._watch = watch

    patch.setattr(Waiting, "leave", leave)


@race
def an_earlier_deadline_wakes_nobody(patch: pytest.MonkeyPatch) -> None:
    original = Waiting.settle
    patch.setattr(Waiting, "settle", lambda self, ready, _deadline_ms: original(self, ready, None))


@race
def the_clock_wakes_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Store, "_clock_advanced", lambda self: None)


@race
def close_wakes_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Waiting, "wake_owned_by", lambda self, owner: None)


@race
def a_reservation_is_told_to_nobody(patch: pytest.MonkeyPatch) -> None:
    original = Tasks._reserve

    def reserve(self: Any, record: Record, argument: Record) -> Any:
        tell, self._tell = self._tell, lambda record: None
        try:
            return original(self, record, argument)
        finally:
            self._tell = tell

    patch.setattr(Tasks, "_reserve", reserve)
