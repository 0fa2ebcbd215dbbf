"""Queues with many tasks, by the public API of worq."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import worq

CHUNK: Final = 1000
SINGLE_MAX: Final = 100_000
"""As many are submitted one by one, where there is no other way."""


class NotBuiltYet(Exception):
    """What it takes is not in this version of worq."""


def noop(value: Any) -> Any:
    return value


def fill(broker: worq.Broker, count: int) -> Iterator[int]:
    """Submit so many tasks; yields now and then how many there are. NotBuiltYet if that took hours."""
    task: Any = worq.Task(broker.queue().noop)
    if hasattr(task, "map"):
        for at in range(0, count, CHUNK):
            task.map(range(at, min(at + CHUNK, count)))
            yield at
        return
    if count > SINGLE_MAX and not broker.url.startswith("memory:"):
        raise NotBuiltYet("not built yet: submitting many")
    queue = broker.queue()
    numbers = iter(range(count))
    while chunk := list(islice(numbers, CHUNK)):
        for number in chunk:
            queue.noop(number)
        yield chunk[-1]
