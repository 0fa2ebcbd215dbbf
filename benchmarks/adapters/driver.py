"""The client of one peer, in that peer's environment: does what it is told, line by line, and times it.

    python driver.py ADAPTER

A request is a line of JSON, `{"do": NAME, …}`, and so is its reply, `{"ok": …}` or `{"error": …}`.
"""

import asyncio
import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

# Between two looks at the clock.
CHUNK = 50


class Plain:
    """Calls the functions of an adapter."""

    def __init__(self, adapter: Any) -> None:
        self.adapter = adapter

    def run(self, name: str, *arguments: Any) -> Any:
        return getattr(self.adapter, name)(*arguments)

    def each(self, name: str, arguments: Sequence[Any]) -> list[Any]:
        function = getattr(self.adapter, name)
        return [function(argument) for argument in arguments]

    def turns(self, count: int) -> list[float]:
        """One task after the other: how many seconds each took from submitting it to its result."""
        enqueue, fetch = self.adapter.enqueue, self.adapter.fetch
        took_s: list[float] = []
        for number in range(count):
            begin_s = time.perf_counter()
            value = fetch(enqueue(number))
            took_s.append(time.perf_counter() - begin_s)
            check([value], [number])
        return took_s


class Awaited:
    """Awaits the coroutine functions of an adapter."""

    def __init__(self, adapter: Any) -> None:
        self.adapter = adapter
        self.runner = asyncio.Runner()

    def run(self, name: str, *arguments: Any) -> Any:
        return self.runner.run(getattr(self.adapter, name)(*arguments))

    def each(self, name: str, arguments: Sequence[Any]) -> list[Any]:
        function = getattr(self.adapter, name)

        async def run() -> list[Any]:
            return [await function(argument) for argument in arguments]

        return self.runner.run(run())

    def turns(self, count: int) -> list[float]:
        """As `Plain.turns`."""
        enqueue, fetch = self.adapter.enqueue, self.adapter.fetch

        async def run() -> list[float]:
            took_s: list[float] = []
            for number in range(count):
                begin_s = time.perf_counter()
                value = await fetch(await enqueue(number))
                took_s.append(time.perf_counter() - begin_s)
                check([value], [number])
            return took_s

        return self.runner.run(run())


class Driver:
    """What the harness can ask for."""

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter
        self._peer = Awaited(adapter) if adapter.IS_ASYNC else Plain(adapter)

    def open(self) -> dict[str, Any]:
        """Connect; what the adapter can do."""
        self._peer.run("open")
        optional = ("enqueue_many", "fetch_many", "graph", "worker", "emptied")
        return {"has": [name for name in optional if hasattr(self._adapter, name)]}

    def close(self) -> None:
        self._peer.run("close")

    def emptied(self) -> None:
        self._peer.run("emptied")

    def worker(self) -> list[str]:
        command: list[str] = self._adapter.worker()
        return command

    def enqueue(self, *, seconds: float, many: int = 0) -> dict[str, float]:
        """Submit for so long, `many` at a time or one by one; the results are left alone."""
        count = 0
        begin_s = now_s = time.perf_counter()
        while now_s - begin_s < seconds:
            size = many or CHUNK
            self._submit(range(count, count + size), many=many)
            count += size
            now_s = time.perf_counter()
        return {"tasks": count, "seconds": now_s - begin_s}

    def fill(self, *, count: int, many: int = 0, marks: bool = False) -> None:
        """Submit so many, between two that leave marks."""
        if marks:
            self._peer.run("enqueue_mark", "first")
        self._submit(range(count), many=many)
        if marks:
            self._peer.run("enqueue_mark", "last")

    def end_to_end(
        self, *, count: int, many: int = 0, together: bool = False, letters: int = 0
    ) -> dict[str, float]:
        """Submit so many, and fetch all their results; `letters`: of the payload of each, there and back."""
        values: Sequence[Any] = ["x" * letters] * count if letters else range(count)
        gc.collect()
        cpu_s, begin_s = time.process_time(), time.perf_counter()
        handles = self._submit(values, many=many)
        results = (
            self._peer.run("fetch_many", handles) if together else self._peer.each("fetch", handles)
        )
        seconds, cpu_s = time.perf_counter() - begin_s, time.process_time() - cpu_s
        check(results, values)
        return {"seconds": seconds, "cpu_seconds": cpu_s}

    def turns(self, *, count: int) -> list[float]:
        return self._peer.turns(count)

    def graph(self, *, count: int) -> float:
        begin_s = time.perf_counter()
        total = self._peer.run("graph", count)
        seconds = time.perf_counter() - begin_s
        check([total], [sum(range(count))])
        return seconds

    def _submit(self, values: Sequence[Any], *, many: int) -> list[Any]:
        if not many:
            return self._peer.each("enqueue", values)
        handles: list[Any] = []
        for at in range(0, len(values), many):
            handles += self._peer.run("enqueue_many", values[at : at + many])
        return handles


def check(results: Sequence[Any], values: Sequence[Any]) -> None:
    """A fast answer that is wrong is no answer."""
    for result, value in zip(results, values, strict=True):
        if result != value:
            raise AssertionError(f"the task of {value!r:.60} gave {result!r:.60}")


def reply_to(driver: Driver, request: dict[str, Any]) -> dict[str, Any]:
    function: Callable[..., Any] = getattr(driver, request.pop("do"))
    try:
        return {"ok": function(**request)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:300]}


def main(name: str) -> None:
    # What libraries print goes to the log.
    replies = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    driver = Driver(importlib.import_module(name))
    for line in sys.stdin:
        replies.write(json.dumps(reply_to(driver, json.loads(line))) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
