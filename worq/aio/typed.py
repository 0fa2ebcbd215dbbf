"""`worq.typed` for queues of `worq.aio`. [ENV-TYPE-1] [ENV-TYPE-2] [ENV-AIO-4]"""

from collections.abc import Callable, Coroutine
from typing import Any, Literal, ParamSpec, TypeVar, Unpack, overload

from worq import typed_task
from worq.options import CallOptions, Options
from worq.task import Deferred, Queue
from worq.typed_task import TypedTask

P = ParamSpec("P")
T = TypeVar("T")


@overload
def typed(
    queue: Queue,
    func: Callable[P, Coroutine[Any, Any, T]],
    *,
    ignore_result: Literal[False] = False,
    **options: Unpack[CallOptions],
) -> TypedTask[Callable[P, Coroutine[Any, Any, T]], Coroutine[Any, Any, Deferred[T]]]: ...
@overload
def typed(
    queue: Queue,
    func: Callable[P, T],
    *,
    ignore_result: Literal[False] = False,
    **options: Unpack[CallOptions],
) -> TypedTask[Callable[P, T], Coroutine[Any, Any, Deferred[T]]]: ...
@overload
def typed(
    queue: Queue,
    func: Callable[P, object],
    *,
    ignore_result: Literal[True],
    **options: Unpack[CallOptions],
) -> TypedTask[Callable[P, object], Coroutine[Any, Any, None]]: ...
def typed(queue: Queue, func: Callable[..., Any], **options: Unpack[Options]) -> Any:
    """As `worq.typed`, for a queue of a `worq.aio.Broker`: its calls are awaited.

    await (await typed(queue, add)(1, y=2))     # an int, if `add` returns one, or is a coroutine that does
    """
    return typed_task.typed(queue, func, **options)  # type: ignore[call-overload]  # ignore_result is any bool
