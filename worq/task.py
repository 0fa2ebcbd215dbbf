"""How tasks are named and called, and what comes of them. Source: SPEC.md, section 8."""

import copy
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal, NamedTuple, Never, Protocol, TypeVar, Unpack

from worq import checks, const
from worq.const import OnError
from worq.deferred import Deferred, DeferredBroker
from worq.failures import DuplicateTask, TaskExpired, TaskFailure
from worq.options import Default, HasOptions, IdOption, Options, TaskOptions, check, default
from worq.values import Token

__all__ = [
    "Deferred",
    "DuplicateTask",
    "FunctionTask",
    "Queue",
    "Task",
    "TaskExpired",
    "TaskFailure",
    "TaskSpace",
]

F = TypeVar("F", bound=Callable[..., Any])

Called = Deferred | Any
"""A Deferred, or None with `ignore_result`; Any saves the others from asking which."""

# Shown as the defaults; a Task that is not given one takes its queue's.
ON_ERROR: OnError = default(const.FAIL)
IGNORE_RESULT = default(False)
RESULT_TIMEOUT: float = default(3600)
HEARTRATE: float = default(30)
ATTEMPTS = default(1)
TIME_LIMIT: float | None = default(None)

DEFAULTS = TaskOptions()


class TaskBroker(DeferredBroker, Protocol):
    """What queues and tasks need of a broker. `tasks`: full name → what it exposes."""

    tasks: dict[str, Callable[..., Any]]

    @property
    def name(self) -> str: ...

    def enqueue(self, task: "FunctionTask") -> Deferred | None: ...

    def enqueue_many(self, tasks: "Iterable[FunctionTask]") -> list[Deferred | None]: ...

    def discard_pending_tasks(self) -> int: ...

    def __len__(self) -> int: ...


class FunctionTask(HasOptions):
    """One call of a task: what a producer submits, and what a worker runs.

    At the worker `token` names the claim, and Deferreds in the arguments have become their values.
    """

    # No dataclass: that one is slow to import and, frozen, to make.
    __slots__ = ("args", "id", "kw", "name", "options", "token")

    def __init__(
        self,
        name: str,
        id: str,
        token: Token,
        args: tuple[Any, ...],
        kw: dict[str, Any],
        options: TaskOptions = DEFAULTS,
    ) -> None:
        self.name: str = name
        self.id: str = id
        self.token: Token = token
        self.args: tuple[Any, ...] = args
        self.kw: dict[str, Any] = kw
        self.options: TaskOptions = options

    @property
    def is_forgotten(self) -> bool:
        """Is it gone from the queue, started for the last time and with `ignore_result`? [CLM-3]"""
        return self.options.ignore_result and self.token.start >= self.options.attempts

    def __repr__(self) -> str:
        return f"<FunctionTask {self.name} [{self.id}]>"


class _Target(NamedTuple):
    """What a Queue knows."""

    broker: TaskBroker
    name: str
    id: IdOption
    options: TaskOptions

    def call(self, args: tuple[Any, ...], kw: dict[str, Any]) -> Deferred | None:
        return self.broker.enqueue(self.prepare(args, kw))

    def prepare(self, args: tuple[Any, ...], kw: dict[str, Any]) -> FunctionTask:
        token = Token.new()
        # The 16 random bytes make the id unique just as well.
        task_id = token.incarnation.hex() if self.id is None else self._id(args, kw)
        if not self.name:
            raise ValueError("target: '' is no task's name; call a task as queue.NAME(...)")
        name = checks.name("target", self.name)
        return FunctionTask(name, task_id, token, args, kw, self.options)

    def _id(self, args: tuple[Any, ...], kw: dict[str, Any]) -> str:
        return checks.name("id", self.id(*args, **kw) if callable(self.id) else self.id)


class Queue:
    """A handle that names a task, or a name space of tasks, and calls it.

        q = Queue(broker)
        q.foo.func(1, key=None)     # -> a Deferred; a worker calls the task `foo.func`

    An attribute is a Queue with that name appended, so every plain name is the name of a task. Two
    Queues are equal if they refer to the same broker. `len(q)` is the number of tasks that wait,
    `del q[:]` drops them.
    """

    # Every plain name is a task's: what a Queue knows stands under a name that can't be one.
    __slots__ = ("__target__",)

    def __init__(self, broker: TaskBroker, target: str = "", **options: Unpack[Options]) -> None:
        """`target`: the name to begin with; `options`: those of `Task`, for each call."""
        if target != "":
            checks.name("target", target)
        self.__target__: _Target = _Target(
            broker, target, _checked_id(options), TaskOptions().changed(options)
        )

    def __getattr__(self, name: str) -> "Queue":
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"a task has no such name: {name!r}")
        broker, outer, task_id, options = self.__target__
        return _queue(_Target(broker, f"{outer}.{name}" if outer else name, task_id, options))

    def __call__(self, /, *args: Any, **kw: Any) -> Called:
        """Call the task: a Deferred, or None with `ignore_result`. [CALL-6]

        Raises DuplicateTask [CALL-4] or, for an argument that is not available, TaskFailure [CALL-5];
        nothing has changed then.
        """
        return self.__target__.call(args, kw)

    def __len__(self) -> int:
        return len(self.__target__.broker)

    def __bool__(self) -> bool:
        return True

    def __delitem__(self, key: object) -> None:
        if key != slice(None):
            raise ValueError(f"only `del queue[:]` drops tasks, not `del queue[{key!r}]`")
        self.__target__.broker.discard_pending_tasks()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Queue):
            return NotImplemented
        return self.__target__.broker is other.__target__.broker

    def __hash__(self) -> int:
        return id(self.__target__.broker)

    def __str__(self) -> str:
        return self.__target__.name

    def __repr__(self) -> str:
        target = self.__target__
        return f"<Queue {f'{target.name} ' if target.name else ''}[{target.broker.name}]>"

    def __copy__(self) -> "Queue":
        return _queue(self.__target__)

    def __deepcopy__(self, memo: dict[int, object]) -> "Queue":
        del memo  # a copy refers to the same broker
        return _queue(self.__target__)

    def __reduce__(self) -> Never:
        raise TypeError(
            f"{self!r} has a connection and can't be pickled; send the URL and the name"
        )


def _queue(target: _Target) -> Queue:
    queue = Queue.__new__(Queue)
    queue.__target__ = target
    return queue


class Task(HasOptions):
    """A task to call with options of its own.

        Task(q.foo.func, on_error=Task.PASS, result_timeout=60)(1, key=None)

    An option that is not given is the queue's, whose defaults are those shown. They are attributes.
    """

    FAIL: ClassVar[Literal["fail"]] = const.FAIL
    PASS: ClassVar[Literal["pass"]] = const.PASS

    def __init__(
        self,
        queue: Queue,
        id: IdOption = None,
        on_error: OnError = ON_ERROR,
        ignore_result: bool = IGNORE_RESULT,
        result_timeout: float = RESULT_TIMEOUT,
        heartrate: float = HEARTRATE,
        attempts: int = ATTEMPTS,
        time_limit: float | None = TIME_LIMIT,
        **unknown: Never,
    ) -> None:
        """Name the task that `queue` stands for. Times are seconds.

        `id`: unique among the tasks in the queue, or a function that gives it for the arguments of
        a call; None: one is made for each call. `on_error`: if an argument fails, `'fail'` (this
        one fails too, without a worker) or `'pass'` (it is called with the TaskFailure).
        `ignore_result`: no Deferred, and the task is gone from the queue when it is started for the
        last time. `result_timeout`: how long its outcome is kept; infinity: for ever. `heartrate`:
        a worker that is not heard of for 2·heartrate + 5 seconds has lost the task. `attempts`: how
        often it may be started; more than 1 is for tasks that may run twice. `time_limit`: how long it
        may run; then a pool of processes ends it, and it fails (a pool of threads can't end it, and
        says so [ENV-POOL-22]); None: for ever.
        """
        given: dict[str, object] = {
            "on_error": on_error,
            "ignore_result": ignore_result,
            "result_timeout": result_timeout,
            "heartrate": heartrate,
            "attempts": attempts,
            "time_limit": time_limit,
            **unknown,
        }
        check("id", id)
        target = _checked_queue(queue).__target__
        changed = {k: v for k, v in given.items() if not isinstance(v, Default)}
        self.queue = queue
        self.id: IdOption = target.id if id is None else id
        self.options: TaskOptions = target.options.changed(changed)

    @property
    def name(self) -> str:
        return str(self.queue)

    def with_options(self, options: Options) -> "Task":
        """The same task with these options in place of its own."""
        changed = copy.copy(self)
        changed.options = self.options.changed(options)
        changed.id = options.get("id", self.id)
        return changed

    def __call__(self, /, *args: Any, **kw: Any) -> Called:
        """As `Queue.__call__`."""
        return self._target.call(args, kw)

    def map(self, /, *iterables: Iterable[Any], **kw: Any) -> list[Called]:
        """Call the task with each item, or with one of each iterable, in few round trips. [ENV-MANY-3]

            Task(q.double).map([1, 2, 3])       # -> three Deferreds

        `kw` goes to each call. The iterables are read to the end of the shortest first. Raises as
        `Broker.enqueue_many`.
        """
        if not iterables:
            raise TypeError("iterables: at least one is needed")
        target = self._target
        given = [checks.iterable(f"iterables[{i}]", each) for i, each in enumerate(iterables)]
        calls = zip(*given, strict=False)
        return target.broker.enqueue_many([target.prepare(args, kw) for args in calls])

    def prepare(self, /, *args: Any, **kw: Any) -> FunctionTask:
        """A call that is not made yet: one for `Broker.enqueue_many`. [ENV-MANY-1]"""
        return self._target.prepare(args, kw)

    @property
    def _target(self) -> _Target:
        return self.queue.__target__._replace(id=self.id, options=self.options)

    def __repr__(self) -> str:
        return f"<Task{repr(self.queue).removeprefix('<Queue')}"


class TaskSpace:
    """A name space of tasks, as a module is of functions.

        ts = TaskSpace("foo")

        @ts.task
        def func(value): ...        # the task `foo.func`, once a broker has exposed `ts`

    Without a name, its tasks are called by theirs alone.
    """

    def __init__(self, name: str = "") -> None:
        self.name: str = name if name == "" else checks.name("name", name)
        self.tasks: dict[str, Callable[..., Any]] = {}

    def task(self, callable: F, name: str | None = None) -> F:
        """Add a task and return it, so this is a decorator too. [ENV-API-4]

        Raises ValueError if the name is there.
        """
        own_name = task_name(callable) if name is None else checks.name("name", name)
        full_name = f"{self.name}.{own_name}" if self.name else own_name
        if full_name in self.tasks:
            raise ValueError(f"name: there is a task of that name: {full_name!r}")
        self.tasks[full_name] = callable
        return callable

    def __repr__(self) -> str:
        return f"<TaskSpace {self.name} [{', '.join(self.tasks)}]>"


def task_name(function: Callable[..., Any]) -> str:
    """The name that a callable goes by. ValueError if it has none to call it by."""
    if not callable(function):
        raise TypeError(f"callable: a function or method is needed, not {function!r}")
    name = getattr(function, "__name__", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"name: it has none of its own, so one is needed for {function!r}")
    return name


def _checked_queue(queue: object) -> Queue:
    if not isinstance(queue, Queue):
        raise TypeError(f"queue: a Queue is needed, not {queue!r}")
    return queue


def _checked_id(options: Options) -> IdOption:
    task_id = options.get("id")
    check("id", task_id)
    return task_id
