"""A backend in one file: queues in this process, as simple as they get. docs/backends.md builds it step by step."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from worq.backend import AbstractTaskQueue, Ticket
from worq.clock import MonotonicClock
from worq.const import COMPLETED, ENQUEUED, PENDING, PROCESSING, RESERVED, TASK_EXPIRED
from worq.errors import QueueClosed
from worq.values import EXPIRED, Claim, Finished, Outcome, Submitted, Token

LOOK_AGAIN_S = 5  # [ENV-WAIT-3]


@dataclass
class Task:
    """One incarnation. `deadline_ms` is that of its lease or of its retention; `number` says which is older."""

    ticket: Ticket
    message: bytes
    number: int
    state: Any = PENDING
    start: int = 0
    missing: set[str] = field(default_factory=set)
    held: dict[str, Outcome] = field(default_factory=dict)
    reserved: dict[str, tuple[bytes, bytes | None]] = field(default_factory=dict)
    dependent: "Task | None" = None
    outcome: Outcome | None = None
    deadline_ms: float = float("inf")

    @property
    def token(self) -> Token:
        return Token(self.ticket.incarnation, self.start)


class Store:
    """What all queue objects of one name share."""

    def __init__(self) -> None:
        lock = threading.RLock()
        self.changed = threading.Condition(lock)
        self.claimable = threading.Condition(lock)
        self.accepted = 0
        self.tasks: dict[str, Task] = {}
        self.ready: list[Task] = []
        self.last_starts: list[tuple[float, Task]] = []
        self.latest: dict[str, Task] = {}  # of them, for each id


STORES: dict[tuple[str, str], Store] = {}
STORES_LOCK = threading.Lock()


class TaskQueue(AbstractTaskQueue):
    """`toy://`: tasks live as long as the process."""

    process_local = True

    def __init__(self, url: str, name: str = "default", **options: Any) -> None:
        super().__init__(url, name, **options)
        with STORES_LOCK:
            self._store = STORES.setdefault((url, name), Store())
        self._clock = self.clock or MonotonicClock()
        self._unsubscribe = self._clock.subscribe(self._wake)
        self._closed = False

    def close(self) -> None:
        self._closed = True
        self._unsubscribe()
        self._wake()

    def _wake(self) -> None:
        with self._store.changed:
            self._store.changed.notify_all()
            self._store.claimable.notify_all()

    @contextmanager
    def _operation(self) -> Iterator[dict[str, Task]]:
        """One operation: alone, after the deadlines that have passed; who waits for a task looks again. [TIM-2]"""
        with self._store.changed:
            self._begin()
            yield self._store.tasks
            self._store.changed.notify_all()

    def _begin(self) -> None:
        if self._closed:
            raise QueueClosed(f"{self!r} is closed")
        self._now_ms = self._clock.now_ms()
        self._pass_time()

    def _pass_time(self) -> None:
        """Apply each deadline that has passed, in the order (deadline, id). [TIM-1] to [TIM-6]"""
        store = self._store
        store.last_starts = [each for each in store.last_starts if each[0] > self._now_ms]
        stand = [task for _, task in store.last_starts]
        store.latest = {key: task for key, task in store.latest.items() if task in stand}
        due = [task for task in store.tasks.values() if task.deadline_ms <= self._now_ms]
        for task in sorted(due, key=lambda task: (task.deadline_ms, task.ticket.id)):
            self._lapse(task)

    def _lapse(self, task: Task) -> None:
        if task.state == PROCESSING and task.start < task.ticket.attempts:
            self._enqueue(task)
        else:
            self._end(task, EXPIRED, None)

    def _size(self) -> int:
        with self._operation() as tasks:
            return sum(task.state in (PENDING, ENQUEUED) for task in tasks.values())

    def _status(self, task_id: str, incarnation: bytes | None) -> Any:
        with self._operation():
            task = self._find(task_id, incarnation)
            return task and task.state

    def _find(self, task_id: str, incarnation: bytes | None) -> Task | None:
        """A task that the token does not name is absent. [TOK-1] [TOK-2]"""
        task = self._store.tasks.get(task_id)
        if task is None or incarnation not in (None, task.ticket.incarnation):
            return None
        return task

    def _submit(
        self,
        task: Ticket,
        message: bytes,
        args: Mapping[str, bytes | None],
        outcome: Outcome | None,
    ) -> Submitted:
        with self._operation() as tasks:
            if (there := tasks.get(task.id)) is not None:
                same = there.ticket.incarnation == task.incarnation
                return Submitted("accepted" if same else "duplicate")
            arguments: list[Task] = []
            for argument_id in sorted(args):
                argument = self._find(argument_id, args[argument_id])
                if argument is None or argument.ticket.ignore_result or argument.dependent:
                    return Submitted("unavailable", argument_id)
                arguments.append(argument)
            new = self._accept(task, message)
            failed = [
                (a, self._with_source(a, a.outcome))
                for a in arguments
                if a.outcome and a.outcome.kind == "failure"
            ]
            if outcome is not None:
                self._end(new, outcome, task.retention_ms)
            elif failed and not task.passes_errors:
                argument, outcome = failed[0]
                self._reserve(new, argument)
            else:
                new.missing = set(args)
                for argument in arguments:
                    self._reserve(new, argument)
                if not args:
                    self._enqueue(new)
            return Submitted("accepted", outcome=outcome if task.ignore_result else None)

    def _accept(self, ticket: Ticket, message: bytes) -> Task:
        store = self._store
        store.accepted += 1
        new = store.tasks[ticket.id] = Task(ticket, message, store.accepted)
        return new

    def _reserve(self, dependent: Task, argument: Task) -> bytes | None:
        """Promise an outcome; one that is there arrives at once."""
        outcome = argument.outcome
        message = outcome.message if outcome else None
        dependent.reserved[argument.ticket.id] = argument.ticket.incarnation, message
        argument.dependent = dependent
        if outcome:
            self._end(argument, outcome, None)
        return message

    def _enqueue(self, task: Task) -> None:
        task.state, task.deadline_ms = ENQUEUED, float("inf")
        self._store.ready.append(task)
        self._store.claimable.notify()

    def _end(self, task: Task, outcome: Outcome, retention_ms: int | None) -> None:
        """End a task, and whoever ends by that in turn. [OUT-1] to [OUT-7]"""
        while (dependent := task.dependent) is not None:
            self._remove(task)
            if outcome.kind == "result" or dependent.ticket.passes_errors:
                self._supply(dependent, task.ticket.id, outcome)
                return
            outcome = self._with_source(task, outcome)
            task, retention_ms = dependent, dependent.ticket.retention_ms
        if outcome.kind == "expired" or task.ticket.ignore_result:
            self._remove(task)
        else:
            self._leave(task)
            task.state, task.outcome = COMPLETED, outcome
            task.deadline_ms = self._now_ms + (
                float("inf") if retention_ms is None else retention_ms
            )

    def _with_source(self, task: Task, outcome: Outcome) -> Outcome:
        """An outcome as a dependent gets it. [OUT-3]"""
        if outcome.kind == "failure" and outcome.source_id is None:
            return outcome._replace(source_id=task.ticket.id)
        return outcome

    def _remove(self, task: Task) -> None:
        self._leave(task)
        del self._store.tasks[task.ticket.id]
        task.state = task.dependent = None

    def _leave(self, task: Task) -> None:
        """It does not wait any more; what it had reserved and not got is free again. [OUT-7]"""
        if task in self._store.ready:
            self._store.ready.remove(task)
        for argument in self._store.tasks.values():
            if argument.dependent is task:
                argument.dependent = None
        task.missing, task.held, task.reserved = set(), {}, {}

    def _supply(self, task: Task, argument_id: str, outcome: Outcome) -> None:
        task.missing.discard(argument_id)
        task.held[argument_id] = outcome
        if not task.missing:
            self._enqueue(task)

    def _claim(self, timeout_ms: int | None) -> Claim | None:
        claim: Claim | None = None
        try:
            claim = self._wait(timeout_ms, self._take, self._store.claimable)
        finally:
            if claim is None:
                self._pass_on()
        return claim

    def _pass_on(self) -> None:
        """Who may have been woken and has taken no task wakes the next one. [ENV-WAIT-6]"""
        with self._store.claimable:
            if self._store.ready:
                self._store.claimable.notify()

    def _take(self) -> Claim | None:
        """[CLM-1] to [CLM-4]"""
        if not self._store.ready:
            return None
        task = self._store.ready.pop(0)
        task.start += 1
        task.state, task.deadline_ms = PROCESSING, self._now_ms + task.ticket.lease_ms
        claim = Claim(task.ticket.id, task.token, task.message, dict(task.held))
        if task.ticket.ignore_result and task.start == task.ticket.attempts:
            last = Task(task.ticket, b"", task.number, start=task.start, held=task.held)
            self._store.last_starts.append((task.deadline_ms, last))  # [GAR-3]
            self._store.latest[task.ticket.id] = last
            self._remove(task)
        return claim

    def _wait(
        self, timeout_ms: int | None, look: Callable[[], Any], changed: threading.Condition
    ) -> Any:
        """What `look` finds as soon as that is not None; None when the timeout passes first."""
        with self._operation():
            # A part of the present millisecond is gone on a clock that flows. [ENV-WAIT-2]
            begun_ms = self._now_ms + (0 if self.clock else 1)
            until_ms = float("inf") if timeout_ms is None else begun_ms + timeout_ms
            while (found := look()) is None and timeout_ms != 0 and self._now_ms < until_ms:
                changed.wait(self._seconds_to(until_ms))
                self._begin()
            return found

    def _seconds_to(self, until_ms: float) -> float:
        """How long to sleep at most, if nobody calls. A clock that is advanced by hand wakes by itself."""
        deadlines = [task.deadline_ms for task in self._store.tasks.values()]
        left_ms = min([until_ms, *deadlines]) - self._now_ms
        return LOOK_AGAIN_S if self.clock else min(LOOK_AGAIN_S, left_ms / 1000)

    def _claimed(self, task_id: str, token: Token | None) -> Task | None:
        task = self._store.tasks.get(task_id)
        if task is None or task.state != PROCESSING or token not in (None, task.token):
            return None
        return task

    def _finish(
        self, task_id: str, outcome: Outcome, retention_ms: int | None, token: Token | None
    ) -> Finished:
        with self._operation():
            task = self._claimed(task_id, token)
            if task is None:
                return Finished(accepted=False)
            dependent = task.dependent
            self._end(task, outcome, retention_ms)
            return Finished(accepted=True, dependent_id=dependent.ticket.id if dependent else None)

    def _pop(self, task_id: str, timeout_ms: int | None, incarnation: bytes | None) -> Any:
        with self._operation():
            task = self._find(task_id, incarnation)
        if task is None:
            return TASK_EXPIRED
        return self._wait(timeout_ms, lambda: self._popped(task), self._store.changed)

    def _popped(self, task: Task) -> Any:
        """[POP-1] to [POP-5], of the incarnation that was there first [ENV-WAIT-5]"""
        if task.state is None or task.ticket.ignore_result:
            return TASK_EXPIRED
        if task.dependent is not None:
            return RESERVED
        if task.outcome is not None:
            self._remove(task)
        return task.outcome

    def _heartbeat(self, task_id: str, lease_ms: int, token: Token | None) -> bool:
        with self._operation():
            task = self._claimed(task_id, token)
            if task is not None:
                task.deadline_ms = self._now_ms + lease_ms
            return task is not None

    def _release(self, task_id: str, token: Token | None, *, begun: bool) -> bool:
        with self._operation():
            task = self._claimed(task_id, token)
            if task is None:
                return False
            if begun or task.start == task.ticket.attempts:
                self._lapse(task)
            else:  # [REL-3]; one more, for no token may come twice [TOK-3]
                task.ticket = task.ticket._replace(attempts=task.ticket.attempts + 1)
                self._enqueue(task)
                self._store.ready.insert(0, self._store.ready.pop())
            return True

    def _discard(self, task_id: str, incarnation: bytes | None) -> bool:
        with self._operation():
            task = self._find(task_id, incarnation)
            if task is not None:
                self._end(task, EXPIRED, None)
            return task is not None

    def _purge(self) -> int:
        with self._operation() as tasks:
            waiting = [task for task in tasks.values() if task.state in (PENDING, ENQUEUED)]
            for task in waiting:
                self._remove(task)
            return len(waiting)

    def _defer(self, task: Ticket, message: bytes, args: frozenset[str]) -> bool:
        with self._operation() as tasks:
            if (there := tasks.get(task.id)) is not None:
                return there.ticket.incarnation == task.incarnation
            self._accept(task, message).missing = set(args)
            return True

    def _set_argument(
        self, task_id: str, argument_id: str, message: bytes, incarnation: bytes | None
    ) -> bool:
        with self._operation() as tasks:
            task = self._find(task_id, incarnation)
            if task is None:
                return False
            if argument_id in task.missing:
                argument = tasks.get(argument_id)
                if argument is not None and argument.dependent is task:
                    argument.dependent = None
                self._supply(task, argument_id, Outcome("result", message))
            return argument_id in task.held and not task.missing

    def _get_arguments(self, task_id: str, token: Token | None) -> dict[str, Any]:
        with self._operation() as tasks:
            task = tasks.get(task_id)
            if task is None or token not in (None, task.token):
                last = [t for _, t in self._store.last_starts if t.ticket.id == task_id]
                latest = self._store.latest.get(task_id) if task_id not in tasks else None
                those = [t for t in last if (t is latest if token is None else t.token == token)]
                task = those[0] if those else None
            held = task.held if task is not None else {}
            return {
                argument_id: TASK_EXPIRED if outcome.message is None else outcome.message
                for argument_id, outcome in held.items()
            }

    def _reserve_argument(
        self,
        argument_id: str,
        deferred_id: str,
        incarnation: bytes | None,
        deferred_incarnation: bytes | None,
    ) -> tuple[bool, bytes | None]:
        with self._operation():
            task = self._find(deferred_id, deferred_incarnation)
            if task is None:
                return False, None
            earlier = task.reserved.get(argument_id)
            if earlier is not None and incarnation in (None, earlier[0]):
                return True, earlier[1]
            argument = self._find(argument_id, incarnation)
            if argument is None or argument_id not in task.missing:
                return False, None
            if argument.ticket.ignore_result or argument.dependent:
                return False, None
            if argument.number >= task.number:
                return False, None
            return True, self._reserve(task, argument)
