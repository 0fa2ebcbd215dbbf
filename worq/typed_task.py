"""Tasks whose calls a type checker checks as it does those of their functions. [ENV-TYPE-1] [ENV-TYPE-2]

A Deferred may stand for each of the first five arguments, where these are given by position. `ParamSpec`
can't say that of keywords, of further arguments, nor of what is in a list: there `typing.cast(int, deferred)`
tells the checker what the task will get.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
    Unpack,
    overload,
)

from worq import checks
from worq.options import CallOptions, Options
from worq.task import Called, Deferred, Queue, Task

__all__ = ["TypedTask", "typed"]

P = ParamSpec("P")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)
F_co = TypeVar("F_co", bound=Callable[..., Any], covariant=True)


class TypedTask(Generic[F_co, R_co]):
    """A task to call with the arguments of its function; `typed` makes one.

    `task` is the same without types: it has the name and the options. `func` is the function.
    """

    __slots__ = ("_func", "_task")

    def __init__(self, task: Task, func: F_co) -> None:
        self._task = task
        self._func = func

    @property
    def task(self) -> Task:
        return self._task

    @property
    def func(self) -> F_co:
        return self._func

    # Checkers take the first that fits: without Deferreds it is the signature of the function.
    @overload
    def __call__(
        self: "TypedTask[Callable[P, Any], R_co]", /, *args: P.args, **kw: P.kwargs
    ) -> R_co: ...
    @overload
    def __call__(
        self: "TypedTask[Callable[Concatenate[A, P], Any], R_co]",
        a: A | Deferred[A],
        /,
        *args: P.args,
        **kw: P.kwargs,
    ) -> R_co: ...
    @overload
    def __call__(
        self: "TypedTask[Callable[Concatenate[A, B, P], Any], R_co]",
        a: A | Deferred[A],
        b: B | Deferred[B],
        /,
        *args: P.args,
        **kw: P.kwargs,
    ) -> R_co: ...
    @overload
    def __call__(
        self: "TypedTask[Callable[Concatenate[A, B, C, P], Any], R_co]",
        a: A | Deferred[A],
        b: B | Deferred[B],
        c: C | Deferred[C],
        /,
        *args: P.args,
        **kw: P.kwargs,
    ) -> R_co: ...
    @overload
    def __call__(
        self: "TypedTask[Callable[Concatenate[A, B, C, D, P], Any], R_co]",
        a: A | Deferred[A],
        b: B | Deferred[B],
        c: C | Deferred[C],
        d: D | Deferred[D],
        /,
        *args: P.args,
        **kw: P.kwargs,
    ) -> R_co: ...
    @overload
    def __call__(
        self: "TypedTask[Callable[Concatenate[A, B, C, D, E, P], Any], R_co]",
        a: A | Deferred[A],
        b: B | Deferred[B],
        c: C | Deferred[C],
        d: D | Deferred[D],
        e: E | Deferred[E],
        /,
        *args: P.args,
        **kw: P.kwargs,
    ) -> R_co: ...
    def __call__(self: "TypedTask[Any, Any]", /, *args: Any, **kw: Any) -> Called:
        """As `Queue.__call__`."""
        return self._task(*args, **kw)

    # On a queue of `worq.aio` it is awaited, as a call is.
    @overload
    def map(
        self: "TypedTask[Callable[Concatenate[A, ...], Any], Coroutine[Any, Any, T]]",
        a: Iterable[A | Deferred[A]],
        /,
        **kw: Any,
    ) -> Coroutine[Any, Any, list[T]]: ...
    @overload
    def map(
        self: "TypedTask[Callable[Concatenate[A, B, ...], Any], Coroutine[Any, Any, T]]",
        a: Iterable[A | Deferred[A]],
        b: Iterable[B | Deferred[B]],
        /,
        **kw: Any,
    ) -> Coroutine[Any, Any, list[T]]: ...
    @overload
    def map(
        self: "TypedTask[Callable[Concatenate[A, B, C, ...], Any], Coroutine[Any, Any, T]]",
        a: Iterable[A | Deferred[A]],
        b: Iterable[B | Deferred[B]],
        c: Iterable[C | Deferred[C]],
        /,
        **kw: Any,
    ) -> Coroutine[Any, Any, list[T]]: ...
    @overload
    def map(
        self: "TypedTask[Callable[Concatenate[A, ...], Any], R_co]",
        a: Iterable[A | Deferred[A]],
        /,
        **kw: Any,
    ) -> list[R_co]: ...
    @overload
    def map(
        self: "TypedTask[Callable[Concatenate[A, B, ...], Any], R_co]",
        a: Iterable[A | Deferred[A]],
        b: Iterable[B | Deferred[B]],
        /,
        **kw: Any,
    ) -> list[R_co]: ...
    @overload
    def map(
        self: "TypedTask[Callable[Concatenate[A, B, C, ...], Any], R_co]",
        a: Iterable[A | Deferred[A]],
        b: Iterable[B | Deferred[B]],
        c: Iterable[C | Deferred[C]],
        /,
        **kw: Any,
    ) -> list[R_co]: ...
    def map(self: "TypedTask[Any, Any]", /, *iterables: Iterable[Any], **kw: Any) -> Any:
        """As `Task.map`, for one to three iterables whose items fit; keywords are not checked. [ENV-MANY-3]"""
        return self._task.map(*iterables, **kw)

    def __repr__(self) -> str:
        return f"<TypedTask{repr(self._task).removeprefix('<Task')}"


@overload
def typed(
    queue: Queue,
    func: Callable[P, Coroutine[Any, Any, T]],
    *,
    ignore_result: Literal[False] = False,
    **options: Unpack[CallOptions],
) -> TypedTask[Callable[P, Coroutine[Any, Any, T]], Deferred[T]]: ...
@overload
def typed(
    queue: Queue,
    func: Callable[P, T],
    *,
    ignore_result: Literal[False] = False,
    **options: Unpack[CallOptions],
) -> TypedTask[Callable[P, T], Deferred[T]]: ...
@overload
def typed(
    queue: Queue,
    func: Callable[P, object],
    *,
    ignore_result: Literal[True],
    **options: Unpack[CallOptions],
) -> TypedTask[Callable[P, object], None]: ...
def typed(queue: Queue, func: Callable[..., Any], **options: Unpack[Options]) -> Any:
    """The task as which the broker of `queue` exposes `func`, for calls that a type checker checks.

        typed(queue, add)(1, y=2)     # -> Deferred[int], if `add` returns an int, or is a coroutine that does

    It has one name among those that begin with the queue's target, or it is a ValueError that shows them: then
    `broker.expose` it here too, or say which is meant: `typed(queue.maths.add, add)`. `options`: those of
    `Task`. With `ignore_result=True` a call is None; a queue that has that option needs it said here. [ENV-TYPE-1]
    [ENV-TYPE-2]
    """
    checks.instance("queue", queue, Queue)
    if not callable(func):
        raise TypeError(f"func: a function or method is needed, not {func!r}")
    broker = queue.__target__.broker
    names = [name for name in _names(broker.tasks, func) if _is_within(str(queue), name)]
    if not names:
        raise ValueError(f"func: the broker of {queue!r} exposes no task there that is {func!r}")
    if len(names) > 1:
        which = ", ".join(names)
        raise ValueError(f"func: the broker of {queue!r} exposes {func!r} as {which}: say which")
    task = Task(_named(queue, names[0])).with_options(options)
    if task.ignore_result and not options.get("ignore_result"):
        raise ValueError(f"ignore_result: {queue!r} has it; say so to typed(...) too: True")
    return TypedTask[Any, Any](task, func)


def _names(tasks: Mapping[str, Callable[..., Any]], func: Callable[..., Any]) -> list[str]:
    # Each access to a method makes another one, which is equal.
    return sorted(name for name, task in tasks.items() if task == func)


def _is_within(target: str, name: str) -> bool:
    return target in ("", name) or name.startswith(f"{target}.")


def _named(queue: Queue, name: str) -> Queue:
    target = str(queue)
    return queue if target == name else getattr(queue, name.removeprefix(target).lstrip("."))
