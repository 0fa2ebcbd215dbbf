"""What a backend is: the contract, and the operations of the API reference on top. SPEC.md, sections 5 to 7.

The public operations check what they are given and count in seconds; a backend implements the
operations with an underscore, which get checked values and whole milliseconds.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, Literal, NamedTuple, cast

from worq import bulk, checks
from worq.clock import Clock
from worq.const import DEFAULT, MESSAGE_BYTES_MAX, PENDING, Sentinel, State
from worq.masking import masked
from worq.options import HasOptions, TaskOptions
from worq.values import (
    NO_ARGS,
    Claim,
    Finished,
    Finishing,
    Outcome,
    Submission,
    Submittable,
    Submitted,
    Token,
)

LEASE_MARGIN_S = 5
TERMS_MAX = 256


class Ticket(NamedTuple):
    """A checked `Submittable`, as a backend gets it.

    `retention_ms` is None for ever; `lease_ms` is 2·heartrate + 5 s. [CLM-1]
    """

    id: str
    incarnation: bytes
    ignore_result: bool
    passes_errors: bool
    lease_ms: int
    retention_ms: int | None
    attempts: int


class Entry(NamedTuple):
    """A checked submit, as `_submit` gets it."""

    task: Ticket
    message: bytes
    args: Mapping[str, bytes | None]
    outcome: Outcome | None


class Ending(NamedTuple):
    """A checked finish, as `_finish` gets it."""

    task_id: str
    outcome: Outcome
    retention_ms: int | None
    token: Token | None


class AbstractTaskQueue(ABC):
    """One queue on one backend. Thread-safe; every operation is atomic and has an answer in every state.

    Times are seconds. Each operation applies first the deadlines that have passed [TIM-2]; where it
    takes a `token`, a task that this does not name is absent to it [TOK-1], and None means the
    incarnation and the claim that are there [TOK-2].
    """

    process_local: ClassVar[bool] = False
    """Whether a URL means another queue in another process."""

    def __init__(
        self,
        url: str,
        name: str = DEFAULT,
        *,
        clock: Clock | None = None,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
    ) -> None:
        """`clock`: for tests; None for the backend's own time. Raises before anything is opened."""
        self.url: str = checks.text("url", url)
        self.name: str = checks.name("name", name)
        self.clock = clock
        self.message_bytes_max: int = checks.bytes_max("message_bytes_max", message_bytes_max)

    # The contract: SPEC.md, section 5.

    def submit(
        self,
        result: Submittable,
        message: bytes,
        args: Mapping[str, Token | None] = NO_ARGS,
        *,
        outcome: Outcome | None = None,
    ) -> Submitted:
        """Accept a task and reserve its arguments, all or nothing. [SUB-1] to [SUB-8]

        `args`: argument id → its token, or None for whatever is there. `outcome`: a failure or an
        expiry of an argument, fetched before, with which the task ends at once. [SUB-4]
        """
        return self._submit(*self._entry(result, message, args, outcome))

    def claim(self, timeout: float | None = None) -> Claim | None:
        """Lease the oldest ready task; None if there was none for `timeout` seconds (None: wait for ever).

        [CLM-1] [CLM-2]
        A crash after this leaves it leased until 2·heartrate + 5 s have passed. [TIM-3] [TIM-4]
        """
        timeout_s = checks.seconds_or_forever("timeout", timeout)
        return self._claim(checks.milliseconds_or_forever(timeout_s))

    def finish(
        self,
        task_id: str,
        message: bytes,
        timeout: float,
        *,
        token: Token | None = None,
        failed: bool = False,
    ) -> Finished:
        """End a claim with an outcome, to be kept for `timeout` seconds (infinity: for ever). [FIN-1] to [FIN-4]"""
        return self._finish(*self._ending(task_id, message, timeout, token, failed))

    def heartbeat(self, task_id: str, timeout: float, *, token: Token | None = None) -> bool:
        """Move the lease to `timeout` seconds from now; False if the claim is lost. [HRT-1] [HRT-2]"""
        lease_ms = checks.milliseconds(checks.seconds("timeout", timeout))
        return self._heartbeat(checks.name("task_id", task_id), lease_ms, _token("token", token))

    def release(self, task_id: str, *, token: Token | None = None) -> bool:
        """End a claim early: its lease passes now. False if it was lost. [REL-1] [REL-2]"""
        return self._release(checks.name("task_id", task_id), _token("token", token))

    def pop(
        self, task_id: str, timeout: float | None = 0, *, token: Token | None = None
    ) -> Outcome | Sentinel | None:
        """Take the outcome; RESERVED, TASK_EXPIRED, or None if there is none after `timeout` seconds.

        [POP-1] to [POP-5]
        """
        timeout_s = checks.seconds_or_forever("timeout", timeout)
        return self._pop(
            checks.name("task_id", task_id),
            checks.milliseconds_or_forever(timeout_s),
            _incarnation("token", token),
        )

    def discard(self, task_id: str, *, token: Token | None = None) -> bool:
        """Make a task expire, whatever its state; False if it is absent. [DSC-1] [DSC-2]"""
        return self._discard(checks.name("task_id", task_id), _incarnation("token", token))

    def purge(self) -> int:
        """Drop all PENDING and ENQUEUED tasks at one instant, and say how many. [PRG-1] [PRG-2]"""
        return self._purge()

    def size(self) -> int:
        """PENDING + ENQUEUED tasks, exact. [SIZ-1]"""
        return self._size()

    def status(self, task_id: str, *, token: Token | None = None) -> State | None:
        """The state of a task, None if it is absent. [STA-1] [STA-2]"""
        return self._status(checks.name("task_id", task_id), _incarnation("token", token))

    # Many at once: SPEC.md, section 5, "In bulk".

    def submit_many(self, submissions: Sequence[Submission]) -> list[Submitted]:
        """`submit` of each, in order. [ENV-BULK-1]

        An error that cuts it off says in `answers` what is done; go on behind that. To give the same submissions
        again is harmless if they have tokens, while their tasks exist. [ENV-BULK-6]
        """
        return self._submit_many(bulk.checked("submissions", submissions, self._submission))

    def finish_many(
        self, finishings: Sequence[Finishing], claims: int = 0
    ) -> tuple[list[Finished], list[Claim]]:
        """`finish` of each, in order, and then at most so many claims, without waiting. [ENV-BULK-1] [ENV-BULK-3]

        What a worker does between two tasks. `answers` of an error has those of the finishes.
        """
        checked = bulk.checked("finishings", finishings, self._finishing)
        return self._finish_many(checked, checks.whole("claims", claims, 0))

    def claim_many(self, limit: int, timeout: float | None = None) -> list[Claim]:
        """`claim`, and further tasks that have a start left then, at most `limit` together; a backend may give fewer.

        [ENV-BULK-3] [ENV-BULK-4]
        """
        timeout_s = checks.seconds_or_forever("timeout", timeout)
        limit = checks.whole("limit", limit, 1)
        return self._claim_many(limit, checks.milliseconds_or_forever(timeout_s))

    def pop_many(
        self, tasks: Sequence[tuple[str, Token | None]], timeout: float | None = 0
    ) -> list[Outcome | Sentinel | None]:
        """`pop` of each id, in order; waits until one at least has an answer, and takes all that are there.

        [ENV-BULK-1] [ENV-BULK-5]
        An error may have outcomes in `answers`, which nobody else will get.
        """
        timeout_s = checks.seconds_or_forever("timeout", timeout)
        checked = bulk.checked("tasks", tasks, _popping)
        return self._pop_many(checked, checks.milliseconds_or_forever(timeout_s))

    # The API reference: SPEC.md, section 6.

    def enqueue_task(self, result: Submittable, message: bytes) -> bool:
        """`submit` without arguments; False and no effect if the id is taken."""
        return self.submit(result, message).status == "accepted"

    def get(self, timeout: float | None = None) -> tuple[str, bytes] | None:
        """`claim`, of which the answer is (id, message)."""
        claim = self.claim(timeout)
        return None if claim is None else (claim.id, claim.message)

    def get_status(self, task_id: str, *, token: Token | None = None) -> State | None:
        """`status`."""
        return self.status(task_id, token=token)

    def set_task_timeout(self, task_id: str, timeout: float, *, token: Token | None = None) -> bool:
        """`heartbeat`."""
        return self.heartbeat(task_id, timeout, token=token)

    def set_result(
        self, task_id: str, message: bytes, timeout: float, *, token: Token | None = None
    ) -> str | None:
        """`finish` with a result; the id of the dependent that got it, else None."""
        return self.finish(task_id, message, timeout, token=token).dependent_id

    def pop_result(
        self, task_id: str, timeout: float | None, *, token: Token | None = None
    ) -> bytes | Sentinel | None:
        """`pop`, of which the answer is the outcome's message."""
        popped = self.pop(task_id, timeout, token=token)
        return popped.message if isinstance(popped, Outcome) else popped

    def discard_result(
        self, task_id: str, task_expired_token: object = None, *, token: Token | None = None
    ) -> None:
        """`discard`. `task_expired_token` is accepted and ignored."""
        del task_expired_token
        self.discard(task_id, token=token)

    def discard_pending(self) -> None:
        """`purge`."""
        self.purge()

    def defer_task(self, result: Submittable, message: bytes, args: Iterable[str]) -> bool:
        """Accept a task that waits for `args`, and reserve nothing; False if the id is taken. [DFR-1] [DFR-2]"""
        ids = frozenset(checks.name("args", arg) for arg in _iterable("args", args))
        checks.arguments("args", ids)
        if not ids:
            raise ValueError(f"args: at least one argument id is needed, not {args!r}")
        ticket = _ticket(result)
        return self._defer(ticket, checks.message("message", message, self.message_bytes_max), ids)

    def undefer_task(self, task_id: str, *, token: Token | None = None) -> None:
        """Refuse a PENDING task with ValueError; else no effect. [UND-1] [UND-2]"""
        if self.status(task_id, token=token) == PENDING:
            raise ValueError(
                f"task_id: the task misses an argument; the last one enqueues it: {task_id!r}"
            )

    def reserve_argument(
        self,
        argument_id: str,
        deferred_id: str,
        *,
        token: Token | None = None,
        deferred_token: Token | None = None,
    ) -> tuple[bool, bytes | None]:
        """Promise an outcome to a deferred task: (was it reserved, its message if it was there). [RSV-1] to [RSV-4]"""
        return self._reserve_argument(
            checks.name("argument_id", argument_id),
            checks.name("deferred_id", deferred_id),
            _incarnation("token", token),
            _incarnation("deferred_token", deferred_token),
        )

    def set_argument(
        self, task_id: str, argument_id: str, message: bytes, *, token: Token | None = None
    ) -> bool:
        """Supply an argument as a result; True when none is missing any more. [ARG-1] to [ARG-4]"""
        return self._set_argument(
            checks.name("task_id", task_id),
            checks.name("argument_id", argument_id),
            checks.message("message", message, self.message_bytes_max),
            _incarnation("token", token),
        )

    def get_arguments(
        self, task_id: str, *, token: Token | None = None
    ) -> dict[str, bytes | Literal[Sentinel.TASK_EXPIRED]]:
        """The arguments that have arrived: id → message, or TASK_EXPIRED. [GAR-1] to [GAR-3]"""
        return self._get_arguments(checks.name("task_id", task_id), _token("token", token))

    # Not part of the contract.

    def await_ready(self, timeout: float | None = None) -> bool:
        """Wait until a task may be ready, and leave it; False if none was for `timeout` seconds. [ENV-WAIT-10]

        So one worker can wait for several queues. NotImplementedError where a backend can't.
        """
        timeout_s = checks.seconds_or_forever("timeout", timeout)
        return self._await_ready(checks.milliseconds_or_forever(timeout_s))

    @abstractmethod
    def close(self) -> None:
        """Unblock whoever waits on this object, and let go of what it opened. Idempotent. [ENV-WAIT-7]"""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {masked(self.url)} [{self.name}]>"

    # What a backend implements. Milliseconds are whole; None is "for ever" or "whatever is there".

    @abstractmethod
    def _submit(
        self,
        task: Ticket,
        message: bytes,
        args: Mapping[str, bytes | None],
        outcome: Outcome | None,
    ) -> Submitted:
        """`args`: argument id → incarnation, or None."""

    @abstractmethod
    def _defer(self, task: Ticket, message: bytes, args: frozenset[str]) -> bool: ...

    @abstractmethod
    def _claim(self, timeout_ms: int | None) -> Claim | None: ...

    @abstractmethod
    def _finish(
        self, task_id: str, outcome: Outcome, retention_ms: int | None, token: Token | None
    ) -> Finished: ...

    @abstractmethod
    def _heartbeat(self, task_id: str, lease_ms: int, token: Token | None) -> bool: ...

    @abstractmethod
    def _release(self, task_id: str, token: Token | None) -> bool: ...

    @abstractmethod
    def _pop(
        self, task_id: str, timeout_ms: int | None, incarnation: bytes | None
    ) -> Outcome | Sentinel | None: ...

    @abstractmethod
    def _discard(self, task_id: str, incarnation: bytes | None) -> bool: ...

    @abstractmethod
    def _purge(self) -> int: ...

    @abstractmethod
    def _size(self) -> int: ...

    @abstractmethod
    def _status(self, task_id: str, incarnation: bytes | None) -> State | None: ...

    @abstractmethod
    def _reserve_argument(
        self,
        argument_id: str,
        deferred_id: str,
        incarnation: bytes | None,
        deferred_incarnation: bytes | None,
    ) -> tuple[bool, bytes | None]: ...

    @abstractmethod
    def _set_argument(
        self, task_id: str, argument_id: str, message: bytes, incarnation: bytes | None
    ) -> bool: ...

    @abstractmethod
    def _get_arguments(
        self, task_id: str, token: Token | None
    ) -> dict[str, bytes | Literal[Sentinel.TASK_EXPIRED]]: ...

    # What a backend may do better. Each operation counts as done once its answer is there.

    def _submit_many(self, entries: Sequence[Entry]) -> list[Submitted]:
        return bulk.in_turn(entries, lambda entry: self._submit(*entry))

    def _finish_many(
        self, endings: Sequence[Ending], claims: int
    ) -> tuple[list[Finished], list[Claim]]:
        finished = bulk.in_turn(endings, lambda ending: self._finish(*ending))
        with bulk.saying_what_is_done(finished, len(finished)):
            return finished, self._claim_many(claims, 0) if claims else []

    def _claim_many(self, limit: int, timeout_ms: int | None) -> list[Claim]:
        """One alone: what comes next can't be seen before it is claimed. [ENV-BULK-3]"""
        del limit
        claim = self._claim(timeout_ms)
        return [] if claim is None else [claim]

    def _pop_many(
        self, tasks: Sequence[tuple[str, bytes | None]], timeout_ms: int | None
    ) -> list[Outcome | Sentinel | None]:
        """Of several, none of which has an answer yet, each is looked at 20 times a second."""
        if len(tasks) == 1:
            return [self._pop(tasks[0][0], timeout_ms, tasks[0][1])]
        until_ms = None if timeout_ms is None else self._bulk_now_ms() + timeout_ms
        while True:
            is_over = until_ms is not None and self._bulk_now_ms() >= until_ms
            answers = bulk.in_turn(tasks, lambda task: self._pop(task[0], 0, task[1]))
            if is_over or not tasks or any(answer is not None for answer in answers):
                return answers
            time.sleep(bulk.LOOK_S)

    def _bulk_now_ms(self) -> float:
        return time.monotonic() * 1000 if self.clock is None else self.clock.now_ms()

    def _await_ready(self, timeout_ms: int | None) -> bool:
        """Not abstract: a backend may lack it."""
        raise NotImplementedError(f"{self!r} can't wait for a task without claiming it")

    # Checks

    def entries(self, submissions: Sequence[Submission]) -> list[Entry]:
        """What `submit_many` is given, checked, as `worq.asynchronous` wants it."""
        return bulk.checked("submissions", submissions, self._submission)

    def _submission(self, submission: Submission) -> Entry:
        return self._entry(*checks.instance("", submission, Submission))

    def _entry(
        self,
        result: Submittable,
        message: bytes,
        args: Mapping[str, Token | None],
        outcome: Outcome | None,
    ) -> Entry:
        if outcome is not None:
            self._check_outcome(outcome)
        return Entry(
            _ticket(result),
            checks.message("message", message, self.message_bytes_max),
            _arguments(args) if args is not NO_ARGS else {},
            outcome,
        )

    def _finishing(self, finishing: Finishing) -> Ending:
        return self._ending(*checks.instance("", finishing, Finishing))

    def _ending(
        self,
        task_id: str,
        message: bytes,
        timeout: float,
        token: Token | None,
        failed: bool,  # noqa: FBT001 - the fields of Finishing
    ) -> Ending:
        is_number = type(timeout) in (int, float)
        retention_ms = _known_retention_ms(timeout) if is_number else _retention_ms(timeout)
        checked = checks.message("message", message, self.message_bytes_max)
        return Ending(
            checks.name("task_id", task_id),
            Outcome("failure" if failed else "result", checked),
            retention_ms,
            _token("token", token),
        )

    def _check_outcome(self, outcome: object) -> None:
        """[ENV-BAD-7]"""
        if not isinstance(outcome, Outcome):
            raise TypeError(f"outcome: an Outcome is needed, not {outcome!r}")
        if outcome.kind not in ("failure", "expired"):
            raise ValueError(f"outcome: a failure or an expiry is needed, not {outcome!r}")
        if outcome.kind == "failure":
            checks.message("outcome", outcome.message, self.message_bytes_max)
            checks.name("outcome", outcome.source_id)


def _ticket(result: Submittable) -> Ticket:
    task_id = checks.name("id", result.id)
    token = _token("token", result.token) or Token.new()
    if isinstance(result, HasOptions):
        return Ticket(task_id, token.incarnation, *_terms_of(result.options))
    given = (
        bool(result.ignore_result),
        result.on_error,
        result.heartrate,
        result.result_timeout,
        result.attempts,
    )
    try:
        return Ticket(task_id, token.incarnation, *_known_terms(*given))
    except TypeError:
        pass  # one of them can't be a key, or is refused
    return Ticket(task_id, token.incarnation, *_terms(*given))


@lru_cache(maxsize=TERMS_MAX)
def _terms_of(options: TaskOptions) -> "_Terms":
    """The same of options that were checked when they were made, so that equal ones are as good."""
    on_error, ignore_result, result_timeout, heartrate, attempts, _ = options
    return _terms(ignore_result, on_error, heartrate, result_timeout, attempts)


_Terms = tuple[bool, bool, int, int | None, int]


def _terms(
    ignore_result: bool,  # noqa: FBT001 - as in Ticket
    on_error: object,
    heartrate: object,
    result_timeout: object,
    attempts: object,
) -> _Terms:
    """What a Ticket says besides which task it is."""
    heartrate_s = checks.positive_seconds("heartrate", heartrate)
    return (
        ignore_result,
        checks.on_error("on_error", on_error) == "pass",
        checks.milliseconds(2 * heartrate_s + LEASE_MARGIN_S),
        checks.milliseconds_or_forever(checks.retention("result_timeout", result_timeout)),
        checks.attempts("attempts", attempts),
    )


# The same for nearly all tasks of a program, whose options need not have been checked.
_known_terms = lru_cache(maxsize=TERMS_MAX, typed=True)(_terms)


def _retention_ms(timeout: object) -> int | None:
    """How long an outcome is kept."""
    retention_s = checks.seconds_or_forever("timeout", _not_none("timeout", timeout))
    return checks.milliseconds_or_forever(retention_s)


_known_retention_ms = lru_cache(maxsize=TERMS_MAX, typed=True)(_retention_ms)


def _token(argument: str, token: object) -> Token | None:
    if token is None:
        return None
    if not isinstance(token, Token):
        raise TypeError(f"{argument}: a Token is needed, not {token!r}")
    checks.incarnation(argument, token.incarnation, token)
    return token


def _incarnation(argument: str, token: object) -> bytes | None:
    checked = _token(argument, token)
    return None if checked is None else checked.incarnation


def _popping(task: object) -> tuple[str, bytes | None]:
    pair = cast("tuple[object, ...]", task)
    if not isinstance(task, tuple) or len(pair) != 2:  # noqa: PLR2004 - an id and its token
        raise TypeError(f": an id and a token, or None, are needed, not {checks.shown(pair)}")
    return checks.name("task_id", pair[0]), _incarnation("token", pair[1])


def _not_none(argument: str, value: object) -> object:
    if value is None:
        raise TypeError(f"{argument}: a number of seconds is needed, not None")
    return value


def _arguments(args: Mapping[str, Token | None]) -> dict[str, bytes | None]:
    _check_mapping("args", args)
    checks.arguments("args", args)
    return {checks.name("args", key): _incarnation("args", token) for key, token in args.items()}


def _check_mapping(argument: str, value: object) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"{argument}: a mapping of ids to tokens is needed, not {value!r}")


def _iterable(argument: str, value: Iterable[str]) -> Iterable[str]:
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{argument}: an iterable of ids is needed, not {value!r}")
    return value
