"""`TaskQueue` for sqlite:// URLs: each operation is one transaction. SPEC.md, sections 5 to 7 and 11."""

import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Literal, TypeVar

from worq import bounds, bulk, checks
from worq.backend import AbstractTaskQueue, Ending, Entry, Ticket
from worq.clock import Clock
from worq.const import (
    COMPLETED,
    DEFAULT,
    ENQUEUED,
    MESSAGE_BYTES_MAX,
    PENDING,
    PROCESSING,
    Sentinel,
    State,
)
from worq.errors import BackendUnavailable, WorqError
from worq.introspection import Counts, Introspective, Seen, Sign
from worq.queue.sqlite import reference, signs
from worq.queue.sqlite.bell import Sleeper
from worq.queue.sqlite.database import Database, database_of
from worq.queue.sqlite.place import place_of
from worq.queue.sqlite.tasks import Tasks
from worq.values import Claim, Finished, Outcome, Submitted, Token

T = TypeVar("T")
R = TypeVar("R")


class _Later:
    """The answer of an operation that has not come to its own part."""


_LATER: Final = _Later()
RETRY_DEADLINE_S: Final = 30.0
SIGN_S: Final = 0.1
"""How long a sign of life tries to get at the file."""
OPERATIONS_MAX: Final = 100
"""So many of a bulk in one transaction, then other processes have their turn."""
BLOB_BYTES_MAX: Final = 900_000_000
"""A row of SQLite has at most 10⁹ bytes."""


class TaskQueue(AbstractTaskQueue, Introspective):
    """One queue in one file. It is opened at the first operation, and made then if it is not there.

    All queue objects of a process that name one file share one connection. A forked child gets its
    own. [ENV-SQLITE-5]
    """

    def __init__(
        self,
        url: str,
        name: str = DEFAULT,
        *,
        clock: Clock | None = None,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
        retry_deadline_s: float = RETRY_DEADLINE_S,
    ) -> None:
        """`url`: `sqlite:///relative.db` or `sqlite:////absolute.db`.

        With `?synchronous=normal` a commit does not wait for the disk. [ENV-SQLITE-1]
        `retry_deadline_s`: how long a call tries to get at a file that other processes have locked.
        `clock`: for tests; None for the machine's.
        """
        super().__init__(url, name, clock=clock, message_bytes_max=message_bytes_max)
        place = place_of(url)
        if self.message_bytes_max > BLOB_BYTES_MAX:
            raise ValueError(
                f"message_bytes_max: SQLite has room for {BLOB_BYTES_MAX}, not {message_bytes_max!r}"
            )
        self._retry_deadline_s = checks.seconds("retry_deadline_s", retry_deadline_s)
        self.is_closed: bool = False
        self.database: Database
        self.database, user = database_of(place)
        self._leave = weakref.finalize(self, self.database.leave, user)
        self._leave.atexit = False
        self._unsubscribe = _subscribe(clock, self.database.ring)

    def close(self) -> None:
        self.is_closed = True
        self._unsubscribe()
        self.database.bell.wake_all_of(self)
        self._leave()

    def now_ms(self) -> int:
        """Of the clock that was given, or of the machine: all its processes have that one."""
        return time.time_ns() // 1_000_000 if self.clock is None else self.clock.now_ms()

    # The contract

    def _submit(
        self,
        task: Ticket,
        message: bytes,
        args: Mapping[str, bytes | None],
        outcome: Outcome | None,
    ) -> Submitted:
        return self._do(lambda tasks: tasks.submit(task, message, args, outcome))

    def _claim(self, timeout_ms: int | None) -> Claim | None:
        return self._wait(Sleeper(self, (), timeout_ms), lambda tasks, _: tasks.claim())

    def _finish(
        self, task_id: str, outcome: Outcome, retention_ms: int | None, token: Token | None
    ) -> Finished:
        return self._do(lambda tasks: tasks.finish(task_id, outcome, retention_ms, token))

    def _heartbeat(self, task_id: str, lease_ms: int, token: Token | None) -> bool:
        return self._do(lambda tasks: tasks.heartbeat(task_id, lease_ms, token))

    def _release(self, task_id: str, token: Token | None, *, begun: bool) -> bool:
        return self._do(lambda tasks: tasks.release(task_id, token, begun=begun))

    def _await_ready(self, timeout_ms: int | None) -> bool:
        sleeper = Sleeper(self, (), timeout_ms)
        found = self._wait(sleeper, lambda tasks, _: tasks.is_ready(), takes=False)
        return found is not None

    def _pop(
        self, task_id: str, timeout_ms: int | None, incarnation: bytes | None
    ) -> Outcome | Sentinel | None:
        return self._wait(Sleeper(self, [(task_id, incarnation)], timeout_ms), _pop)

    def _discard(self, task_id: str, incarnation: bytes | None) -> bool:
        return self._do(lambda tasks: tasks.discard(task_id, incarnation))

    def _purge(self) -> int:
        return self._do(Tasks.purge)

    def _size(self) -> int:
        return self._do(Tasks.size)

    def _status(self, task_id: str, incarnation: bytes | None) -> State | None:
        return self._do(lambda tasks: tasks.status(task_id, incarnation))

    # Many at once: some in each transaction

    def _submit_many(self, entries: Sequence[Entry]) -> list[Submitted]:
        answers: list[Submitted] = []
        with bulk.saying_what_is_done(answers, len(entries)):
            while len(answers) < len(entries):
                some = _next(entries, answers)
                answers += self._do(partial(_submit_each, some))
        return answers

    def _finish_many(
        self, endings: Sequence[Ending], claims: int
    ) -> tuple[list[Finished], list[Claim]]:
        answers: list[Finished] = []
        with bulk.saying_what_is_done(answers, len(endings)):
            while True:
                some = _next(endings, answers)
                is_last = len(answers) + len(some) == len(endings)
                limit = min(claims, OPERATIONS_MAX) if is_last else 0
                ended, claimed = self._do(partial(_finish_each, some, limit))
                answers += ended
                if is_last and claimed is not None:
                    return answers, claimed

    def _claim_many(self, limit: int, timeout_ms: int | None) -> list[Claim]:
        limit = min(limit, OPERATIONS_MAX)
        sleeper = Sleeper(self, (), timeout_ms)
        return self._wait(sleeper, lambda tasks, _: tasks.claim_many(limit) or None) or []

    def _pop_many(
        self, tasks: Sequence[tuple[str, bytes | None]], timeout_ms: int | None
    ) -> list[Outcome | Sentinel | None]:
        answers: list[Outcome | Sentinel | None] = []
        waited_for: list[tuple[str, bytes | None]] = []
        with bulk.saying_what_is_done(answers, len(tasks)):
            while len(answers) < len(tasks):
                some = list(_next(tasks, answers))
                popped = self._do(partial(_pop_each, wanted=some))
                answers += popped
                waited_for += some[: len(popped)]
        if timeout_ms == 0 or not tasks or any(answer is not None for answer in answers):
            return answers
        sleeper = Sleeper(self, waited_for, timeout_ms)
        woken = self._wait(sleeper, _pop_some)
        answers = answers if woken is None else woken
        with bulk.saying_what_is_done(answers, len(tasks)):
            while len(answers) < len(tasks):
                some = list(_next(sleeper.tasks, answers))
                answers += self._do(partial(_pop_each, wanted=some))
        return answers

    # The API reference

    def _defer(self, task: Ticket, message: bytes, args: frozenset[str]) -> bool:
        return self._do(lambda tasks: reference.defer(tasks, task, message, args))

    def _reserve_argument(
        self,
        argument_id: str,
        deferred_id: str,
        incarnation: bytes | None,
        deferred_incarnation: bytes | None,
    ) -> tuple[bool, bytes | None]:
        return self._do(
            lambda tasks: reference.reserve_argument(
                tasks, argument_id, deferred_id, incarnation, deferred_incarnation
            )
        )

    def _set_argument(
        self, task_id: str, argument_id: str, message: bytes, incarnation: bytes | None
    ) -> bool:
        return self._do(
            lambda tasks: reference.set_argument(tasks, task_id, argument_id, message, incarnation)
        )

    def _get_arguments(
        self, task_id: str, token: Token | None
    ) -> dict[str, bytes | Literal[Sentinel.TASK_EXPIRED]]:
        return self._do(lambda tasks: reference.get_arguments(tasks, task_id, token))

    # Introspection

    def queues(self) -> list[str]:
        return self._do(signs.queues)

    def counts(self) -> Counts:
        counts = self._do(Tasks.counts)
        return Counts(*(counts.get(each, 0) for each in (PENDING, ENQUEUED, PROCESSING, COMPLETED)))

    def workers(self) -> list[Seen]:
        return self._do(signs.workers)

    def sign(self, sign: Sign, ttl_ms: int) -> None:
        self._look_at_no_task(lambda tasks: signs.leave(tasks, sign, ttl_ms))

    def sign_off(self, sign_id: str) -> None:
        self._look_at_no_task(lambda tasks: signs.take_away(tasks, sign_id))

    def _look_at_no_task(self, act: Callable[[Tasks], None]) -> None:
        """Without the deadlines that have passed. [ENV-INFO-3]"""
        self.database.transact(self, act, SIGN_S)

    # One operation

    def _do(self, act: Callable[[Tasks], T], sleeper: Sleeper | None = None) -> T:
        """What is left of those before it, then its own part, then what that has left. [ENV-SQLITE-9]"""
        is_behind = False

        def step(tasks: Tasks) -> T | _Later:
            nonlocal is_behind
            answer = act(tasks) if tasks.on_time() else _LATER
            is_behind = tasks.is_behind
            return answer

        while isinstance(answer := self._transact(step, sleeper), _Later):
            if bounds.is_over():
                raise BackendUnavailable(f"{self!r}: there is much to do before", "not_sent")
            self.database.give_way()
        if is_behind:
            self._go_on()
        return answer

    def _go_on(self) -> None:
        """Whoever comes next does the rest, should this be in vain: the operation has its answer."""
        with suppress(WorqError):
            while not (self._transact(Tasks.on_time) or bounds.is_over()):
                self.database.give_way()

    def _transact(self, act: Callable[[Tasks], T], sleeper: Sleeper | None = None) -> T:
        return self.database.transact(self, act, self._retry_deadline_s, sleeper)

    def _wait(
        self, sleeper: Sleeper, look: Callable[[Tasks, Sleeper], T], *, takes: bool = True
    ) -> T | None:
        """Look until there is an answer or the timeout passes, asleep in between.

        `takes`: an answer is nobody else's any more.
        """
        answer: T | None = None
        try:
            while True:
                is_over = (
                    sleeper.is_over()
                )  # if it passes later, there is another look [ENV-WAIT-2]
                answer = self._do(lambda tasks: look(tasks, sleeper), None if is_over else sleeper)
                if answer is not None or is_over:
                    return answer
                sleeper.sleep()
        finally:
            self.database.bell.leave(sleeper, is_served=takes and answer is not None)


def _submit_each(entries: Sequence[Entry], tasks: Tasks) -> list[Submitted]:
    return _each(tasks, entries, lambda entry: tasks.submit(*entry))


def _finish_each(
    endings: Sequence[Ending], claims: int, tasks: Tasks
) -> tuple[list[Finished], list[Claim] | None]:
    """No list of claims if it did not come to them."""
    ended = _each(tasks, endings, lambda ending: tasks.finish(*ending))
    if len(ended) < len(endings) or (claims and not tasks.goes_on()):
        return ended, None
    return ended, tasks.claim_many(claims)


def _each(tasks: Tasks, items: Sequence[T], act: Callable[[T], R]) -> list[R]:
    """Of as many of them, in order, as one transaction does. [ENV-SQLITE-9]"""
    answers: list[R] = []
    for item in items:
        if not tasks.goes_on():
            break
        answers.append(act(item))
        if answers[-1] is not None:  # or nothing has changed
            tasks.count()
    return answers


def _pop(tasks: Tasks, sleeper: Sleeper) -> Outcome | Sentinel | None:
    return _pop_each(tasks, sleeper.tasks)[0]


def _pop_some(tasks: Tasks, sleeper: Sleeper) -> list[Outcome | Sentinel | None] | None:
    answers = _pop_each(tasks, sleeper.tasks)
    return None if all(answer is None for answer in answers) else answers


def _pop_each(
    tasks: Tasks, wanted: list[tuple[str, bytes | None]]
) -> list[Outcome | Sentinel | None]:
    """What becomes of each; `wanted` has the incarnation that was seen, of those that have no answer. [ENV-WAIT-5]"""

    def pop(n: int) -> Outcome | Sentinel | None:
        found = tasks.pop(*wanted[n])
        if isinstance(found, bytes):
            wanted[n] = wanted[n][0], found
            return None
        return found

    return _each(tasks, range(len(wanted)), pop)


def _next(items: Sequence[T], answers: Sequence[object]) -> Sequence[T]:
    return items[len(answers) : len(answers) + OPERATIONS_MAX]


def _subscribe(clock: Clock | None, wake: Callable[[], None]) -> Callable[[], None]:
    return (lambda: None) if clock is None else clock.subscribe(wake)
