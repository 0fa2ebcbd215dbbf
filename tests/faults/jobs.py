"""What workers of pools run in a soak. Nothing here needs more than worq, so they start fast."""

from typing import Any, Final

import worq
from worq import Broker, TaskFailure, TaskSpace

TASKS: Final = TaskSpace()


@TASKS.task
def echo(value: Any) -> Any:
    return value


@TASKS.task
def fail(text: str) -> TaskFailure:
    return TaskFailure("fail", "", "", text)


def init(url: str, name: str) -> Broker:
    """Of a worker process. It speaks for the queue, and needs no connection for that."""
    del url
    broker = worq.get_broker("memory://", name)
    broker.expose(TASKS)
    return broker
