"""What a pool claims from: several queues in turn, or only so many tasks, or until there are none."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, Self
from weakref import WeakSet

from worq.bounds import unsent_within
from worq.core import Broker, Ended
from worq.deferred import Home
from worq.errors import BackendUnavailable
from worq.failures import TaskFailure
from worq.introspection import Sign
from worq.pool.lookout import Lookout
from worq.task import FunctionTask
from worq.values import Claim, Token

# How long who looks waits for another who does, and who may claim no more for another claim to come to nothing.
TURN_S = 0.25
# How long a claim is tried again that has not reached a server, where there are other queues.
UNSENT_S = 2.0
# How often a burst looks whether the tasks that still run have made others ready.
BURST_S = 0.1

_log = logging.getLogger(__name__)


class _Running:
    """A claim that has not ended."""


class QueueToken(Token):
    """A token that knows of which queue it is; equal to one that does not."""

    home: Home
    running: _Running

    @classmethod
    def of(cls, token: Token, home: Home) -> "QueueToken":
        made = cls(*token)
        made.home = home
        made.running = _Running()
        return made


class Ledger:
    """What all claims of one pool have in common, through however many feeds. Thread-safe.

    It is spent when `tasks_max` have been claimed or, in a `burst`, when no task is ready and none
    runs that might make another ready. `spent` is called then, once.
    """

    def __init__(
        self,
        *,
        tasks_max: int | None = None,
        burst: bool = False,
        spent: Callable[[], object] = lambda: None,
    ) -> None:
        self.is_burst = burst
        self.turn: threading.Lock = threading.Lock()
        self.first = 0
        self._left = tasks_max
        self._unclaimed = tasks_max
        self._tell = spent
        self._is_spent = False
        # A claim that a pool has dropped without a word is no longer there either.
        self._running: WeakSet[_Running] = WeakSet()
        self._changed = threading.Condition()

    @property
    def is_spent(self) -> bool:
        return self._is_spent

    def may_claim(self) -> bool:
        """Set a claim aside; False if others have taken all that may be made, so far."""
        with self._changed:
            if self._is_spent:
                return False
            if self._left is None:
                return True
            if self._left == 0:
                self._changed.wait(TURN_S)
                return False
            self._left -= 1
            return True

    def take_over(self, turn: threading.Lock) -> None:
        """Who has it waits for a server; others go on."""
        with self._changed:
            if self.turn is turn:
                self.turn = threading.Lock()

    def claimed(self, claim: Claim, home: Home) -> Claim:
        """Note that it was made."""
        token = QueueToken.of(claim.token, home)
        with self._changed:
            self._running.add(token.running)
            if self._unclaimed is not None:
                self._unclaimed -= 1
                if self._unclaimed == 0:
                    self._spend()
        return claim._replace(token=token)

    def not_claimed(self) -> None:
        with self._changed:
            if self._left is not None:
                self._left += 1
                self._changed.notify()

    def ended(self, token: Token) -> None:
        """Nothing more comes of a claim."""
        assert isinstance(token, QueueToken)
        with self._changed:
            self._running.discard(token.running)
            self._changed.notify_all()

    def found_nothing(self) -> None:
        """All queues are empty. `turn` is held."""
        if self.is_burst:
            with self._changed:
                if not self._running:
                    self._spend()

    def rest(self) -> None:
        """Wait until it is worth while to look again."""
        with self._changed:
            if not self._is_spent:
                self._changed.wait(BURST_S)

    def wake(self) -> None:
        """Have who rests look whether it is closed."""
        with self._changed:
            self._changed.notify_all()

    def _spend(self) -> None:
        if not self._is_spent:
            self._is_spent = True
            self._changed.notify_all()
            self._tell()


class Feed(Broker):
    """A broker of several queues, on one server or several, for one pool: it claims from them in strict rotation.

    Each claim begins to look at the queue behind the one that gave the last task, whichever worker
    got that. If all are empty, idle workers are told when one of them may have a task, and look
    again.
    """

    def __init__(self, brokers: Sequence[Broker], ledger: Ledger | None = None) -> None:
        """It closes the brokers. `ledger`: without one there is no end to it."""
        first = brokers[0]
        super().__init__(first._queue, serializer=first._serializer)  # noqa: SLF001 - it is a Broker
        self.tasks: dict[str, Callable[..., Any]] = first.tasks
        self._brokers = list(brokers)
        self._by_home = {broker.home: broker for broker in brokers}
        names = [broker.name for broker in brokers]
        self._labels = [
            str(broker.home) if names.count(broker.name) > 1 else broker.name for broker in brokers
        ]
        self._ledger = Ledger() if ledger is None else ledger
        self._closed = threading.Event()
        self._lookout = Lookout(self._brokers, self._closed)
        self._failing: set[str] = set()
        self._looking: dict[threading.Lock, int] = {}  # who has or had which turn is at which queue

    @property
    def name(self) -> str:
        return ", ".join(dict.fromkeys(broker.name for broker in self._brokers))

    @property
    def queue_count(self) -> int:
        return len(self._brokers)

    @property
    def refused(self) -> int:
        return sum(broker.refused for broker in self._brokers)

    def clone(self, *, url: str | None = None, name: str | None = None) -> Self:
        assert url is None
        assert name is None
        clones: list[Broker] = []
        try:
            clones.extend(broker.clone() for broker in self._brokers)
        except BaseException:
            for each in clones:
                each.close()
            raise
        return type(self)(clones, self._ledger)

    def close(self) -> None:
        self._closed.set()
        self._ledger.wake()
        self._lookout.wake()
        for broker in self._brokers:
            broker.close()
        self._lookout.join()

    # Claiming.

    def claim(self, timeout: float | None) -> Claim | None:
        """The next task; None also before the timeout has passed."""
        if not self._ledger.may_claim():
            if self._ledger.is_spent:
                self._closed.wait(timeout)
            return None
        claim = None
        try:
            claim = self._look() or self._wait(timeout)
        finally:
            if claim is None:
                self._ledger.not_claimed()
        return claim

    def _look(self, told: int | None = None) -> Claim | None:
        """The next task that is there, if any. `told`: the queue that may have one."""
        # Who has the turn may wait half a minute for a server that is silent; nobody waits for that.
        while not (turn := self._ledger.turn).acquire(timeout=TURN_S):
            if len(self._brokers) == 1:
                return None if told is None else self._look_at(told)
            if (index := self._looking.get(turn)) is not None:
                self._lookout.put_aside(index)
            self._ledger.take_over(turn)
        try:
            return self._look_around(turn)
        finally:
            self._looking.pop(turn, None)
            turn.release()

    def _look_around(self, turn: threading.Lock) -> Claim | None:
        """Look at each queue. One that raises keeps nobody from the others. [ENV-POOL-25] `turn` is held."""
        count, first = len(self._brokers), self._ledger.first
        errors: dict[str, Exception] = {}
        for index in [(first + step) % count for step in range(count)]:
            if index in self._lookout.aside:
                continue
            name = self._labels[index]
            self._looking[turn] = index
            try:
                claim = self._look_at(index)
            except Exception as error:  # noqa: BLE001 - raised below, or logged
                errors[name] = error
                self._ledger.first = (index + 1) % count  # it may have taken long
                if count > 1 and isinstance(error, BackendUnavailable):
                    self._lookout.put_aside(index)
                continue
            self._failing.discard(name)
            self._lookout.answered(index)
            if claim is not None:
                self._log_once(errors)
                return claim
        if errors:
            raise next(iter(errors.values()))
        # Only if nobody else is about to have a claim.
        if not self._lookout.aside and len(self._looking) == 1:
            self._ledger.found_nothing()
        return None

    def _log_once(self, errors: dict[str, Exception]) -> None:
        """Nobody else tells of them, while other queues have tasks."""
        for name in errors.keys() - self._failing:
            _log.warning("nothing can be claimed from %r, others go on: %r", name, errors[name])
            self._failing.add(name)

    def _look_at(self, index: int, timeout: float | None = 0) -> Claim | None:
        with unsent_within(UNSENT_S) if len(self._brokers) > 1 else nullcontext():
            claim = self._brokers[index].claim(timeout)
        return None if claim is None else self._claimed(claim, index)

    def _wait(self, timeout: float | None) -> Claim | None:
        if self._ledger.is_burst:
            self._ledger.rest()
            return None
        if len(self._brokers) == 1:
            return self._look_at(0, timeout)
        end_s = float("inf") if timeout is None else time.monotonic() + timeout
        claim = None
        while claim is None and (left_s := end_s - time.monotonic()) > 0:
            with self._lookout.told(None if timeout is None else left_s) as queue:
                if queue is None:
                    break
                claim = self._look(queue)
        return claim

    def _claimed(self, claim: Claim, index: int) -> Claim:
        # Of two at the same time either will do: it only says where the next look begins.
        self._ledger.first = (index + 1) % len(self._brokers)
        return self._ledger.claimed(claim, self._brokers[index].home)

    # What becomes of claims: each is its own queue's.

    def ended(self, token: Token) -> None:
        self._ledger.ended(token)

    def read(self, claim: Claim) -> FunctionTask | None:
        return self._home(claim.token).read(claim)

    def invoke(self, task: FunctionTask, *, return_result: bool = False) -> Any:
        assert return_result
        return self._home(task.token).invoke(task, return_result=True)

    def set_result(self, task: FunctionTask, result: object) -> bool:
        return self._home(task.token).set_result(task, result)

    def fail(self, task: FunctionTask, reason: str, *, again: bool = False) -> bool:
        return self._home(task.token).fail(task, reason, again=again)

    def glance(self, claim: Claim) -> FunctionTask:
        return self._home(claim.token).glance(claim)

    def perform(self, claim: Claim) -> tuple[bytes, bool]:
        return self._home(claim.token).perform(claim)

    def unpack(self, claim: Claim) -> tuple[FunctionTask, TaskFailure | None]:
        return self._home(claim.token).unpack(claim)

    def outcome(self, task: FunctionTask, failure: TaskFailure | None) -> tuple[bytes, bool]:
        return self._home(task.token).outcome(task, failure)

    def finish(
        self,
        task: FunctionTask,
        message: bytes,
        failed: bool,  # noqa: FBT001 - as in Broker
        *,
        again: bool = False,
    ) -> bool:
        return self._home(task.token).finish(task, message, failed, again=again)

    def finish_many(self, ended: Sequence[Ended], claims: int = 0) -> list[Claim]:
        del claims
        for each in ended:
            self._home(each.task.token).finish_many([each])
        return []

    def heartbeat(self, task: FunctionTask) -> bool:
        return self._home(task.token).heartbeat(task)

    def release(self, task: FunctionTask, *, begun: bool = True) -> bool:
        return self._home(task.token).release(task, begun=begun)

    def sign(self, sign: Sign, tasks: Sequence[FunctionTask], ttl_ms: int) -> None:
        """All are told; then the first error is raised. [ENV-POOL-30]"""
        _each(
            partial(
                broker.sign,
                sign,
                [task for task in tasks if self._home(task.token) is broker],
                ttl_ms,
            )
            for broker in self._brokers
        )

    def sign_off(self, sign_id: str) -> None:
        _each(partial(broker.sign_off, sign_id) for broker in self._brokers)

    def _home(self, token: Token) -> Broker:
        assert isinstance(token, QueueToken)
        return self._by_home[token.home]


def _each(calls: Iterable[Callable[[], object]]) -> None:
    """Make all of them, whatever one raises; that is raised in the end, of several the first."""
    errors: list[Exception] = []
    for call in calls:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)
    if errors:
        raise errors[0]
