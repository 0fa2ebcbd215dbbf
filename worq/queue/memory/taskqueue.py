"""The operations of a memory queue: the lock, a look at the clock, and then the rules."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, ParamSpec, TypeVar

from worq import bulk
from worq.backend import AbstractTaskQueue, Ending, Entry, Ticket
from worq.const import DEFAULT, MESSAGE_BYTES_MAX, TASK_EXPIRED, Sentinel, State
from worq.errors import QueueClosed
from worq.queue.memory.stores import STORES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from worq.asynchronous import AsyncQueue
    from worq.clock import Clock
    from worq.queue.memory.stores import Store
    from worq.queue.memory.tasks import Record
    from worq.values import Claim, Finished, Outcome, Submitted, Token

OPERATIONS_MAX: Final = 100
"""So many of a bulk under one hold of the lock, then others have their turn."""
URL = re.compile(r"memory://[\w.-]*")

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class TaskQueue(AbstractTaskQueue):
    """A queue in this process, shared by all of the same name and URL: `memory://`, `memory://db`.

    It lives until the last of them is closed and it holds no task. [ENV-API-8] A forked child
    shares nothing: what it inherited is closed there, and what it opens is empty.
    """

    process_local = True

    def __init__(
        self,
        url: str,
        name: str = DEFAULT,
        *,
        clock: Clock | None = None,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
    ) -> None:
        """`clock`: None for the one that the queue runs on; ValueError if it runs on another."""
        super().__init__(url, name, clock=clock, message_bytes_max=message_bytes_max)
        if URL.fullmatch(url) is None:
            raise ValueError(f"url: memory:// or memory://name is needed, not {url!r}")
        self._closed = ""
        self._store = STORES.open(self)

    def close(self) -> None:
        """Unblock whoever waits on this object. Idempotent. [ENV-WAIT-7]"""
        if not self._store.guard.run(self._end):
            return
        STORES.close(self, self._store)

    def _end(self) -> bool:
        if self._closed:
            return False
        self._closed = f"{self!r} is closed"
        self._store.waiting.wake_owned_by(self)
        return True

    def disown(self) -> None:
        """Belong to a forked child, where this object can't reach what its parent does."""
        self._closed = self._closed or f"{self!r} was opened before the fork: open it in the child"

    def asynchronous(self) -> AsyncQueue:
        """The same queue for one event loop. [ENV-AIO-4]"""
        from worq.queue.memory.aio import MemoryQueue  # noqa: PLC0415 - asyncio is slow to import

        return MemoryQueue(TaskQueue(self.url, self.name, clock=self.clock))

    def apply(self, act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As one operation."""
        return self._apply(act, *args, **kwargs)

    @property
    def store(self) -> Store:
        return self._store

    def _apply(self, act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """One operation, as `_operate` does it: one at a time."""
        return self._store.guard.run(self._operate, act, *args, **kwargs)  # type: ignore[arg-type]  # its R is this one

    def _operate(self, act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Deadlines first [TIM-2], then what it does, then whom it concerns."""
        self._look()
        try:
            return act(*args, **kwargs)
        finally:
            self._store.settle()

    def _look(self) -> None:
        if self._closed:
            raise QueueClosed(self._closed)
        self._store.look()

    def _wait(
        self, timeout_ms: int | None, look: Callable[[], R], records: Sequence[Record]
    ) -> R | None:
        """What `look` finds, as soon as it finds something; None when the timeout passes first.

        Woken when something becomes of a task of `records`; without any, when a task is ready.
        """
        answer = look()
        if answer is not None or timeout_ms == 0:
            return answer
        store = self._store
        waiter = store.waiter(self, records, timeout_ms)
        while answer is None and not store.is_over(waiter):
            store.sleep(waiter)
            self._look()
            answer = look()
        return answer

    def _claim(self, timeout_ms: int | None) -> Claim | None:
        return self._apply(self._wait, timeout_ms, self._store.tasks.claim, ())

    def _await_ready(self, timeout_ms: int | None) -> bool:
        # It leaves without a claim, so what it was woken for wakes the next.
        return self._apply(self._wait, timeout_ms, self._store.tasks.is_ready, ()) is not None

    def _pop(
        self, task_id: str, timeout_ms: int | None, incarnation: bytes | None
    ) -> Outcome | Sentinel | None:
        return self._apply(self._pop_found, task_id, timeout_ms, incarnation)

    def _pop_found(
        self, task_id: str, timeout_ms: int | None, incarnation: bytes | None
    ) -> Outcome | Sentinel | None:
        tasks = self._store.tasks
        record = tasks.find(task_id, incarnation)
        if record is None:
            return TASK_EXPIRED
        # However long it waits, it is for this incarnation. [ENV-WAIT-5]
        return self._wait(timeout_ms, partial(tasks.pop, record), (record,))

    def _submit(
        self,
        task: Ticket,
        message: bytes,
        args: Mapping[str, bytes | None],
        outcome: Outcome | None,
    ) -> Submitted:
        return self._apply(self._store.tasks.submit, task, message, args, outcome)

    def _finish(
        self, task_id: str, outcome: Outcome, retention_ms: int | None, token: Token | None
    ) -> Finished:
        return self._apply(self._store.tasks.finish, task_id, outcome, retention_ms, token)

    def _heartbeat(self, task_id: str, lease_ms: int, token: Token | None) -> bool:
        return self._apply(self._store.tasks.heartbeat, task_id, lease_ms, token)

    def _release(self, task_id: str, token: Token | None) -> bool:
        return self._apply(self._store.tasks.release, task_id, token)

    def _discard(self, task_id: str, incarnation: bytes | None) -> bool:
        return self._apply(self._store.tasks.discard, task_id, incarnation)

    def _purge(self) -> int:
        return self._apply(self._store.tasks.purge)

    def _size(self) -> int:
        return self._apply(self._store.tasks.size)

    def _status(self, task_id: str, incarnation: bytes | None) -> State | None:
        return self._apply(self._store.tasks.status, task_id, incarnation)

    def _defer(self, task: Ticket, message: bytes, args: frozenset[str]) -> bool:
        return self._apply(self._store.tasks.defer, task, message, args)

    def _reserve_argument(
        self,
        argument_id: str,
        deferred_id: str,
        incarnation: bytes | None,
        deferred_incarnation: bytes | None,
    ) -> tuple[bool, bytes | None]:
        reserve = self._store.tasks.reserve_argument
        return self._apply(reserve, argument_id, deferred_id, incarnation, deferred_incarnation)

    def _set_argument(
        self, task_id: str, argument_id: str, message: bytes, incarnation: bytes | None
    ) -> bool:
        supply = self._store.tasks.set_argument
        return self._apply(supply, task_id, argument_id, message, incarnation)

    def _get_arguments(
        self, task_id: str, token: Token | None
    ) -> dict[str, bytes | Literal[Sentinel.TASK_EXPIRED]]:
        return self._apply(self._store.tasks.get_arguments, task_id, token)

    # Many at once

    def _submit_many(self, entries: Sequence[Entry]) -> list[Submitted]:
        answers: list[Submitted] = []
        with bulk.saying_what_is_done(answers, len(entries)):
            while len(answers) < len(entries):
                answers += self._apply(self._submit_each, _next(entries, answers))
        return answers

    def _submit_each(self, entries: Sequence[Entry]) -> list[Submitted]:
        return [self._store.tasks.submit(*entry) for entry in entries]

    def _finish_many(
        self, endings: Sequence[Ending], claims: int
    ) -> tuple[list[Finished], list[Claim]]:
        answers: list[Finished] = []
        with bulk.saying_what_is_done(answers, len(endings)):
            while True:
                some = _next(endings, answers)
                is_last = len(answers) + len(some) == len(endings)
                ended, claimed = self._apply(self._finish_each, some, claims if is_last else 0)
                answers += ended
                if is_last:
                    return answers, claimed

    def _finish_each(
        self, endings: Sequence[Ending], claims: int
    ) -> tuple[list[Finished], list[Claim]]:
        tasks = self._store.tasks
        ended = [tasks.finish(*ending) for ending in endings]
        return ended, tasks.claim_many(min(claims, OPERATIONS_MAX))

    def _claim_many(self, limit: int, timeout_ms: int | None) -> list[Claim]:
        look = partial(self._claim_some, min(limit, OPERATIONS_MAX))
        return self._apply(self._wait, timeout_ms, look, ()) or []

    def _claim_some(self, limit: int) -> list[Claim] | None:
        return self._store.tasks.claim_many(limit) or None

    def _pop_many(
        self, tasks: Sequence[tuple[str, bytes | None]], timeout_ms: int | None
    ) -> list[Outcome | Sentinel | None]:
        answers: list[Outcome | Sentinel | None] = []
        records: list[Record | None] = []
        with bulk.saying_what_is_done(answers, len(tasks)):
            while len(answers) < len(tasks):
                some = self._apply(self._find_each, _next(tasks, answers), records)
                answers += some
        if timeout_ms == 0 or not tasks or any(answer is not None for answer in answers):
            return answers
        # All are there, and none has an answer. It waits for those. [ENV-WAIT-5]
        waited_for = [record for record in records if record is not None]
        look = partial(self._pop_some, waited_for)
        return self._apply(self._wait, timeout_ms, look, waited_for) or answers

    def _find_each(
        self, tasks: Sequence[tuple[str, bytes | None]], records: list[Record | None]
    ) -> list[Outcome | Sentinel | None]:
        found = [self._store.tasks.find(*task) for task in tasks]
        records += found
        return self._pop_each(found)

    def _pop_each(self, records: Sequence[Record | None]) -> list[Outcome | Sentinel | None]:
        pop = self._store.tasks.pop
        return [TASK_EXPIRED if record is None else pop(record) for record in records]

    def _pop_some(self, records: Sequence[Record]) -> list[Outcome | Sentinel | None] | None:
        answers = self._pop_each(records)
        return None if all(answer is None for answer in answers) else answers


def _next(items: Sequence[T], answers: Sequence[object]) -> Sequence[T]:
    return items[len(answers) : len(answers) + OPERATIONS_MAX]
