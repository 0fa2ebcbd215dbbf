"""One run of a pool of processes: who claims, who minds the workers, and what becomes of claims."""

import logging
import signal
from collections.abc import Callable
from queue import SimpleQueue

from worq.core import Broker, Ended
from worq.failures import describe
from worq.pool.desk import Desk, Job
from worq.pool.minder import Minder, Terms
from worq.pool.shift import Shift
from worq.pool.signals import SIGNALS, leave_to_the_main_thread
from worq.pool.worker import KILLED_S
from worq.task import FunctionTask
from worq.values import Claim

_log = logging.getLogger(__name__)


class Crew(Shift):
    """The threads of a pool of processes: some that claim, a minder for each worker, and the keeper.

    One claims for all workers; of several queues, as many as these: a connection that has gone silent
    keeps one of them, and the others go on.

    Claims stay in this process, which only lends the tasks to workers: so whatever becomes of a
    worker, its claim is kept, finished or released from here. [ENV-POOL-13]
    """

    def __init__(
        self, broker: Broker, workers: int, name: str, terms: Terms, *, drain_s: float | None
    ) -> None:
        self._name = name
        self._terms = terms
        self._claimers = min(workers, broker.queue_count)
        self._desk = Desk(workers, self._claimers)
        self._reports: SimpleQueue[BaseException | None] = SimpleQueue()
        super().__init__(broker, workers, name, drain_s=drain_s)

    def _bodies(self, workers: int) -> list[tuple[str, Callable[[], None]]]:
        del workers  # as many as there are posts
        bodies: list[tuple[str, Callable[[], None]]] = [
            (f"claimer {number}", self._claim) for number in range(1, self._claimers + 1)
        ]
        for number, post in enumerate(self._desk.posts, start=1):
            minder = Minder(self._terms, self._desk, post, self, self._reports.put)
            bodies.append((f"minder {number}", minder.mind))
        return bodies

    # What the pool does.

    def start(self, timeout_s: float | None, *, handle_sigterm: bool = False) -> None:
        """Start all workers and wait until they are ready, or raise why one can't be. [ENV-POOL-9]"""
        if handle_sigterm:
            SIGNALS.watch(signal.SIGTERM, self.step)
        super().start(timeout_s)
        self._await_workers()
        self._desk.open()

    def call_off(self) -> None:
        self.abort()
        super().call_off()

    def _await_workers(self) -> None:
        for _ in self._desk.posts:
            error = self._reports.get()
            if error is not None:
                raise error

    def stop(self) -> None:
        super().stop()
        if not self._is_inherited():
            self._desk.wake()

    def abort(self) -> None:
        """End what runs, too. Idempotent."""
        if not self._is_inherited():
            super().abort()
            self._desk.end()

    def step(self) -> None:
        """Stop; if it is stopping already, abort. [ENV-POOL-16]"""
        if self._stopping.is_set():
            _log.warning("%s: ending what runs, another signal has come", self._name)
            self.abort()
        else:
            _log.info("%s: stopping, a signal has come", self._name)
            self.stop()

    def join(self) -> None:
        """Wait until it is over, and nothing of it is left."""
        if self._is_inherited():
            return
        super().join()
        for thread in filter(self._turns.get, self._threads):
            thread.join()

    # What threads do.

    def _live(self, body: Callable[[], None]) -> None:
        leave_to_the_main_thread()
        super()._live(body)

    # What the keeper's thread does.

    def _keep(self) -> None:
        leave_to_the_main_thread()
        super()._keep()

    def _give_up(self) -> None:
        self._desk.end()
        for thread in filter(self._turns.get, self._threads[: self._claimers]):
            thread.join(KILLED_S)  # it may just be getting a claim
        if not self._desk.wait_until_idle(KILLED_S):
            _log.error("a worker process can't be killed")
        for job in self._desk.waiting():
            self.not_begun(job.task)
            if job.task.may_be_forgotten:  # nothing else would tell
                _log.error("not run by the drain deadline: %s [%s]", job.task.name, job.task.id)

    def _end(self) -> None:
        self._stopping.set()  # first: who is woken by the other looks at it
        self._desk.end()
        super()._end()
        SIGNALS.unwatch(signal.SIGTERM, self.step)

    # What claiming threads do.

    def _claim(self) -> None:
        """Claim a task as soon as a worker is free, for that one or for the next."""
        try:
            while self._desk.wait_for_free(self._stopping):
                claim = self._next()
                if claim is None:
                    break
                job = self._job(claim)
                if job is None:
                    break
                self._desk.fill(job)
        finally:
            self._desk.close()

    def _job(self, claim: Claim) -> Job | None:
        """What is to be done, whose claim is kept from here on; None if it came too late."""
        task = self._work.glance(claim)
        return Job(claim, task) if self._holds(task) else None

    # What minders do with claims.

    def finish(
        self, task: FunctionTask, message: bytes, *, failed: bool, goes_on: bool
    ) -> Job | None:
        """Store an outcome that a worker has written, and claim its next task if it goes on. [ENV-POOL-27]"""
        claims: list[Claim] = []

        def act(again: bool) -> None:  # noqa: FBT001 - as `_store` calls it
            wanted = 1 if goes_on and not self._stopping.is_set() else 0
            endings = [] if task.is_forgotten else [Ended(task, message, failed, again)]
            try:
                claims.extend(self._work.finish_many(endings, wanted))
            except ValueError as error:  # the worker's broker allows more
                reason = f"result cannot be serialized: {describe(error)}"
                self._work.fail(task, reason, again=again)

        with self._keeper.claiming():
            asked_ms = self._clock.now_ms()
            self._settle(task, act)
            return self._job(claims[0]) if claims and self._stands(claims[0], asked_ms) else None

    def fail(self, task: FunctionTask, reason: str) -> None:
        """Store a failure that no worker could write."""
        self._settle(task, lambda again: self._work.fail(task, reason, again=again))

    def release(self, task: FunctionTask) -> None:
        """Give the claim of a worker that has died back at once. [ENV-POOL-10]"""
        self._keeper.drop(task)
        if task.is_forgotten:
            self._work.ended(task.token)
        else:
            self._settle(task, lambda _: self._work.release(task))

    def not_begun(self, task: FunctionTask) -> None:
        """The pool gives up, and no worker has begun it: it loses no start. [ENV-POOL-28]"""
        self._keeper.not_begun(task)

    def _settle(self, task: FunctionTask, act: Callable[[bool], object]) -> None:
        try:
            self._store(task, act)
        except Exception:  # noqa: BLE001 - it is logged; its lease passes, and who waits is told
            _log.exception("given up: %s [%s]", task.name, task.id)
        finally:
            self._keeper.let_go(task)
