"""worq in asyncio: the same calls, awaited. SPEC.md, section 9a.

async with worq.aio.get_broker("redis://localhost") as broker:
    deferred = await broker.queue().func(1)
    value = await deferred
"""

from worq.aio.broker import Broker, get_broker
from worq.aio.collecting import as_completed, wait
from worq.aio.typed import typed
from worq.collecting import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "Broker",
    "as_completed",
    "get_broker",
    "typed",
    "wait",
]
