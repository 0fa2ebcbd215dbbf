"""The broker: all that an application, and its workers, do with one queue. SPEC.md, section 8."""

import threading
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar, Unpack, cast
from weakref import WeakValueDictionary

from worq import bulk, checks, messages
from worq.backend import LEASE_MARGIN_S, AbstractTaskQueue
from worq.clock import Clock, MonotonicClock
from worq.const import RESERVED, TASK_EXPIRED, Sentinel, State
from worq.coroutines import LimitPassed
from worq.coroutines import run as run_coroutine
from worq.deferred import Deferred, Held, Home, Popped, TaskId
from worq.errors import WorqError
from worq.failures import (
    DUPLICATE_ERROR,
    NO_SUCH_TASK,
    NOT_AVAILABLE,
    NOT_YET,
    PASSED_ON,
    DuplicateTask,
    TaskFailure,
    TasksRefused,
    describe,
)
from worq.introspection import Introspective, Sign
from worq.masking import masked
from worq.messages import Address, Codec
from worq.options import Options
from worq.serializer import Serializer, name_of, resolve
from worq.task import FunctionTask, Queue, TaskSpace, task_name
from worq.urls import open_queue, serializer_in, with_serializer
from worq.values import (
    EXPIRED,
    NO_ARGS,
    Claim,
    Finished,
    Finishing,
    Outcome,
    Submission,
    Submitted,
    Token,
)

if TYPE_CHECKING:
    import logging

__all__ = ["AbstractTaskQueue", "Broker"]

F = TypeVar("F")


@cache
def _log() -> "logging.Logger":
    import logging  # noqa: PLC0415 - it is slow to import, and nearly all that is logged is a worker's

    return logging.getLogger(__name__)


class _Handle(NamedTuple):
    """What there is to know of a task that was submitted elsewhere."""

    id: str
    name: str
    token: Token | None

    @classmethod
    def checked(cls, task_id: object, name: object, token: object) -> Self:
        if not isinstance(name, str):
            raise TypeError(f"name: a string is needed, not {name!r}")
        if token is not None and not isinstance(token, Token):
            raise TypeError(f"token: a Token is needed, not {token!r}")
        return cls(checks.name("task_id", task_id), name, token)


class Ended(NamedTuple):
    """The outcome of a task, to be stored. `again`: a call before may have done it, and its answer was lost."""

    task: FunctionTask
    message: bytes
    failed: bool
    again: bool = False


class _Call(NamedTuple):
    """A call that is written, and what it takes to understand the answer. `names`: of its arguments."""

    task: FunctionTask
    submission: Submission
    passed: messages.Passed
    names: Mapping[str, str]


_NO_NAMES: Mapping[str, str] = {}


class Broker:
    """Speaks for one queue: calls tasks, runs them, and fetches what became of them. Thread-safe.

    A producer makes queues and calls them. A worker exposes tasks, and calls `next_task` and
    `invoke` in turn, or has a pool do so. One that `get_broker` made closes its queue object; one
    that is given a `taskqueue` leaves that open, for it is somebody else's.
    """

    def __init__(
        self, taskqueue: AbstractTaskQueue, *, serializer: Serializer | str | None = None
    ) -> None:
        """`serializer`: one, or its name [ENV-SER-7]; pickle unless told otherwise."""
        self.tasks: dict[str, Callable[..., Any]] = {}
        self._queue = _taskqueue(taskqueue)
        self._serializer = resolve(serializer)
        self._codec = Codec(self._serializer, taskqueue.name, taskqueue.message_bytes_max)
        self._open: Callable[[], AbstractTaskQueue] = partial(
            type(taskqueue),
            taskqueue.url,
            taskqueue.name,
            clock=taskqueue.clock,
            message_bytes_max=taskqueue.message_bytes_max,
        )
        self._is_owner = False
        self.home: Home = Home.of(taskqueue.url, taskqueue.name)

    @classmethod
    def opened(
        cls, opener: Callable[[], AbstractTaskQueue], *, serializer: Serializer | str | None = None
    ) -> Self:
        """A broker that owns the queue object which `opener` opens, and others for its clones."""
        serializer = resolve(serializer)  # before anything is opened
        broker = cls(opener(), serializer=serializer)
        broker._open = opener
        broker._is_owner = True
        return broker

    def clone(self, *, url: str | None = None, name: str | None = None) -> Self:
        """A broker of the same tasks and serializer, with a queue object of its own.

        So a pool can end its own waiting without closing what others use. `url`, `name`: of another
        queue; what was said to its backend beyond these is not said to that one. The URL may name
        another serializer.
        """
        opener, serializer = self._open, self._serializer
        if url is not None:
            in_url = serializer_in(url)
            if in_url not in (None, self.serializer_name):
                serializer = resolve(in_url)
            opener = partial(open_queue, url, self.name if name is None else name)
        elif name is not None:
            queue = self._queue
            opener = partial(
                type(queue),
                queue.url,
                name,
                clock=queue.clock,
                message_bytes_max=queue.message_bytes_max,
            )
        broker = self.opened(opener, serializer=serializer)
        broker.tasks = self.tasks
        if url is None and name is None:
            broker._codec.refusals = self._codec.refusals  # noqa: SLF001 - it is a Broker
        return broker

    def close(self) -> None:
        """Close the queue object, if this broker opened it. Idempotent. [ENV-API-8]

        Whoever waits on it gets QueueClosed. Tasks and outcomes stay in the queue.
        """
        if self._is_owner:
            self._queue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """With the name of its serializer, if that is another than pickle and has one. [ENV-SER-7]"""
        return with_serializer(self._queue.url, self.serializer_name)

    @property
    def serializer_name(self) -> str | None:
        """The name that means such a serializer, with other keys perhaps; None if there is none."""
        return name_of(self._serializer)

    @property
    def refused(self) -> int:
        """How often this broker and its clones for the same queue have refused a message. [ENV-SER-6]"""
        return self._codec.refusals.count

    @property
    def name(self) -> str:
        """The name of the queue."""
        return self._queue.name

    @property
    def queue_count(self) -> int:
        """How many queues it claims from."""
        return 1

    @property
    def clock(self) -> Clock:
        """Where waiting and heartbeats read the time."""
        return self._queue.clock or MonotonicClock()

    # What producers do.

    def queue(self, target: str = "", **options: Unpack[Options]) -> Queue:
        """A Queue that calls tasks through this broker."""
        return Queue(self, target, **options)

    def enqueue(self, task: FunctionTask) -> Deferred | None:
        """Submit a call: a Deferred, or None with `ignore_result`. [CALL-1] to [CALL-7]

        All or nothing, in one operation: when it raises, nothing has changed. (If it raises
        BackendUnavailable, see its `outcome`.)
        """
        call = self._write_call(task)
        _, message, args, outcome = call.submission
        return self._answered(call, self._queue.submit(task, message, args, outcome=outcome))

    def enqueue_many(self, tasks: Iterable[FunctionTask]) -> list[Deferred | None]:
        """Submit many calls in few round trips, in order; `Task.prepare` makes them. [ENV-MANY-1]

        All are checked and written before the first is submitted. One that is refused, as a call
        would be, does not keep the others from being enqueued; then TasksRefused is raised, which
        has the reasons and the Deferreds of the others. An error that cuts it off has `deferreds`
        too, of the first tasks: unless its `outcome` is `'unknown'`, the others are not enqueued,
        and `enqueue_many(tasks[len(error.deferreds):])` goes on. [ENV-MANY-8]
        """
        steps = self._enqueuing(tasks)
        submissions = next(steps)
        try:
            answers = self._queue.submit_many(submissions)
        except WorqError as error:
            steps.throw(error)
            raise
        return bulk.returned(steps, answers)

    def _enqueuing(
        self, tasks: Iterable[FunctionTask]
    ) -> Generator[list[Submission], Sequence[Submitted], list[Deferred | None]]:
        """What `enqueue_many` submits; it is sent the answers, or the error, and returns what that does."""
        calls = bulk.checked("tasks", list(checks.iterable("tasks", tasks)), self._write_one)
        try:
            answers = yield [call.submission for call in calls if isinstance(call, _Call)]
        except WorqError as error:
            error.deferreds, refused = self._answered_each(calls, error.answers)
            if refused:
                error.add_note(f"of {len(error.deferreds)} tasks {len(refused)} were refused")
            raise
        deferreds, refused = self._answered_each(calls, answers)
        if refused:
            text = f"{len(refused)} of {len(calls)} tasks were refused"
            refusal = TasksRefused(text, refused)
            refusal.deferreds = deferreds
            raise refusal
        return deferreds

    def deferred(self, task_id: str, name: str = "", token: Token | None = None) -> Deferred:
        """The Deferred of a task that was submitted elsewhere. [ENV-API-7]

        Without its `token` it means whatever task has that id when it is looked at.
        """
        return Deferred(self, _Handle.checked(task_id, name, token))

    def pop_result(self, task: TaskId, timeout: float | None = 0) -> Any:
        """Take the outcome: the result, or the failure as a TaskFailure, which is returned. [BRK-1]

        Raises KeyError, which says which, if there is none after `timeout` seconds (None: wait for
        ever) or it is for another task, and TaskExpired if there is none and none will come.
        """
        outcome = self.fetch(task, timeout)
        if not isinstance(outcome, Outcome):
            reason = PASSED_ON if outcome is RESERVED else NOT_YET
            raise KeyError("{} [{}:{}] {}".format(*self._address(task), reason))
        held = self.read_outcome(task, outcome)
        if held.kind == "expired" and held.failure is not None:
            raise held.failure
        return held.value

    def status(self, result: TaskId) -> State | None:
        """The state of the task, None if it is absent. [BRK-3]"""
        return self._queue.status(_checked(result).id, token=_token(result))

    def task_failed(self, task: TaskId) -> None:
        """Make the task expire, whatever its state: this cancels it. [BRK-2]"""
        self._queue.discard(_checked(task).id, token=_token(task))

    def discard_pending_tasks(self) -> int:
        """Drop all tasks that wait, and say how many. [BRK-3]"""
        return self._queue.purge()

    def __len__(self) -> int:
        """How many tasks wait."""
        return self._queue.size()

    def __bool__(self) -> bool:
        return True

    # What workers do.

    def expose(self, obj: F, replace: bool = False) -> F:
        """Let this broker's workers run a callable, or all tasks of a TaskSpace, and return it.

        Raises ValueError for a name that is there, unless told to replace; then nothing was added.
        [ENV-API-4]
        """
        if isinstance(obj, TaskSpace):
            tasks = dict(obj.tasks)
        elif callable(obj):
            tasks = {task_name(obj): obj}
        else:
            raise TypeError(f"obj: a TaskSpace or a callable is needed, not {obj!r}")
        there = sorted(self.tasks.keys() & tasks.keys())
        if there and not replace:
            names = ", ".join(there)
            raise ValueError(f"obj: already exposed: {names}; replace=True replaces what is there")
        self.tasks.update(tasks)
        return obj

    def next_task(self, timeout: float | None) -> FunctionTask | None:
        """Lease the next task, waiting at most `timeout` seconds (None: for ever).

        None if there was none, or if it could not be read and has failed. [RUN-5]
        """
        claim = self.claim(timeout)
        return None if claim is None else self.read(claim)

    def claim(self, timeout: float | None) -> Claim | None:
        """The first half of `next_task`: from here on the task is leased."""
        return self._queue.claim(timeout)

    def await_ready(self, timeout: float | None) -> bool:
        """Wait until there may be a task to claim, and leave it. [ENV-WAIT-10]"""
        return self._queue.await_ready(timeout)

    def read(self, claim: Claim) -> FunctionTask | None:
        """The second half of `next_task`."""
        task, failure = self.unpack(claim)
        if failure is None:
            return task
        self.set_result(task, failure)
        return None

    def invoke(self, task: FunctionTask, *, return_result: bool = False) -> Any:
        """Run a task and store its outcome. [RUN-1] to [RUN-3]

        `return_result`: return what `set_result` is to be given, and store nothing.
        """
        result = self._run(task)
        if return_result:
            return result
        self.set_result(task, result)
        return None

    def set_result(self, task: FunctionTask, result: object) -> bool:
        """End a claim with what the task returned; a TaskFailure is its failure. [RUN-1] [RUN-4]

        False if that was dropped: the claim is lost, or nobody can ask for it. [RUN-7]
        """
        return self.finish(task, *self._write(task, result))

    def fail(self, task: FunctionTask, reason: str, *, again: bool = False) -> bool:
        """End a claim with a failure of the task's own, as `finish` does."""
        failure = TaskFailure(*self._address(task), reason)
        return self.finish(task, *self._write(task, failure), again=again)

    def glance(self, claim: Claim) -> FunctionTask:
        """The task without its arguments, which are not loaded; without a name if it can't be read."""
        return messages.read_head(self._codec, claim)

    def perform(self, claim: Claim) -> tuple[bytes, bool]:
        """Run the task of a claim, and leave it to whoever holds that to `finish` it.

        Its outcome as a message, and whether that is a failure.
        """
        return self.outcome(*self.unpack(claim))

    def unpack(self, claim: Claim) -> tuple[FunctionTask, TaskFailure | None]:
        """The first half of `perform`: the task, and its failure if it can't be read. [RUN-5]"""
        try:
            return messages.read_task(self._codec, claim), None
        except messages.Unreadable as error:
            failure = TaskFailure(*self._address(error.task), error.reason)
            if error.is_refused:  # there may be very many
                _log().error("not started, the %d. that was refused: %s", self.refused, failure)
            else:
                _log().exception("not started: %s", failure)
            return error.task, failure

    def outcome(self, task: FunctionTask, failure: TaskFailure | None) -> tuple[bytes, bool]:
        """The second half of `perform`."""
        return self._write(task, self._run(task) if failure is None else failure)

    def finish(
        self, task: FunctionTask, message: bytes, failed: bool, *, again: bool = False
    ) -> bool:
        """End a claim with what `perform` returned, perhaps in another process; as `set_result`.

        `again`: a call before this one may have done it, and its answer was lost.
        """
        if task.is_forgotten:
            return False
        finished = self._queue.finish(
            task.id, message, task.result_timeout, token=task.token, failed=failed
        )
        self._tell(Ended(task, message, failed, again), finished)
        return finished.accepted

    def finish_many(self, ended: Sequence[Ended], claims: int = 0) -> list[Claim]:
        """End many claims, in one call with the next ones: at most so many, without waiting. [ENV-BULK-3]

        None of them may be forgotten. When it raises, all may be given again.
        """
        finishings = [
            Finishing(task.id, message, task.result_timeout, task.token, failed)
            for task, message, failed, _ in ended
        ]
        answers, claimed = self._queue.finish_many(finishings, claims)
        for each, finished in zip(ended, answers, strict=True):
            self._tell(each, finished)
        return claimed

    def _tell(self, ended: Ended, finished: Finished) -> None:
        """Log what nobody else is told of. [RUN-7]"""
        task, _, failed, again = ended
        if finished.accepted and not (failed and finished.dependent_id is not None):
            return
        if not finished.accepted and task.may_be_forgotten:
            return  # nobody asks for it
        address = self._address(task)
        if not finished.accepted and again:
            _log().warning(
                "the claim has ended: its outcome was stored by an earlier try, "
                "or the claim was lost and it is dropped: %s [%s:%s]",
                *address,
            )
        elif not finished.accepted:
            _log().warning("the claim is lost, so the outcome is dropped: %s [%s:%s]", *address)
        else:
            _log().warning("its failure went to %r: %s [%s:%s]", finished.dependent_id, *address)

    def heartbeat(self, task: FunctionTask) -> bool:
        """Move the lease to 2·heartrate + 5 s from now; False if the claim is lost. [BRK-4]"""
        lease_s = 2 * task.heartrate + LEASE_MARGIN_S
        return self._queue.heartbeat(task.id, lease_s, token=task.token)

    def release(self, task: FunctionTask, *, begun: bool = True) -> bool:
        """Give a claim back, as if its lease passed now, or as if it had not been made; False if it was lost.

        [REL-1] [REL-3]
        """
        return self._queue.release(task.id, token=task.token, begun=begun)

    def ended(self, token: Token) -> None:
        """Nothing more is done with a claim, says a pool: its outcome is stored, or it is given up."""

    # What people are shown.

    @property
    def introspection(self) -> Introspective | None:
        """What the backend tells of the queue besides the contract, if it does. [ENV-INFO-1]"""
        return self._queue if isinstance(self._queue, Introspective) else None

    def sign(self, sign: Sign, tasks: Sequence[FunctionTask], ttl_ms: int) -> None:
        """Leave a sign of life of a pool that holds the claims of these tasks. [ENV-INFO-3]"""
        if self.introspection is not None:
            ids = tuple(task.id for task in tasks)
            self.introspection.sign(sign._replace(tasks=ids), ttl_ms)

    def sign_off(self, sign_id: str) -> None:
        """Take it away. [ENV-INFO-4]"""
        if self.introspection is not None:
            self.introspection.sign_off(sign_id)

    # Shared.

    def fetch(self, task: TaskId, timeout: float | None) -> Outcome | Sentinel | None:
        """Take the outcome; None if there was none for `timeout` seconds, RESERVED if it is that.

        It is nowhere else then: whoever gets it keeps it until `read_outcome` has returned. [ENV-API-12]
        """
        popped = self._queue.pop(_checked(task).id, timeout, token=_token(task))
        return EXPIRED if popped is TASK_EXPIRED else popped

    def read_outcome(self, task: TaskId, outcome: Outcome) -> Held:
        """What the outcome of a task means to its consumer. [DEF-4] [DEF-5] [DEF-8]"""
        address = self._address(task)
        try:
            return messages.read_outcome(self._codec, outcome, address, _token(task))
        except KeyboardInterrupt:
            raise  # it comes from outside, and the next look may find something else
        except BaseException as error:  # noqa: BLE001 - it runs code of the application
            reason = f"result cannot be read: {describe(error)}"
            return Held("failure", TaskFailure(*address, reason))

    def fetch_many(self, tasks: Sequence[TaskId], timeout: float | None) -> list[Popped]:
        """Take the outcomes that are there; wait until there is one. TASK_EXPIRED for an expiry."""
        return self._queue.pop_many([(task.id, _token(task)) for task in tasks], timeout)

    def serialize(self, obj: object, deferred: bool = False) -> bytes:
        """The object as bytes. TypeError for a Deferred in it, which is not touched. [ENV-SER-2]

        With `deferred` they are allowed: one that holds its outcome stands for that; of another
        `deserialize` loads the argument with its id.
        """
        return messages.write_value(self._codec, obj, deferred=deferred)

    def deserialize(self, message: bytes, task_id: str | None = None) -> Any:
        """The object again.

        `task_id`: the task whose arguments take the place of Deferreds; without it, Deferreds are a
        ValueError.
        """
        if task_id is None:
            return messages.read_value(self._codec, message)
        arguments = {
            key: EXPIRED if argument is TASK_EXPIRED else Outcome("result", argument)
            for key, argument in self._queue.get_arguments(task_id).items()
        }
        load = messages.loader(self._codec, arguments, "outcome")
        return messages.read_value(self._codec, message, load)

    def __repr__(self) -> str:
        return f"<Broker {masked(self.url)} [{self.name}]>"

    def _write_one(self, task: FunctionTask) -> "_Call | TaskFailure":
        """One call of many, or why it is refused. Raises for what can't be a call at all."""
        try:
            return self._write_call(checks.instance("", task, FunctionTask))
        except TaskFailure as refusal:
            return refusal

    def _write_call(self, task: FunctionTask) -> "_Call":
        message, passed = messages.write_task(self._codec, task)
        if not (passed.awaited or passed.failed):  # as of most
            return _Call(task, Submission(task, message), passed, _NO_NAMES)
        names, args = self._arguments(passed.awaited) if passed.awaited else (_NO_NAMES, NO_ARGS)
        outcome = passed.outcome(self._codec, task)
        return _Call(task, Submission(task, message, args, outcome), passed, names)

    def _answered_each(
        self, calls: Iterable["_Call | TaskFailure"], answers: Iterable[object]
    ) -> tuple[list[Deferred | None], list[TaskFailure]]:
        """What the calls return, up to the first that has no answer, and the refusals among them."""
        left = cast("Iterator[Submitted]", iter(answers))
        deferreds: list[Deferred | None] = []
        refused: list[TaskFailure] = []
        for call in calls:
            try:
                if isinstance(call, TaskFailure):
                    raise call
                if (answer := next(left, None)) is None:
                    break
                deferreds.append(self._answered(call, answer))
            except TaskFailure as reason:
                deferreds.append(None)
                refused.append(reason)
        return deferreds, refused

    def _answered(self, call: "_Call", answer: Submitted) -> Deferred | None:
        """What a call returns, or raises. [CALL-4] to [CALL-7]"""
        task, _, passed, names = call
        if answer.status == "duplicate":
            raise DuplicateTask(*self._address(task), DUPLICATE_ERROR)
        if answer.argument_id is not None:
            unavailable = Address(names[answer.argument_id], self.name, answer.argument_id)
            raise TaskFailure(*unavailable, passed.why_unavailable(answer.argument_id))
        if passed.awaited:
            passed.note(self._address(task))
        if not task.ignore_result:
            return Deferred(self, task)
        if answer.outcome is not None:
            ended = self.read_outcome(task, answer.outcome)
            _log().error("not started, and nobody else is told of it: %s", ended.value)
        return None

    def _write(self, task: FunctionTask, result: object) -> tuple[bytes, bool]:
        """What the task returned as a message, and whether it is a failure. [RUN-1] [RUN-4]"""
        if task.ignore_result and isinstance(result, TaskFailure):
            _log().error("nobody is told of it: %s", result)
        if task.is_forgotten:
            return b"", isinstance(result, TaskFailure)
        return messages.write_outcome(self._codec, result, task)

    def _run(self, task: FunctionTask) -> object:
        address = self._address(task)
        function = self.tasks.get(task.name)
        if function is None:
            _log().error("%s [%s:%s] %s", *address, NO_SUCH_TASK)
            return TaskFailure(*address, NO_SUCH_TASK)
        try:
            result = function(*task.args, **task.kw)
            return run_coroutine(cast("Any", result)) if isinstance(result, Coroutine) else result
        except BaseException as error:  # noqa: BLE001 - whatever it raises, the worker goes on [RUN-2]
            reason = str(error) if isinstance(error, LimitPassed) else describe(error)
            failure = TaskFailure(*address, reason)
            if isinstance(error, TaskFailure):
                failure.__cause__ = error
            _log().exception("failed: %s", failure)
            return failure

    def _arguments(self, awaited: list[Deferred]) -> tuple[dict[str, str], dict[str, Token | None]]:
        """Argument id → name, and id → token. Refuses those of another queue. [CALL-2]"""
        names: dict[str, str] = {}
        tokens: dict[str, Token | None] = {}
        for deferred in sorted(awaited, key=lambda each: each.id):
            deferred.home.check_reachable()
            if deferred.home != self.home:
                reason = f"{NOT_AVAILABLE}: it belongs to {deferred.home}, fetch it first"
                raise TaskFailure(deferred.name, deferred.home.queue, deferred.id, reason)
            tokens[deferred.id] = _same(tokens.get(deferred.id), deferred.token)
            names.setdefault(deferred.id, deferred.name)  # of several names the first is shown
        return names, tokens

    def _address(self, task: TaskId) -> Address:
        return Address(task.name, self.name, task.id)


def _taskqueue(value: object) -> AbstractTaskQueue:
    if not isinstance(value, AbstractTaskQueue):
        raise TypeError(f"taskqueue: an AbstractTaskQueue is needed, not {value!r}")
    return value


def _checked(task: TaskId) -> TaskId:
    if not (hasattr(task, "id") and hasattr(task, "name")):
        raise TypeError(f"task: an id and a name are needed, as a Deferred has, not {task!r}")
    return task


def named(task: TaskId) -> tuple[str, bytes | None]:
    """The id of a task and, if it is known, its incarnation."""
    token = _token(_checked(task))
    return checks.name("task_id", task.id), None if token is None else token.incarnation


def _token(task: TaskId) -> Token | None:
    return getattr(task, "token", None)


def _same(first: Token | None, second: Token | None) -> Token | None:
    """The token that two handles of one id agree on.

    If they don't, one of the two tasks is gone: then a token that no task has. [CALL-5]
    """
    if first is None or second is None:
        return first or second
    return first if first.incarnation == second.incarnation else Token.new()


_reopened: WeakValueDictionary[tuple[str, str, str], Broker] = WeakValueDictionary()
_reopened_lock = threading.RLock()  # a handler may come in the midst [ENV-WAIT-9]


def reopen(url: str, name: str, serializer: str) -> Broker:
    """The broker that Deferreds out of pickles share, as long as one of them lives. [ENV-API-6]"""
    with _reopened_lock:
        broker = _reopened.get((url, name, serializer))
        if broker is None:
            broker = Broker.opened(partial(open_queue, url, name), serializer=serializer)
            _reopened[url, name, serializer] = broker
        return broker
