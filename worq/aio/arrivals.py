"""Those who wait for outcomes in one event loop, and who fetches them. SPEC.md, section 9a.

Deferreds are waited for in groups, each by one asyncio task that belongs to the broker and that no caller cancels: a
caller who is cancelled leaves his group, which is told to look again. So nothing that was fetched is ever on its way to
somebody who has gone: it is put into its Deferred. [ENV-AIO-6]
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from worq.asynchronous import AsyncQueue, Poke
from worq.deferred import Deferred, Popped, keep
from worq.errors import WorqError

TOGETHER: Final = 256
"""So many are waited for by one call, which on Redis has a connection of its own."""
LEAVE_S: Final = 1.0
"""How long somebody who is cancelled waits until nothing more can be fetched for him."""


class Want:
    """What is waited for, and by how many."""

    def __init__(self) -> None:
        self.arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.count = 0


class Group:
    """Some Deferreds that are fetched by one call, again and again until none is wanted any more."""

    def __init__(self, queue: AsyncQueue, on_end: "Callable[[Group], object]") -> None:
        self.wanted: dict[Deferred, Want] = {}
        self.asked: dict[Deferred, bytes | None] = {}
        self.poke: Poke | None = None
        self._queue = queue
        self._on_end = on_end
        self._round: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None

    def add(self, deferred: Deferred) -> Want:
        want = self.wanted.get(deferred)
        if want is None:
            want = self.wanted[deferred] = Want()
            self._look_again()
        return want

    async def leave(self, deferred: Deferred) -> None:
        """Want it no more; when this returns, nothing more is fetched for it, unless that takes too long."""
        self.wanted.pop(deferred, None)
        if deferred in self.asked and self._round is not None:
            self._look_again()
            await asyncio.wait({self._round}, timeout=LEAVE_S)

    def _look_again(self) -> None:
        if self.task is None:
            self.task = asyncio.create_task(self._run())
        if self.poke is not None:
            self.poke()

    async def _run(self) -> None:
        try:
            while self.wanted:
                await self._fetch()
        except asyncio.CancelledError:  # the event loop ends
            for want in self.wanted.values():
                want.arrived.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is raised where somebody waits
            for want in self.wanted.values():
                if not want.arrived.done():
                    want.arrived.set_exception(error)
        finally:
            self.wanted.clear()
            self._on_end(self)

    async def _fetch(self) -> None:
        """One call, which goes on until it has something, or others are wanted."""
        seen = self.asked
        self.asked = {each: seen.get(each, _incarnation(each)) for each in self.wanted}
        self._round = asyncio.get_running_loop().create_future()
        deferreds = list(self.asked)
        tasks = [(each.id, incarnation) for each, incarnation in self.asked.items()]
        answers: Sequence[Popped] = ()
        try:
            answers = await self._queue.pop_many(tasks, self)
        except WorqError as error:
            answers = error.answers  # type: ignore[assignment]  # of a pop
            raise
        finally:
            self._settle(deferreds, answers)
            self.asked = {
                each: task[1]
                for each, task in zip(deferreds, tasks, strict=True)
                if each in self.wanted
            }
            self._round.set_result(None)

    def _settle(self, deferreds: Sequence[Deferred], answers: Sequence[Popped]) -> None:
        keep(deferreds, answers)
        for deferred, answer in zip(deferreds, answers, strict=False):
            if answer is not None and (want := self.wanted.pop(deferred, None)) is not None:
                want.arrived.set_result(None)


class Arrivals:
    """All that is waited for through one broker."""

    def __init__(self, queue: AsyncQueue) -> None:
        self._queue = queue
        self._groups: list[Group] = []
        self._looks: dict[Deferred, asyncio.Task[None]] = {}

    async def of(self, deferred: Deferred) -> None:
        """Return when the queue has an answer, and the Deferred has it. [ENV-AIO-5]"""
        while (look := self._looks.get(deferred)) is not None:
            await asyncio.wait({look})
        if deferred.held is not None:
            return
        group = self._group(deferred)
        want = group.add(deferred)
        want.count += 1
        try:
            await asyncio.shield(want.arrived)
        finally:
            want.count -= 1
            if want.count == 0 and not want.arrived.done():
                await group.leave(deferred)

    async def look(self, deferreds: Sequence[Deferred]) -> None:
        """Fetch what is there of those that nobody waits for."""
        busy = set[Deferred](self._looks).union(*(group.asked for group in self._groups))
        free = [each for each in deferreds if each not in busy]
        if free:
            look = asyncio.create_task(self._look(free))
            self._looks.update(dict.fromkeys(free, look))
            # Whoever is cancelled leaves this to itself: what it fetches is put into the Deferreds.
            await asyncio.shield(look)

    async def _look(self, deferreds: list[Deferred]) -> None:
        answers: Sequence[Popped] = ()
        try:
            answers = await self._queue.pop_many([(d.id, _incarnation(d)) for d in deferreds], None)
        except WorqError as error:
            answers = error.answers  # type: ignore[assignment]  # of a pop
            raise
        finally:
            keep(deferreds, answers)
            for deferred in deferreds:
                del self._looks[deferred]

    def _group(self, deferred: Deferred) -> Group:
        for group in self._groups:
            if deferred in group.wanted or deferred in group.asked:
                return group
        for group in self._groups:
            if len(group.wanted) < TOGETHER:
                return group
        group = Group(self._queue, self._groups.remove)
        self._groups.append(group)
        return group

    async def ended(self) -> None:
        """Wait until those who fetch have ended, which the queue was told to do."""
        tasks = {group.task for group in self._groups if group.task is not None}
        if tasks := tasks.union(self._looks.values()):
            await asyncio.wait(tasks)


def _incarnation(deferred: Deferred) -> bytes | None:
    return None if deferred.token is None else deferred.token.incarnation
