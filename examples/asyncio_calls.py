"""Tasks that are coroutines, called and awaited in asyncio.

Prints:
    [1, 4, 9]
    16
    all 4 are there
"""

import asyncio
import sys

from worq import aio, get_broker
from worq.pool.thread import WorkerPool


async def square(x: int) -> int:
    await asyncio.sleep(0.01)  # as if it asked somebody
    return x * x


async def produce(url: str) -> None:
    async with aio.get_broker(url, "squares") as broker:
        queue = broker.queue()
        deferreds = [await queue.square(x) for x in (1, 2, 3)]
        print(await asyncio.gather(*deferreds))

        deferreds.append(await queue.square(4))
        async with asyncio.timeout(10):
            print(await deferreds[-1])

        done, _ = await aio.wait(deferreds)
        print(f"all {len(done)} are there")


def main(url: str) -> None:
    with get_broker(url, "squares") as broker:
        broker.expose(square)
        with WorkerPool(broker, workers=2):
            asyncio.run(produce(url))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
