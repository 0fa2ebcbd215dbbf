"""Who looks after one worker process of a pool: starts it, gives it tasks, and replaces it when it dies."""

import enum
import logging
import math
import select
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from worq.pool.backoff import Backoff
from worq.pool.desk import Desk, Job, Post
from worq.pool.labour import Recipe
from worq.pool.line import FAILURE, READY, Message
from worq.pool.worker import Worker, WorkerInitError
from worq.task import FunctionTask
from worq.values import Claim

# A wait ends after so long and looks whether the worker is alive: a process that it has forked
# may hold its end of the line.
LOOK_S = 5.0
# So many workers may die between getting a task and beginning it; after that it counts as begun.
DEATHS_MAX = 3

_log = logging.getLogger(__name__)


class Terms(NamedTuple):
    """What all workers of a pool have in common. `name`: of their processes."""

    recipe: Recipe
    name: str
    tasks_max: int | None
    time_limit_s: float | None


class Claims(Protocol):
    """What becomes of claims. None of these raises. `finish`: and which comes next, if any is wanted."""

    def finish(
        self, task: FunctionTask, message: bytes, *, failed: bool, goes_on: bool
    ) -> Job | None: ...

    def fail(self, task: FunctionTask, reason: str) -> None: ...

    def release(self, task: FunctionTask) -> None: ...

    def not_begun(self, task: FunctionTask) -> None: ...


class _Ending(enum.Enum):
    """How a task ends that has no outcome."""

    GONE = enum.auto()  # its worker has died
    LATE = enum.auto()  # the time limit has passed
    OVER = enum.auto()  # the pool gives up


class Minder:
    """Has a worker process at one post of the desk. `mind` is the body of one thread."""

    def __init__(
        self,
        terms: Terms,
        desk: Desk,
        post: Post,
        claims: Claims,
        report: Callable[[BaseException | None], None],
    ) -> None:
        """`report` is called once: the first worker is ready, or why there is none."""
        self._terms = terms
        self._desk = desk
        self._post = post
        self._claims = claims
        self._report: Callable[[BaseException | None], None] | None = report
        self._is_refused = False
        self._poll = select.poll()
        self._bell = post.bell.fileno()
        self._poll.register(self._bell, select.POLLIN)

    def mind(self) -> None:
        """Have a worker until nothing is left to be done, or until the first one can't be had."""
        backoff = Backoff(self._desk)
        try:
            while not (self._desk.is_done() or self._is_refused):
                if self._employ(backoff):
                    backoff.reset()
                elif not self._is_refused:
                    backoff.pause()
        finally:
            self._tell(None)
            self._desk.leave(self._post)

    def _tell(self, error: BaseException | None) -> None:
        report, self._report = self._report, None
        if report is not None:
            report(error)

    # One worker, from its start to its end.

    def _employ(self, backoff: Backoff) -> bool:
        """Have one worker until it has ended. Did it begin a task?"""
        try:
            worker = Worker(self._terms.recipe, self._terms.name)
        except BaseException as error:  # noqa: BLE001 - nothing ends a minder
            self._regret(error, backoff)
            return False
        descriptor = worker.line.fileno()
        self._poll.register(descriptor, select.POLLIN)
        try:
            return self._await_ready(worker) and self._serve(worker)
        except BaseException as error:  # noqa: BLE001 - as above
            self._regret(error, backoff)
            return False
        finally:
            self._poll.unregister(descriptor)
            worker.end()

    def _regret(self, error: BaseException, backoff: Backoff) -> None:
        if self._report is not None:
            self._is_refused = True
            self._tell(error)
            return
        _log.error(
            "no worker, trying again in %.1f s: %s",
            backoff.delay_s,
            error,
            exc_info=None if isinstance(error, WorkerInitError) else error,
        )

    def _await_ready(self, worker: Worker) -> bool:
        """Wait until it has its broker. False if nobody needs it any more."""
        try:
            while not self._desk.is_done():
                message = self._hear(worker, LOOK_S)
                if message is not None and message.kind == READY:
                    self._tell(None)
                    return True
        except EOFError:
            how = worker.end()
            raise WorkerInitError(f"a worker process ended before it was ready: {how}") from None
        return False

    def _serve(self, worker: Worker) -> bool:
        """Give it tasks until it ends, or has had enough. Did it begin one?"""
        served = 0
        job: Job | None = None
        while served != self._terms.tasks_max:
            job = job or self._next_job(worker)
            if job is None:
                return served > 0
            ending = self._attend(worker, job)
            if not isinstance(ending, Message):
                return self._bury(worker, job, ending) or served > 0
            served += 1
            job = self._finish(job.task, ending, is_last=served == self._terms.tasks_max)
        worker.dismiss()
        return True

    def _next_job(self, worker: Worker) -> Job | None:
        """What it is to do; None if it has died, or if nothing is left to be done."""
        self._desk.offer(self._post)
        try:
            while self._post.job is None and not self._desk.is_done():
                self._hear(worker, LOOK_S)
        except EOFError:
            _log.warning("a worker process has died idle: %s", worker.end())
            self._desk.give_back(self._post)  # nobody has begun it
            return None
        job = self._desk.take(self._post)
        if job is None:
            worker.dismiss()
        return job

    # One task.

    def _attend(self, worker: Worker, job: Job) -> Message | _Ending:
        """Have the task run. Its outcome, or how else it ends: then the worker is good for no other."""
        try:
            return self._follow(worker, job.claim, self._limit_s(job.task))
        except Exception:  # noqa: BLE001 - a bug; but nobody else will give the claim back
            _log.exception("given up: %s [%s]", job.task.name, job.task.id)
            job.deaths = DEATHS_MAX
            return _Ending.GONE

    def _finish(self, task: FunctionTask, outcome: Message, *, is_last: bool) -> Job | None:
        """Store what the task came to. The next one for its worker, if one was claimed with it. [ENV-POOL-27]"""
        self._desk.done(self._post)
        job = self._claims.finish(
            task,
            outcome.content,
            failed=outcome.kind == FAILURE,
            goes_on=not (is_last or self._desk.has_waiting),
        )
        if job is not None:
            self._desk.keep(self._post, job)
        return job

    def _bury(self, worker: Worker, job: Job, ending: _Ending) -> bool:
        """End the worker, and do what the task needs that it had. Had it begun that?"""
        how = worker.end()
        # Only now: before, it may just be beginning.
        has_begun = worker.begun_s is not None
        if not has_begun and job.deaths < DEATHS_MAX and ending is not _Ending.OVER:
            job.deaths += 1
            self._desk.give_back(self._post)
        else:
            if ending is _Ending.OVER and not has_begun:
                self._claims.not_begun(job.task)
            self._desk.done(self._post)
            self._end(job.task, ending, how)
        return has_begun

    def _end(self, task: FunctionTask, ending: _Ending, how: str) -> None:
        """Do what a task without an outcome needs. Nothing of it runs any more."""
        match ending:
            case _Ending.GONE:
                _log.error("its worker process has died: %s [%s]: %s", task.name, task.id, how)
                self._claims.release(task)
            case _Ending.LATE:
                reason = f"time limit of {self._limit_s(task):g} s passed"
                _log.error("ended: %s [%s]: %s", task.name, task.id, reason)
                self._claims.fail(task, reason)
            case _Ending.OVER:
                if task.may_be_forgotten:  # others are released with all that is left
                    _log.error("ended by the pool: %s [%s]", task.name, task.id)

    def _follow(self, worker: Worker, claim: Claim, limit_s: float) -> Message | _Ending:
        """Hand the task over and wait for what comes of it."""
        if self._desk.is_over():
            return _Ending.OVER
        handed_s = time.monotonic()
        try:
            worker.hand(claim)
            while not self._desk.is_over():
                left_s = (worker.begun_s or handed_s) + limit_s - time.monotonic()
                if left_s <= 0:
                    return _Ending.LATE
                message = self._hear(worker, left_s)
                if message is not None:
                    return message
        except EOFError:
            return _Ending.GONE
        return _Ending.OVER

    def _limit_s(self, task: FunctionTask) -> float:
        """How long the task may run: the shorter of its own limit and the pool's. [ENV-POOL-12]"""
        limits_s = (task.time_limit, self._terms.time_limit_s)
        return min((limit_s for limit_s in limits_s if limit_s is not None), default=math.inf)

    def _hear(self, worker: Worker, timeout_s: float) -> Message | None:
        """The worker's next message; None if the bell was rung, or after a while.

        EOFError if the worker has ended.
        """
        line = worker.line
        if not line.has_arrived:
            if line.has_more_to_send:
                self._poll.modify(line, select.POLLIN | select.POLLOUT)
            ready = self._poll.poll(math.ceil(1000 * min(timeout_s, LOOK_S)))
            if not ready and not worker.is_alive():
                raise EOFError
            if (self._bell, select.POLLIN) in ready:
                self._post.still()
            if line.has_more_to_send:
                line.flush()
                self._poll.modify(line, select.POLLIN)
        return worker.receive()
