"""One run of a pool of threads, from its start until its last worker has left. Source: SPEC.md, section 9."""

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence

from worq import checks
from worq.backend import LEASE_MARGIN_S
from worq.core import Broker, Ended
from worq.errors import BackendUnavailable, QueueClosed
from worq.failures import TaskFailure
from worq.pool.backoff import Backoff
from worq.pool.hand import Hand
from worq.pool.keeper import Keeper
from worq.pool.presence import Presence
from worq.pool.signals import SIGNAL_LOOK_S
from worq.task import FunctionTask
from worq.values import Claim

_log = logging.getLogger(__name__)


class Shift:
    """The threads of a pool: its workers, and one that keeps their claims.

    There are two queue objects: one to claim with, which `stop` closes so that nobody waits any
    longer, and one for all else, which is closed when it is over. A claim that was made while `stop`
    closed the first is run like any other. [ENV-POOL-6]
    """

    def __init__(self, broker: Broker, workers: int, name: str, *, drain_s: float | None) -> None:
        self._pid = os.getpid()
        self._drain_ms = checks.milliseconds_or_forever(drain_s)
        self._timeout_s: float | None = None
        self._stopping = threading.Event()
        self._over = threading.Event()
        self._left: list[threading.Thread] = []
        self._has_begun = False
        self._turns: dict[threading.Thread, bool] = {}  # may it run? `setdefault` is atomic
        self._claims = broker.clone()
        try:
            self._work = broker.clone()
        except BaseException:
            self._claims.close()
            raise
        self._clock = self._work.clock
        bodies = self._bodies(workers)
        presence = Presence(self._work, self._clock, name, workers)
        self._keeper = Keeper(self._work, self._clock, len(bodies), presence)
        self._keeping = threading.Thread(target=self._keep, name=f"{name} keeper", daemon=True)
        self._threads = [
            threading.Thread(target=self._live, args=(body,), name=f"{name} {role}", daemon=True)
            for role, body in bodies
        ]

    def _bodies(self, workers: int) -> list[tuple[str, Callable[[], None]]]:
        """What there is for threads to do, in the order in which they are started."""
        return [(f"worker {number}", self._labour) for number in range(1, workers + 1)]

    # What the pool does.

    def start(self, timeout_s: float | None) -> None:
        """Start the threads. If that raises, `call_off` is to be called."""
        self._timeout_s = timeout_s
        self._has_begun = True
        atexit.register(self._at_exit)
        for thread in (self._keeping, *self._threads):
            thread.start()

    def call_off(self) -> None:
        """Leave nothing running, however far the start has come, and wait for that. [ENV-POOL-2]

        A start that was interrupted does not say whether its last thread runs; so each takes its turn when
        it begins, and here all others lose theirs.
        """
        for thread in self._threads:
            if thread not in self._turns and not self._turns.setdefault(thread, False):
                self._keeper.leave()
        if not self._turns.setdefault(self._keeping, False):
            self._end()
        self.stop()
        self.join()

    def stop(self) -> None:
        """Claim nothing more; what runs has until the drain deadline. Idempotent."""
        if self._is_inherited():
            return
        self._stopping.set()
        self._keeper.drain(self._drain_ms)
        self._claims.close()

    def abort(self) -> None:
        """The drain deadline passes now. Idempotent."""
        self.stop()
        self._keeper.drain(0)

    def join(self) -> None:
        """Wait until it is over. Threads whose tasks did not end by the drain deadline are left."""
        if self._is_inherited() or not self._has_begun:
            return
        # An interrupted join of a thread leaves it marked as ended before Python 3.13; an event is not.
        while not self._over.wait(SIGNAL_LOOK_S):
            pass
        if self._turns.get(self._keeping):
            self._keeping.join()
        for thread in tuple(self._left):
            thread.join()

    def is_running(self) -> bool:
        return self._has_begun and not (self._over.is_set() or self._is_inherited())

    def has(self, thread: threading.Thread) -> bool:
        """Is it one of the workers?"""
        return thread in self._threads

    def _is_inherited(self) -> bool:
        # A fork has none of the threads.
        return self._pid != os.getpid()

    def _at_exit(self) -> None:
        self.stop()
        self.join()

    # What the keeper's thread does.

    def _keep(self) -> None:
        if not self._takes_its_turn():
            return
        try:
            self._keeper.keep()
            self._give_up()
            self._keeper.release_all()
        finally:
            self._end()

    def _give_up(self) -> None:
        """End what still runs, if that can be done."""

    def _end(self) -> None:
        self._stopping.set()
        self._over.set()
        self._claims.close()
        self._work.close()
        atexit.unregister(self._at_exit)

    # What a worker's thread does.

    def _takes_its_turn(self) -> bool:
        return self._turns.setdefault(threading.current_thread(), True)

    def _live(self, body: Callable[[], None]) -> None:
        if not self._takes_its_turn():
            return
        try:
            body()
        finally:
            self._left.append(threading.current_thread())
            self._keeper.leave()

    def _labour(self) -> None:
        hand = Hand(self._clock)
        self._keeper.watch(hand)
        while (claim := hand.next() or self._more(hand)) is not None:
            self._perform(claim, hand)

    def _more(self, hand: Hand) -> Claim | None:
        """Store what there is, and claim what comes next; None when it is time to stop. [ENV-POOL-27]"""
        claims = self._store_all(hand) or self._next(hand.wanted)
        claim = hand.begin(claims)
        if len(claims) > 1:
            self._keeper.look_by(hand.due_ms)
        return claim

    def _next(self, limit: int = 1) -> list[Claim]:
        """The next claims; none when it is time to stop."""
        backoff = Backoff(self._stopping)
        while not self._stopping.is_set():
            try:
                claims = self._claims.claim_many(limit, self._timeout_s)
            except Exception as error:  # noqa: BLE001 - nothing ends a worker [ENV-POOL-5]
                if self._stopping.is_set():
                    break
                _log_trouble("claimed", error, backoff)
                backoff.pause()
            else:
                if claims:
                    return claims
                backoff.reset()
        return []

    def _perform(self, claim: Claim, hand: Hand) -> None:
        """Run a task. Whatever happens, the worker goes on. [ENV-POOL-4]"""
        began_s = time.monotonic()
        try:
            self._run(*self._work.unpack(claim), hand)
        except BaseException:  # noqa: BLE001 - it is logged; its lease passes, and who waits is told
            _log.exception("given up: %s", claim.id)
            self._work.ended(claim.token)
        hand.took(time.monotonic() - began_s)

    def _run(self, task: FunctionTask, failure: TaskFailure | None, hand: Hand) -> None:
        self._keeper.hold(task)
        self._keeper.limit(task)
        try:
            outcome = self._work.outcome(task, failure)
        except BaseException:
            self._keeper.drop(task)
            raise
        if task.is_forgotten:
            self._let_go(task)
        else:
            hand.put(Ended(task, *outcome))

    def _let_go(self, task: FunctionTask) -> None:
        self._keeper.drop(task)
        self._work.ended(task.token)

    def _store_all(self, hand: Hand) -> list[Claim]:
        """Store what is in hand, in one call with the next claims, if it isn't time to stop."""
        ended = hand.outcomes()
        if not ended:
            return []
        claims: list[Claim] = []

        def act(again: bool) -> None:  # noqa: FBT001 - as `_store` calls it
            wanted = 0 if self._stopping.is_set() else hand.wanted
            tried = [each._replace(again=True) for each in ended] if again else ended
            claims.extend(self._work.finish_many(tried, wanted))

        try:
            self._store([each.task for each in ended], act)
        except BaseException:  # noqa: BLE001 - as above
            _log.exception("given up: %s", ", ".join(each.task.id for each in ended))
        finally:
            for each in ended:
                self._let_go(each.task)
        return claims

    def _store(self, tasks: Sequence[FunctionTask], act: Callable[[bool], object]) -> None:
        """Store outcomes, and try again for as long as one of the claims may stand without a heartbeat.

        `act` is told whether a try before may have done it.
        """
        self._keeper.ending(tasks)
        again = False
        backoff = Backoff(self._over)
        heartrate_s = max(task.heartrate for task in tasks)
        lease_ms = checks.milliseconds(2 * heartrate_s + LEASE_MARGIN_S)
        deadline_ms = self._clock.now_ms() + lease_ms
        while True:
            try:
                act(again)
            except QueueClosed:
                for task in tasks:
                    _log.warning("after the drain deadline, dropped: %s [%s]", task.name, task.id)
            except BackendUnavailable as error:
                if self._over.is_set() or deadline_ms <= self._clock.now_ms():
                    raise
                again = again or error.outcome == "unknown"
                _log_trouble("stored", error, backoff)
                backoff.pause()
                continue
            return


def _log_trouble(what: str, error: Exception, backoff: Backoff) -> None:
    is_known = isinstance(error, BackendUnavailable)
    _log.warning(
        "nothing can be %s, trying again in %.1f s: %r",
        what,
        backoff.delay_s,
        error,
        exc_info=None if is_known else error,
    )
