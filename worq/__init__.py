"""A task queue whose behaviour is defined by an executable specification, SPEC.md.

broker = worq.get_broker("redis://localhost")
broker.expose(func)                         # in a worker, with a pool to run it
deferred = broker.queue().func(1)           # in a producer
deferred.wait(10) and deferred.value
"""

from functools import partial
from typing import TYPE_CHECKING, Unpack

from worq import lazily
from worq.const import DEFAULT
from worq.core import Broker
from worq.errors import BackendUnavailable, MessageRefused, QueueClosed, WorqError
from worq.failures import TasksRefused
from worq.options import Options
from worq.serializer import Serializer, resolve
from worq.task import Deferred, DuplicateTask, Queue, Task, TaskExpired, TaskFailure, TaskSpace
from worq.urls import open_queue, serializer_in

if TYPE_CHECKING:
    from worq.collecting import (
        ALL_COMPLETED,
        FIRST_COMPLETED,
        FIRST_EXCEPTION,
        as_completed,
        wait,
    )
    from worq.typed_task import TypedTask, typed
else:
    __getattr__ = lazily.attributes(
        __name__,
        {
            "worq.collecting": (
                "ALL_COMPLETED",
                "FIRST_COMPLETED",
                "FIRST_EXCEPTION",
                "as_completed",
                "wait",
            ),
            "worq.typed_task": ("TypedTask", "typed"),
        },
    )

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "BackendUnavailable",
    "Broker",
    "Deferred",
    "DuplicateTask",
    "MessageRefused",
    "Queue",
    "QueueClosed",
    "Task",
    "TaskExpired",
    "TaskFailure",
    "TaskSpace",
    "TasksRefused",
    "TypedTask",
    "WorqError",
    "as_completed",
    "get_broker",
    "get_queue",
    "typed",
    "wait",
]


def get_broker(
    url: str,
    name: str = DEFAULT,
    *args: object,
    serializer: Serializer | str | None = None,
    **kw: object,
) -> Broker:
    """A broker for the queue of that name, which closes what this opens. [ENV-API-8] [ENV-API-9]

    `url`: `memory://` and `memory://name` live in this process; `redis://host:port/db`, `rediss://`
    and `unix://` as redis-py reads them. `args` and `kw` go to the backend's `TaskQueue`, as
    `message_bytes_max` does. `serializer`: one of `worq.serializer`, or its name, as in the URL
    (`?serializer=json`); pickle unless told otherwise, **and pickles execute code** [ENV-SER-7].
    Raises ValueError for a URL that says nothing.
    """
    chosen = resolve(serializer, serializer_in(url))
    return Broker.opened(partial(open_queue, url, name, *args, **kw), serializer=chosen)


def get_queue(url: str, name: str = DEFAULT, target: str = "", **options: Unpack[Options]) -> Queue:
    """A queue for calling tasks, which somebody's workers run.

    `options`: those of `Task`, for each call. Its broker lives as long as the queue and its
    Deferreds do; who wants to close it calls `get_broker`.
    """
    return get_broker(url, name).queue(target, **options)
