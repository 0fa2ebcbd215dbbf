"""Tasks for tests, and a worker that takes one step at a time."""

import pickle
from typing import Any, TypeVar

from worq import Broker, Deferred, Queue, Task, TaskSpace
from worq.backend import AbstractTaskQueue
from worq.task import FunctionTask

T = TypeVar("T")

TASKS = TaskSpace()


@TASKS.task
def echo(*args: Any, **kw: Any) -> Any:
    return (args, kw)


@TASKS.task
def give(value: Any = None) -> Any:
    return value


@TASKS.task
def boom(text: str = "boom") -> None:
    raise ValueError(text)


def broker_of(queue: AbstractTaskQueue) -> Broker:
    """A broker with all these tasks."""
    broker = Broker(queue)
    broker.expose(TASKS)
    return broker


def call(queue: Queue, task_id: str, *args: Any, **options: Any) -> Deferred:
    """The Deferred of a call with that id."""
    deferred = Task(queue, id=task_id, **options)(*args)
    assert deferred is not None
    return deferred


def take(broker: Broker) -> FunctionTask:
    """The task that is next."""
    task = broker.next_task(0)
    assert task is not None
    return task


def work(broker: Broker) -> int:
    """Run what is ready, and say how many tasks that was."""
    count = 0
    while (task := broker.next_task(0)) is not None:
        broker.invoke(task)
        count += 1
    return count


def pickled(value: T, protocol: int | None = None) -> T:
    """The value out of a pickle."""
    found: T = pickle.loads(pickle.dumps(value, protocol))  # noqa: S301 - the pickle is our own
    return found
