"""Queues with many tasks."""

from collections.abc import Iterator
from typing import Any, Final

import worq
from worq.backend import AbstractTaskQueue
from worq.task import FunctionTask
from worq.values import Submission, Token

CHUNK: Final = 1000


def noop(value: Any) -> Any:
    return value


def fill(queue: AbstractTaskQueue, count: int) -> Iterator[int]:
    """Submit so many no-ops; yields now and then how many there are."""
    message = _message(queue)
    for at in range(0, count, CHUNK):
        queue.submit_many([_submission(message) for _ in range(min(CHUNK, count - at))])
        yield at


def _message(queue: AbstractTaskQueue) -> bytes:
    """That of a call, as a worker finds it in an empty queue."""
    broker = worq.Broker(queue)
    called = broker.queue().noop(1)
    claim = broker.claim(0)
    assert claim is not None
    broker.task_failed(called)
    return claim.message


def _submission(message: bytes) -> Submission:
    token = Token.new()
    return Submission(FunctionTask(noop.__name__, token.incarnation.hex(), token, (), {}), message)
