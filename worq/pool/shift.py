"""One run of a pool of threads, from its start until its last worker has left. Source: SPEC.md, section 9."""

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator

from worq import checks, coroutines
from worq.backend import LEASE_MARGIN_S
from worq.core import Broker, Ended
from worq.errors import BackendUnavailable, QueueClosed
from worq.failures import TaskFailure
from worq.pool.backoff import Backoff
from worq.pool.hand import Hand, store
from worq.pool.keeper import Keeper, names
from worq.pool.presence import Presence
from worq.pool.signals import SIGNAL_LOOK_S
from worq.task import FunctionTask
from worq.values import Claim

# No lease is shorter: a claim whose answer took so long may be another worker's by now. [ENV-POOL-28]
STALE_MS = 1000 * LEASE_MARGIN_S

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
            with coroutines.loop_kept():
                body()
        finally:
            self._left.append(threading.current_thread())
            self._keeper.leave()

    def _labour(self) -> None:
        hand = Hand(self._clock)
        self._keeper.watch(hand)
        while (job := self._next_job(hand)) is not None:
            self._perform(*job, hand)

    def _next_job(self, hand: Hand) -> tuple[FunctionTask, TaskFailure | None] | None:
        """Begin what is in hand, or store what there is and begin what comes next; None when it is time to stop."""
        while not self._stopping.is_set() and (claim := self._in(hand)) is not None:
            if (job := self._unpack(claim)) is not None:
                if self._keeper.begin(job[0]):
                    return job
                self._work.ended(claim.token)
        with self._keeper.claiming():
            for claim in self._claimed_after(hand):
                job = self._unpack(claim)
                if job is not None and self._holds(job[0]):
                    return job
        return None

    def _claimed_after(self, hand: Hand) -> Iterator[Claim]:
        if self._stopping.is_set():
            self._keeper.give_back_all(hand)
        claim = self._store_all(hand)
        while claim is not None or (claim := self._after(hand)) is not None:
            yield claim
            claim = None

    def _after(self, hand: Hand) -> Claim | None:
        """What comes next, in hand or from the queue. What is in hand when it is time to stop is the keeper's."""
        claim = None if self._stopping.is_set() else self._in(hand)
        return claim or self._next()

    def _in(self, hand: Hand) -> Claim | None:
        """The next claim in hand."""
        while (claim := hand.next()) is not None:
            if self._stands(claim, hand.asked_ms):
                return claim
        return None

    def _unpack(self, claim: Claim) -> tuple[FunctionTask, TaskFailure | None] | None:
        """The task, and its failure if it can't be read; None if nothing can be done with it."""
        try:
            return self._work.unpack(claim)
        except BaseException:  # noqa: BLE001 - it is logged; its lease passes, and who waits is told
            _log.exception("given up: %s", claim.id)
            self._keeper.let_go(self._work.glance(claim))
            return None

    def _holds(self, task: FunctionTask) -> bool:
        """Have its claim kept; False if it came too late, and was given back."""
        if self._keeper.hold(task):
            return True
        self._keeper.give_back(task)
        return False

    def _next(self) -> Claim | None:
        """The next claim; None when it is time to stop."""
        backoff = Backoff(self._stopping)
        while not self._stopping.is_set():
            asked_ms = self._clock.now_ms()
            try:
                claim = self._claims.claim(self._timeout_s)
            except Exception as error:  # noqa: BLE001 - nothing ends a worker [ENV-POOL-5]
                if self._stopping.is_set():
                    break
                _log_trouble("claimed", error, backoff)
                backoff.pause()
            else:
                if claim is not None and self._stands(claim, asked_ms):
                    return claim
                backoff.reset()
        return None

    def _stands(self, claim: Claim, asked_ms: int) -> bool:
        """Is it still this worker's? A heartbeat tells, if its answer took long. [ENV-POOL-28]"""
        if self._clock.now_ms() < asked_ms + STALE_MS:
            return True
        task = self._work.glance(claim)
        if task.is_forgotten:
            return True  # it has no lease
        beats: list[bool] = []
        try:
            self._store(task, lambda _: beats.append(self._work.heartbeat(task)))
        except Exception:  # noqa: BLE001 - it is logged; its lease passes, and who waits is told
            _log.exception("given up: %s [%s]", task.name, task.id)
        if beats == [True] or (beats and task.may_be_forgotten):
            return True
        if beats:
            _log.warning(
                "the claim was lost before its task was begun: %s [%s]", task.name, task.id
            )
        self._keeper.let_go(task)
        return False

    def _perform(self, task: FunctionTask, failure: TaskFailure | None, hand: Hand) -> None:
        """Run a task. Whatever happens, the worker goes on. [ENV-POOL-4]"""
        began_s = time.monotonic()
        try:
            outcome = self._outcome(task, failure)
        except BaseException:  # noqa: BLE001 - it is logged; its lease passes, and who waits is told
            _log.exception("given up: %s [%s]", task.name, task.id)
            self._keeper.let_go(task)
        else:
            self._keeper.ran(task)
            if task.is_forgotten:
                self._keeper.let_go(task)
            else:
                hand.put(Ended(task, *outcome))
        hand.took(time.monotonic() - began_s)

    def _outcome(self, task: FunctionTask, failure: TaskFailure | None) -> tuple[bytes, bool]:
        if task.time_limit is None:
            return self._work.outcome(task, failure)
        with coroutines.limited() as end:
            self._keeper.limit(task, end)
            return self._work.outcome(task, failure)

    def _store_all(self, hand: Hand) -> Claim | None:
        """Store what there is, in one call with the next claims, unless it is time to stop. [ENV-POOL-27]"""
        claims: list[Claim] = []
        asked_ms = self._clock.now_ms()
        with hand.storing:
            ended = hand.outcomes()
            if not ended:
                return None

            def act(again: bool) -> None:  # noqa: FBT001 - as `_store` calls it
                # What an answer that was lost had claimed is left to its leases: that is one batch.
                wanted = 0 if self._stopping.is_set() else 1 if again else hand.wanted
                tried = [each._replace(again=each.again or again) for each in ended]
                claims.extend(store(self._work, tried, wanted))

            try:
                self._store(ended[0].task, act, *(each.task for each in ended[1:]))
            except BaseException:  # noqa: BLE001 - it is logged; its lease passes, and who waits is told
                _log.exception("given up: %s", names([each.task for each in ended]))
            finally:
                self._keeper.let_go(*(each.task for each in ended))
        return self._begin(claims, asked_ms, hand)

    def _begin(self, claims: list[Claim], asked_ms: int, hand: Hand) -> Claim | None:
        """The first of them; the others are in hand."""
        if len(claims) > 1:
            others = [(claim, self._work.glance(claim)) for claim in claims[1:]]
            tasks = [task for _, task in others]
            if self._keeper.hold(*tasks, begun=False):
                hand.fill(others, asked_ms)
                self._keeper.look_at(hand)
            else:
                for task in reversed(tasks):
                    self._keeper.give_back(task)
        return claims[0] if claims and self._stands(claims[0], asked_ms) else None

    def _store(
        self, task: FunctionTask, act: Callable[[bool], object], *others: FunctionTask
    ) -> None:
        """Store outcomes, and try again for as long as one of the claims may stand without a heartbeat.

        `act` is told whether a try before may have done it.
        """
        tasks = (task, *others)
        self._keeper.ending(*tasks)
        again = False
        backoff = Backoff(self._over)
        heartrate_s = max(each.heartrate for each in tasks)
        lease_ms = checks.milliseconds(2 * heartrate_s + LEASE_MARGIN_S)
        deadline_ms = self._clock.now_ms() + lease_ms
        while True:
            try:
                act(again)
            except QueueClosed:
                for each in tasks:
                    _log.warning("after the drain deadline, dropped: %s [%s]", each.name, each.id)
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
