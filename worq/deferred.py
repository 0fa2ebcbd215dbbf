"""The handle of one incarnation of a task, and of its outcome. Source: SPEC.md, section 8."""

import importlib
import os
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, Self, cast

from worq import checks
from worq.clock import Clock
from worq.const import (
    COMPLETED,
    FAILED,
    RESERVED,
    SUCCESS,
    TASK_EXPIRED,
    Sentinel,
    State,
    Status,
)
from worq.errors import WorqError
from worq.failures import NOT_YET, PASSED_ON, TaskFailure
from worq.masking import canonical
from worq.urls import is_process_local
from worq.values import EXPIRED, Outcome, OutcomeKind, Token

Popped = Outcome | Sentinel | None
"""What a queue says of an outcome: here it is, RESERVED, TASK_EXPIRED, or not yet."""

# `Deferred` alone is `Deferred[Any]`: a default, which `typing` knows from Python 3.13 on.
if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T_co = TypeVar("T_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)

# A fork has another pid, another run of a program another number.
_RUN = os.urandom(8).hex()


class TaskId(Protocol):
    """Anything that has an id and a name, and perhaps a `token`."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


class Held(NamedTuple):
    """An outcome that has been fetched: the result, or the TaskFailure as its consumer sees it.

    `source_id` is the task that a failure first happened to, None for the task itself: then the
    failure of that task is the `__cause__` of the value. [DEF-4]
    """

    kind: OutcomeKind
    value: object
    source_id: str | None = None

    @property
    def failure(self) -> TaskFailure | None:
        """What to raise instead of returning the value."""
        return None if self.kind == "result" else cast("TaskFailure", self.value)

    @property
    def origin(self) -> TaskFailure:
        """The failure as it first happened."""
        failure = cast("TaskFailure", self.value)
        return failure if self.source_id is None else cast("TaskFailure", failure.__cause__)


class Home(NamedTuple):
    """The queue that a Deferred belongs to: the URL without its password, and the name.

    `process` names the process that the queue lives in; None if others can reach it.
    """

    url: str
    queue: str
    process: str | None

    @classmethod
    def of(cls, url: str, queue: str) -> Self:
        """The home of a queue that is open in this process."""
        return cls(canonical(url), queue, _this_process() if is_process_local(url) else None)

    def check_reachable(self) -> None:
        """ValueError for a queue in the memory of another process. [ENV-API-6]"""
        if self.process not in (None, _this_process()):
            raise ValueError(
                f"url: {self.url!r} [{self.queue}] is in the memory of another process"
            )

    def __str__(self) -> str:
        return f"{self.url} [{self.queue}]"


class DeferredBroker(Protocol):
    """What a Deferred needs of a broker."""

    @property
    def home(self) -> Home: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def serializer_name(self) -> str | None: ...

    def clone(self) -> Self: ...

    def close(self) -> None: ...

    def fetch(self, task: TaskId, timeout: float | None) -> Popped: ...

    def fetch_many(self, tasks: Sequence[TaskId], timeout: float | None) -> Sequence[Popped]: ...

    def read_outcome(self, task: TaskId, outcome: Outcome) -> Held: ...

    def status(self, result: TaskId) -> State | None: ...


class Deferred(Generic[T_co]):
    """The handle of one incarnation of a task, and of its outcome. Not thread-safe.

    For type checkers it is a `Deferred[T]` of the result's type: `typed` gives one. Others are `Deferred[Any]`.

    `wait`, `value`, `status` and `bool()` may fetch the outcome, which takes it from the queue: one
    consumer gets it [POP-5]. From then on this object holds it and leaves the queue alone [DEF-1].
    If a lost connection makes one of them raise, the Deferred is as it was. An outcome that was
    fetched stays until it has been read, however often that is interrupted [ENV-API-12].
    """

    __slots__ = (
        "__weakref__",
        "_broker",
        "_held",
        "_home",
        "_seen",
        "_serializer_name",
        "_unread",
        "id",
        "name",
        "passed_to",
        "token",
    )

    def __init__(self, broker: DeferredBroker, task: TaskId) -> None:
        """`task`: what has the id, the name and, if it was submitted here, the token."""
        self.id: str = task.id
        self.name: str = task.name
        self.token: Token | None = getattr(task, "token", None)
        self._home = broker.home
        self._broker: DeferredBroker | None = broker
        self._serializer_name: str | None = None  # of one out of a pickle; else its broker knows
        self.passed_to: str | None = None
        self._unread: Popped = None
        self._held: Held | None = None
        self._seen: State | None = None

    def has_value(self) -> bool:
        """Whether an outcome is held; never touches the queue. [DEF-7]"""
        return self._held is not None

    def wait(self, timeout: float | None) -> bool:
        """Wait for the outcome, at most `timeout` seconds (None: for ever). Is it held now? [DEF-2]

        True for failures and expiries too, False at once for a result that is for another task. A
        task should not wait for another: with all workers waiting, none is left to do the work.
        """
        timeout_s = checks.seconds_or_forever("timeout", timeout)
        if self.held is None:
            self._unread = self._bound().fetch(self, timeout_s)
        return self.held is not None

    def __bool__(self) -> bool:
        return self.wait(0)

    @property
    def value(self) -> T_co:
        """The result. [DEF-3]

        Raises the TaskFailure or TaskExpired, or AttributeError, which says whether there is no
        outcome yet or it was passed to another task.
        """
        held = self._held
        if held is None:
            self.wait(0)
            held = self._held
        if held is None:
            reason = PASSED_ON if self._unread is RESERVED else NOT_YET
            raise AttributeError(f"{reason}: {self!r}")
        if (failure := held.failure) is not None:
            # It may be raised often, and would collect the traces of all of them.
            raise failure.with_traceback(None)
        return cast("T_co", held.value)

    def __await__(self) -> Generator[Any, None, T_co]:
        """The result, once it is there, in asyncio; raises as `value` does. [ENV-AIO-5]

        Its broker must be one of `worq.aio`, or it holds its outcome already.
        """
        if self.held is None:
            arrival: Callable[[Deferred[Any]], Awaitable[object]] | None
            arrival = getattr(self._bound(), "arrival", None)
            if arrival is None:
                raise RuntimeError(f"broker: one of worq.aio is needed to await it: {self!r}")
            yield from arrival(self).__await__()
            if self.held is None:
                raise AttributeError(f"{PASSED_ON}: {self!r}")
        return self.value

    @property
    def status(self) -> Status | None:
        """`'success'` or `'failed'`, or the state of the task; None if it is absent. [DEF-6]"""
        if self.held is None:
            self._seen = self._bound().status(self)
            if self._seen == COMPLETED:
                self.wait(0)
        return self._last_seen()

    def bind(self, broker: DeferredBroker) -> None:
        """Use this broker, for a Deferred that was pickled. [ENV-API-6]

        Raises ValueError if it speaks for another queue.
        """
        self._home.check_reachable()
        if broker.home != self._home:
            raise ValueError(f"broker: one of {self._home} is needed, not of {broker.home}")
        self._broker = broker

    @property
    def held(self) -> Held | None:
        """The outcome, if it has been fetched; never touches the queue."""
        if self._held is None and self._unread is not None:
            outcome = EXPIRED if self._unread is TASK_EXPIRED else self._unread
            if isinstance(outcome, Outcome):
                self._held = self._bound().read_outcome(self, outcome)
                self._unread = None
        return self._held

    @property
    def is_passed_on(self) -> bool:
        """Was its result for another task, when somebody looked last?"""
        return self._unread is RESERVED

    @property
    def home(self) -> Home:
        """The queue that it belongs to."""
        return self._home

    def __repr__(self) -> str:
        state = self._last_seen() or "incomplete"
        return f"<Deferred {self.name} [{self._home.queue}:{self.id}] {state}>"

    def __getstate__(self) -> tuple[object, ...]:
        broker = self._broker
        name = self._serializer_name if broker is None else broker.serializer_name
        return self._home, self.id, self.name, self.token, self.held, name

    def __setstate__(self, state: Any) -> None:
        """What a pickle holds; a broker is found when one is needed. [ENV-API-6]"""
        self._home, self.id, self.name, self.token, self._held, self._serializer_name = state
        self._broker = self._seen = self._unread = self.passed_to = None

    def __copy__(self) -> "Deferred[T_co]":
        copied: Deferred[T_co] = Deferred.__new__(Deferred)
        copied.__setstate__(self.__getstate__())
        if self._broker is not None:
            copied.bind(self._broker)
        return copied

    def __deepcopy__(self, memo: dict[int, object]) -> "Deferred[T_co]":
        del memo
        return self.__copy__()

    def _last_seen(self) -> Status | None:
        if self._held is None:
            return self._seen
        return FAILED if self._held.failure else SUCCESS

    @property
    def broker(self) -> DeferredBroker:
        """Who speaks for its queue. ValueError if that is in the memory of another process."""
        return self._bound()

    def _bound(self) -> DeferredBroker:
        if self._broker is None:
            self._home.check_reachable()
            if self._serializer_name is None:
                raise ValueError(
                    f"serializer: its broker had one that worq doesn't know, so bind one first: {self!r}"
                )
            # By name: the broker's module imports this one.
            reopen = importlib.import_module("worq.core").reopen
            home = self._home
            self._broker = cast(
                "DeferredBroker", reopen(home.url, home.queue, self._serializer_name)
            )
        return self._broker


def keep(deferreds: Sequence[Deferred], answers: Sequence[Popped]) -> None:
    """Give each what the queue says of it. [ENV-API-12]"""
    # In one step of the interpreter: no handler of a signal comes between two of them.
    deque(map(_set_unread, deferreds, answers), maxlen=0)


def fetch_together(
    broker: DeferredBroker, deferreds: Sequence[Deferred], timeout: float | None
) -> None:
    """Fetch the outcomes that are there, of one queue; wait until there is one, as `wait` does.

    What was fetched is kept, whatever is raised. [ENV-API-12] [ENV-BULK-6]
    """
    answers: Sequence[Popped] = ()
    try:
        answers = broker.fetch_many(deferreds, timeout)
    except WorqError as error:
        answers = cast("Sequence[Popped]", error.answers)
        raise
    finally:
        keep(deferreds, answers)


# What sets a slot without running any code of Python.
_set_unread: Callable[[Deferred, Popped], None] = cast("Any", Deferred)._unread.__set__  # noqa: SLF001


def _this_process() -> str:
    return f"{os.getpid()}-{_RUN}"
