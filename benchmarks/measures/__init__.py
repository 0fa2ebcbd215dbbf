"""One file a measure. Those of `VISITS` are taken of each peer on Redis, in this order, in each round."""

from collections.abc import Callable
from typing import Final

from benchmarks.measures import (
    drain,
    end_to_end,
    enqueue,
    graph,
    herd,
    latency,
    memory,
    payloads,
)
from benchmarks.visit import Visit

VISITS: Final[dict[str, Callable[[Visit], None]]] = {
    "enqueue": enqueue.measure,
    "drain": drain.measure,
    "end_to_end": end_to_end.measure,
    "latency": latency.measure,
    "memory": memory.measure,  # before large payloads: the server keeps their buffers for seconds
    "payloads": payloads.measure,
    "graph": graph.measure,
    "herd": herd.measure,
}
EVERY_SECOND: Final = ("enqueue", "drain", "end_to_end")
"""Those that are taken also on a server with appendfsync everysec."""
EVERY_SECOND_SUFFIX: Final = " (everysec)"

OTHERS: Final = ("everysec", "pools", "imports", "pauses", "growth", "machines")
"""What is measured otherwise."""

NAMES: Final = (*VISITS, *OTHERS)
