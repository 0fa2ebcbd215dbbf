"""Keeps the claims of a pool: heartbeats while tasks run, and their release at the drain deadline.

Source: SPEC.md, section 9.
"""

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from worq import checks
from worq.bounds import calls_within
from worq.clock import Clock
from worq.core import Broker
from worq.errors import BackendUnavailable
from worq.pool.hand import DUE_MS, Hand, store
from worq.pool.presence import Presence
from worq.task import FunctionTask

if TYPE_CHECKING:
    from worq.deferred import Home
    from worq.values import Token

# A heartbeat that failed is sent again after this, if its heartrate is not shorter.
RETRY_MS = 1_000
# When a heartbeat is due its lease stands for 5 s at least: so long that one over a connection that has gone silent
# is sent twice, and once more after it was given up. [ENV-POOL-21]
BEAT_S = 2.0
# One call for what is in a hand: heartbeats wait meanwhile.
RELIEF_S = 1.0
# All of them together, at the drain deadline, with those that come late.
RELEASES_S = 2.0
# Of claims that could not be released.
SHOWN_MAX = 10
_NOT_RELEASED = "not released, left to their leases: %s: %s"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    """A claim that a worker holds, and when its next heartbeat is due.

    `is_ending`: its outcome is being stored, or it is given back. `is_begun`: unless that is known not to be so.
    """

    task: FunctionTask
    rate_ms: int
    due_ms: int
    is_ending: bool = False
    is_begun: bool = True


class _Limited(NamedTuple):
    """A task that a thread runs, when its time limit passes, and what ends it then, if it is a coroutine."""

    task: FunctionTask
    late_ms: int
    end: Callable[[str], bool]


class _Claiming:
    """A block that any number of threads are in."""

    # No generator: each claim is made within one.
    def __init__(self, enter: Callable[[], None], leave: Callable[[], None]) -> None:
        self._enter = enter
        self._leave = leave

    def __enter__(self) -> None:
        self._enter()

    def __exit__(self, *exc_info: object) -> None:
        self._leave()


class Keeper:
    """Looks after the claims that workers hold, until the last worker has left. Thread-safe.

    `keep` is the body of one thread, which sends all heartbeats [ENV-POOL-1]. Once told to `drain` it
    goes on doing so, until the workers have left or the drain deadline has passed; what they still
    hold then is to be released [ENV-POOL-3].
    """

    def __init__(self, broker: Broker, clock: Clock, workers: int, presence: Presence) -> None:
        self._broker = broker
        self._presence = presence
        self._clock = clock
        self._workers = workers
        self._held: dict[Token, _Held] = {}
        self._limited: dict[Token, _Limited] = {}
        self._hands: list[Hand] = []
        self._claiming = 0
        self._drain_at_ms: int | None = None
        self._out_of_contact: set[str] = set()  # servers that a heartbeat could not be sent to
        self._wakes_ms = math.inf
        # Entered by itself where nobody waits: a Condition's own methods cost as much as what is done there.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._claims = _Claiming(self._enter, self._leave)

    # What workers say.

    def limit(self, task: FunctionTask, end: Callable[[str], bool]) -> None:
        """A thread has begun a task: see to it when its time limit passes. [ENV-POOL-22] [ENV-AIO-3]

        `end`: what ends it, told why, and says whether it can.
        """
        limit_s = checks.limit("time_limit", task.time_limit)
        if limit_s is not None:
            late_ms = self._clock.now_ms() + checks.milliseconds(limit_s)
            with self._changed:
                self._limited[task.token] = _Limited(task, late_ms, end)
                self._wake_by(late_ms)

    def claiming(self) -> "_Claiming":
        """A worker may get a claim within the block, and holds it or gives it back at its end."""
        return self._claims

    def _enter(self) -> None:
        with self._lock:
            self._claiming += 1

    def _leave(self) -> None:
        with self._lock:
            self._claiming -= 1
            if self._drain_at_ms is not None and self._is_late(self._clock.now_ms()):
                self._changed.notify_all()

    def hold(self, *tasks: FunctionTask, begun: bool = True) -> bool:
        """A worker is about to begin tasks, or has them in hand. False if it must not: the drain deadline has passed.

        [ENV-POOL-28]
        """
        with self._lock:
            now_ms = self._clock.now_ms()
            if self._is_late(now_ms):
                return False
            for task in tasks:
                if task.is_forgotten:
                    continue  # there is no claim to keep
                rate_ms = checks.milliseconds(task.heartrate)
                self._held[task.token] = _Held(task, rate_ms, now_ms + rate_ms, is_begun=begun)
                self._wake_by(now_ms + rate_ms)
            if (look_ms := self._presence.look_ms(now_ms, self._held)) is not None:
                self._wake_by(look_ms)
            return True

    def begin(self, task: FunctionTask) -> bool:
        """A worker is about to begin what it had in hand. False if it must not, and need do nothing more.

        Its claim is lost, or the drain deadline has passed: then it is released as not begun. [ENV-POOL-28]
        """
        with self._lock:
            held = self._held.get(task.token)
            if held is None or self._is_late(self._clock.now_ms()):
                return False
            held.is_begun = True
            return True

    def not_begun(self, task: FunctionTask) -> None:
        """It is certain that nobody has begun it, and nobody will."""
        with self._lock:
            if (held := self._held.get(task.token)) is not None:
                held.is_begun = False

    def watch(self, hand: Hand) -> None:
        """A worker has begun to work, with this in hand."""
        with self._lock:
            self._hands.append(hand)

    def look_at(self, hand: Hand) -> None:
        """A worker has claims in hand, which may be in it for too long. [ENV-POOL-29]"""
        due_ms = hand.due_ms
        with self._lock:
            if due_ms is not None:
                self._wake_by(due_ms)

    def ran(self, task: FunctionTask) -> None:
        """A worker has run a task; its outcome may be stored later."""
        if task.time_limit is not None:
            with self._lock:
                self._limited.pop(task.token, None)

    def ending(self, *tasks: FunctionTask) -> None:
        """A worker is about to store their outcomes, and to say so if a claim is lost."""
        with self._lock:
            for task in tasks:
                if (held := self._held.get(task.token)) is not None:
                    held.is_ending = True

    def drop(self, *tasks: FunctionTask) -> None:
        """A worker has ended them."""
        with self._lock:
            for task in tasks:
                self._held.pop(task.token, None)
                self._limited.pop(task.token, None)

    def let_go(self, *tasks: FunctionTask) -> None:
        """Nothing more is done with their claims."""
        self.drop(*tasks)
        for task in tasks:
            self._broker.ended(task.token)

    def leave(self) -> None:
        """A worker has ended itself."""
        with self._changed:
            self._workers -= 1
            self._changed.notify()

    # What the pool says.

    def drain(self, timeout_ms: int | None) -> None:
        """No more claims will come; those there are may take so long. The earliest deadline counts."""
        with self._changed:
            if timeout_ms is not None:
                at_ms = self._clock.now_ms() + timeout_ms
                self._drain_at_ms = min(at_ms, self._drain_at_ms or at_ms)
            self._changed.notify()

    def keep(self) -> None:
        """Look after the claims; return when it is over."""
        unsubscribe = self._clock.subscribe(self._look_again)
        try:
            while (due := self._wait()) is not None:
                if self._beat_all(due):
                    self._relieve()
                    self._sign()
                else:
                    self._put_off_hands()
        finally:
            unsubscribe()
            self._presence.leave()

    def release_all(self) -> None:
        """Give back what workers still hold, as far as the server can be reached soon. [ENV-POOL-3]

        Then leave as much time to workers that are getting a claim, for them to give it back. [ENV-POOL-28]
        """
        left: list[_Held] = []
        with calls_within(RELEASES_S):
            try:
                for hand in self._hands:
                    self._empty(hand)
                left = self._all_held()
            except BackendUnavailable as error:
                _log.warning(_NOT_RELEASED, names([held.task for held in self._all_held()]), error)
            # The last is the next: servers that can be reached come first. [ENV-POOL-30]
            left.sort(key=lambda held: _server(held.task) not in self._out_of_contact)
            while left:
                server = _server(left[-1].task)
                try:
                    self._release(left[-1])
                    left.pop()
                except BackendUnavailable as error:
                    there = [held.task for held in left if _server(held.task) == server]
                    _log.warning(_NOT_RELEASED, names(there), error)
                    left = [held for held in left if _server(held.task) != server]
        with self._changed:
            self._changed.wait_for(lambda: self._claiming == 0, RELEASES_S)

    def give_back(self, task: FunctionTask) -> None:
        """A worker has got it too late to begin it. [ENV-POOL-28]"""
        _log.warning("not begun by the drain deadline: %s [%s]", task.name, task.id)
        try:
            if not task.is_forgotten:  # else there is no claim to give back
                with calls_within(RELEASES_S):
                    self._broker.release(task, begun=False)
        except Exception as error:  # noqa: BLE001 - it is logged; the lease does the same, later
            _log.warning("not released, left to its lease: %s: %r", names([task]), error)
        self._broker.ended(task.token)

    def give_back_all(self, hand: Hand) -> None:
        """A worker has not begun these, and its pool stops. [ENV-POOL-29]"""
        try:
            with hand.storing, calls_within(RELEASES_S):
                while self._give_back_last(hand):
                    pass
        except BackendUnavailable as error:
            _log.warning("claims can't be given back now: %s", error)

    def _all_held(self) -> list[_Held]:
        with self._changed:
            return list(self._held.values())

    def _look_again(self) -> None:
        with self._changed:
            self._changed.notify()

    def _wait(self) -> list[_Held] | None:
        """The claims whose heartbeat is due, none if only a sign of life is; None when it is over."""
        with self._changed:
            while True:
                now_ms = self._clock.now_ms()
                if self._is_over(now_ms):
                    return None
                due = [held for held in self._held.values() if held.due_ms <= now_ms]
                for held in due:
                    held.due_ms = now_ms + held.rate_ms
                self._say_late(now_ms)
                if due or self._presence.is_due(now_ms, self._held) or self._full(now_ms):
                    return due
                self._wakes_ms = self._next_ms(now_ms)
                forever = self._wakes_ms == math.inf
                self._changed.wait(None if forever else (self._wakes_ms - now_ms) / 1000)

    def _full(self, now_ms: int) -> list[Hand]:
        """The hands in which something has been for too long."""
        dues_ms = [(hand, hand.due_ms) for hand in self._hands]
        return [hand for hand, due_ms in dues_ms if due_ms is not None and due_ms <= now_ms]

    def _relieve(self) -> None:
        """Take a little of what has been in hand for too long out of there: then heartbeats come. [ENV-POOL-29]"""
        for hand in self._full(self._clock.now_ms())[:1]:
            if not hand.storing.acquire(blocking=False):
                hand.put_off(DUE_MS)  # its worker is at it
                continue
            try:
                with calls_within(RELIEF_S):
                    self._empty_a_little(hand)
            except BackendUnavailable as error:
                hand.put_off(RETRY_MS)
                _log.warning("nothing can be stored or given back, trying again: %s", error)
            finally:
                hand.storing.release()

    def _put_off_hands(self) -> None:
        for hand in self._full(self._clock.now_ms()):
            hand.put_off(RETRY_MS)

    def _empty(self, hand: Hand) -> None:
        """Take out all that is there, unless its worker is at it."""
        if hand.storing.acquire(blocking=False):
            try:
                while self._empty_a_little(hand):
                    pass
            finally:
                hand.storing.release()

    def _empty_a_little(self, hand: Hand) -> bool:
        """Store the outcomes, or else give a claim back. Was there any? The caller is `storing`."""
        if not (ended := hand.outcomes()):
            return self._give_back_last(hand)
        tasks = [each.task for each in ended]
        self.ending(*tasks)
        try:
            store(self._broker, ended)
        except BackendUnavailable as error:
            is_unknown = error.outcome == "unknown"
            hand.put_back([each._replace(again=each.again or is_unknown) for each in ended])
            raise
        except Exception:  # noqa: BLE001 - it is logged; their leases pass, and who waits is told
            _log.exception("given up: %s", names(tasks))
        self.let_go(*tasks)
        return True

    def _give_back_last(self, hand: Hand) -> bool:
        """The last claim that was not begun, if there is one."""
        task = hand.last()
        if task is None:
            return False
        self.ending(task)
        try:
            self._broker.release(task, begun=False)
        except BackendUnavailable:
            raise
        except Exception:  # noqa: BLE001 - it is logged; its lease passes
            _log.exception("not given back: %s [%s]", task.name, task.id)
        hand.was_given_back()
        self.let_go(task)
        return True

    def _is_over(self, now_ms: int) -> bool:
        return self._is_late(now_ms) or self._workers == 0

    def _is_late(self, now_ms: int) -> bool:
        return self._drain_at_ms is not None and self._drain_at_ms <= now_ms

    def _wake_by(self, at_ms: int) -> None:
        """Have `keep` look at that time: most tasks end long before, and need not wake it."""
        if at_ms < self._wakes_ms:
            self._changed.notify()

    def _next_ms(self, now_ms: int) -> float:
        """When there will be something to do."""
        times_ms: list[float] = [held.due_ms for held in self._held.values()]
        times_ms += [limited.late_ms for limited in self._limited.values()]
        times_ms += [due_ms for hand in self._hands if (due_ms := hand.due_ms) is not None]
        if self._drain_at_ms is not None:
            times_ms.append(self._drain_at_ms)
        look_ms = self._presence.look_ms(now_ms, self._held)
        if look_ms is not None:
            times_ms.append(look_ms)
        return min(times_ms, default=math.inf)

    def _say_late(self, now_ms: int) -> None:
        for token, (task, late_ms, end) in list(self._limited.items()):
            if late_ms <= now_ms:
                del self._limited[token]
                # Within the lock: `drop`, with which a worker goes on to the next task, comes before or after.
                is_ended = end(f"time limit of {task.time_limit:g} s passed")
                _log.warning(
                    "its time limit of %g s has passed, %s: %s [%s]",
                    task.time_limit,
                    "so it is cancelled" if is_ended else "but no thread can be ended",
                    task.name,
                    task.id,
                )

    def _sign(self) -> None:
        """Leave a sign of life, if one is due: after the heartbeats."""
        now_ms = self._clock.now_ms()
        with self._changed:
            if not self._presence.is_due(now_ms, self._held):
                return
            tasks = [held.task for held in self._held.values()]
        self._presence.sign(now_ms, tasks)

    def _beat_all(self, due: list[_Held]) -> bool:
        """Send these heartbeats. Could their servers be reached?

        If one can't, none waits for it behind the first, and no other server's behind that. [ENV-POOL-30]
        """
        due.sort(key=lambda held: _server(held.task) in self._out_of_contact)
        for number, held in enumerate(due):
            with self._changed:
                if self._is_over(self._clock.now_ms()):
                    break
            try:
                with calls_within(BEAT_S):
                    self._beat(held)
            except BackendUnavailable as error:
                self._put_off(due[number:], error)
                return False
            if self._out_of_contact and (server := _server(held.task)) in self._out_of_contact:
                self._out_of_contact.discard(server)
                _log.info("heartbeats are sent again")
        return True

    def _put_off(self, unsent: list[_Held], error: BackendUnavailable) -> None:
        """Have these heartbeats sent again soon, those of other servers than the first's at once; and say so once."""
        now_ms = self._clock.now_ms()
        server = _server(unsent[0].task)
        for held in unsent:
            wait_ms = RETRY_MS if _server(held.task) == server else 0
            held.due_ms = min(held.due_ms, now_ms + wait_ms)
        if server not in self._out_of_contact:
            self._out_of_contact.add(server)
            _log.warning("no heartbeat can be sent, trying again every second: %s", error)

    def _beat(self, held: _Held) -> None:
        try:
            if not self._broker.heartbeat(held.task):
                self._lost(held)
        except BackendUnavailable:
            raise
        except Exception:  # noqa: BLE001 - it is logged, and the other claims need theirs
            _log.exception("no heartbeat: %s [%s]", held.task.name, held.task.id)
            held.due_ms = min(held.due_ms, self._clock.now_ms() + RETRY_MS)

    def _lost(self, held: _Held) -> None:
        with self._changed:
            if self._held.pop(held.task.token, None) is None or held.is_ending:
                return  # most likely it has just ended, or was given back
        if held.task.may_be_forgotten:
            return
        _log.warning("the claim is lost: %s [%s]", held.task.name, held.task.id)

    def _release(self, held: _Held) -> None:
        task, is_begun = held.task, held.is_begun
        try:
            is_released = self._broker.release(task, begun=is_begun)
        except BackendUnavailable:
            raise
        except Exception:  # noqa: BLE001 - it is logged; the lease does the same, later
            _log.exception("not released: %s [%s]", task.name, task.id)
            return
        if is_released:  # else its outcome has just been stored, most likely
            what = "still running at" if is_begun else "not begun by"
            _log.warning("%s the drain deadline, released: %s [%s]", what, task.name, task.id)


def _server(task: FunctionTask) -> str:
    """Where its claim is, if a pool has several queues; else there is only one."""
    home: Home | None = getattr(task.token, "home", None)
    return "" if home is None else home.url


def names(tasks: list[FunctionTask]) -> str:
    shown = ", ".join(f"{task.name} [{task.id}]" for task in tasks[:SHOWN_MAX])
    more = len(tasks) - SHOWN_MAX
    return f"{shown} and {more} more" if more > 0 else shown
