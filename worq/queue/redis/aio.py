"""The same queue for asyncio: the same scripts, sessions and retries, over connections of redis.asyncio.

What is sent, what a reply means and when it is sent again is decided by the code that decides it for threads; here is
what awaits. Source: SPEC.md, section 9a.
"""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar, cast

import hiredis
import redis.asyncio.connection as connections
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from worq.asynchronous import Wait
from worq.backend import Entry
from worq.clock import Clock
from worq.const import Sentinel, State
from worq.errors import QueueClosed, WorqError
from worq.queue.redis import many, records, scripts
from worq.queue.redis.channel import IDLE_S_TRUSTED, Channel
from worq.queue.redis.discovery import Place
from worq.queue.redis.link import (
    CLOSE_WAIT_S,
    CONTROL_TIMEOUT_S,
    IDLE_MAX,
    LAST_WORD_TIMEOUT_S,
    NO_NUMBER,
    Link,
    nudges,
)
from worq.queue.redis.queue import STATES
from worq.queue.redis.retry import Tries, meaning
from worq.queue.redis.rights import check_rights
from worq.queue.redis.scripts import Script
from worq.queue.redis.server import check_server
from worq.queue.redis.tls import check_not_plain
from worq.queue.redis.url import target
from worq.queue.redis.waiting import FOREVER, seconds
from worq.values import Outcome, Submitted

T = TypeVar("T")

_LOST: Final = (RedisError, OSError)


class AsyncChannel(Channel):
    """A connection of redis.asyncio with its session, for one call at a time."""

    may_be_done: bool
    is_cut_off = False
    """Is its session fenced, since the event loop has ended in the midst of a pop?"""

    def __init__(self, connection: Any, prefix: str, place: Place | None) -> None:
        super().__init__(connection, prefix)
        self._stream = connection
        self._place = place

    async def swap(self, *commands: Sequence[object]) -> Any:
        """As `exchange`. Whoever is cancelled in the midst of it leaves no connection behind."""
        self.may_be_done = False
        try:
            await self._ready()
            self.may_be_done = True  # of what is written any part may arrive
            await self._stream.send_packed_command([_packed(commands)], check_health=False)
            for _ in commands[1:]:
                await self._stream.read_response()
            reply = await self._stream.read_response()
        except BaseException as error:
            if len(commands) > 1 or not isinstance(error, ResponseError):
                await self.drop()
            raise
        self._used_at = time.monotonic()
        return reply

    async def has_to_connect(self) -> bool:
        """As `is_elsewhere`."""
        await self._glance()
        self._used_at = time.monotonic()
        return not self._stream.is_connected

    async def _ready(self) -> None:
        await self._glance()
        if not self._stream.is_connected:
            await self._connect()

    async def _glance(self) -> None:
        """As `_look`."""
        if self._stream.is_connected and time.monotonic() - self._used_at >= IDLE_S_TRUSTED:
            look = getattr(self._stream, "can_read", None) or self._stream.can_read_destructive
            try:
                dirty = await look()
            except RedisConnectionError:
                dirty = True
            if dirty:
                await self.drop()

    async def _connect(self) -> None:
        """Where sentinels or nodes know the address, a thread asks them. [ENV-REDIS-11] [ENV-REDIS-12]"""
        if self._place is None:
            await self._shake_hands()
            return
        address = await asyncio.to_thread(self._place.find)
        self._stream.host, self._stream.port = address
        await self._shake_hands()
        if self._place.question:
            await self._stream.send_packed_command([self._place.question], check_health=False)
            self._place.judge(address, await self._stream.read_response())

    async def _shake_hands(self) -> None:
        """Connect; PlainPortError where a handshake waits for a server that has no TLS. [ENV-REDIS-14]"""
        stream = self._stream
        try:
            await stream.connect()
        except RedisTimeoutError:
            if isinstance(stream, connections.SSLConnection):
                timeout_s = stream.socket_connect_timeout
                await asyncio.to_thread(check_not_plain, stream.host, stream.port, timeout_s)
            raise

    async def drop(self) -> None:
        """Let go of the connection, at once; the next call makes another."""
        with suppress(*_LOST):
            await self._stream.disconnect(nowait=True)

    async def close(self) -> None:
        with suppress(*_LOST):
            await self._stream.disconnect()

    def abandon(self) -> None:
        """End the connection where its event loop is closed; the socket goes with its last reference."""
        writer = getattr(self._stream, "_writer", None)
        if writer is not None:
            with suppress(OSError):
                writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


class AsyncLink(Link):
    """What one queue object has of the server in one event loop."""

    def __init__(
        self, url: str, name: str, *, clock: Clock | None, retry_deadline_s: float
    ) -> None:
        super().__init__(target(url), name, clock=clock, retry_deadline_s=retry_deadline_s)
        kinds = getattr(self._target.connection_class, "__mro__", ())
        found = (getattr(connections, kind.__name__, None) for kind in kinds)
        self._class = cast("Any", next(filter(None, found), None))
        if self._class is None:
            raise ValueError(f"url: there is no asyncio for it: {self._target.url!r}")
        self._ended = asyncio.Event()
        self._free: list[AsyncChannel] = []
        self._used: set[AsyncChannel] = set()
        self._looking: set[Channel] = set()
        """Those of threads, which aclose would wait for."""
        self._unused = asyncio.Event()
        self._unused.set()
        limit = self._target.connections_max
        self._slots = None if limit is None else asyncio.Semaphore(limit)

    def _open(self, timeout_s: float | None = None) -> AsyncChannel:
        options = dict(self._target.options)
        if timeout_s is not None:
            for option in ("socket_timeout", "socket_connect_timeout"):
                options[option] = min(timeout_s, options[option])
        return AsyncChannel(self._class(**options), self.prefix, self._target.place)

    @asynccontextmanager
    async def channel(self, *, waits: bool = False) -> AsyncGenerator[AsyncChannel]:
        """One that nobody else uses within the block."""
        if self._slots is not None and not waits:
            await self._slots.acquire()
        try:
            if self.closed.is_set():
                raise self._closed()
            channel = self._free.pop() if self._free else self._open()
            channel.waits = waits
            self._used.add(channel)
            self._unused.clear()
            try:
                yield channel
            finally:
                self._used.discard(channel)
                if not self._used:
                    self._unused.set()
                if self.closed.is_set() or channel.is_cut_off or len(self._free) >= IDLE_MAX:
                    await channel.drop()
                else:
                    self._free.append(channel)
        finally:
            if self._slots is not None and not waits:
                self._slots.release()

    async def do(self, script: Script, *arguments: Any) -> bytes:
        """As `call`."""
        async with self.channel() as channel:
            return await self.carry_out(channel, script, arguments)

    async def carry_out(
        self,
        channel: AsyncChannel,
        script: Script,
        arguments: Sequence[Any],
        block: Sequence[Any] | None = None,
    ) -> bytes:
        """As `perform`."""
        reply = await self._did(channel, script, arguments, block, self.retry_deadline_s)
        if reply[:1] == b"+":
            with suppress(WorqError):
                await self._did(channel, scripts.SETTLE, (), None, 0)
        return reply[1:]

    async def _did(
        self,
        channel: AsyncChannel,
        script: Script,
        arguments: Sequence[Any],
        block: Sequence[Any] | None,
        deadline_s: float,
    ) -> bytes:
        """As `_done`, step by step."""
        number = channel.next_number() if script.changes else NO_NUMBER
        tries = None
        whole = False
        if channel.is_cut_off:
            raise self._closed()
        while True:
            try:
                if not self._checked or (
                    self._target.place is not None and await channel.has_to_connect()
                ):
                    await self._check_server(channel)
                command = self._command(channel, script, number, arguments, whole=whole)
                reply = await channel.swap(*([command] if block is None else [block, command]))
            except asyncio.CancelledError:
                if script is not scripts.POP_MANY:
                    raise
                # Only the end of the event loop cancels a pop, and what that has fetched is nowhere else. [ENV-AIO-6]
                channel.is_cut_off = True
                if tries is None and not channel.may_be_done:
                    raise self._closed() from None
                return await self._hear_last_word(channel, number)
            except NoScriptError:
                whole = True
            except WorqError:
                raise  # by the look at the server; one of them is an OSError
            except _LOST as error:
                if self.closed.is_set() and channel.waits:
                    if tries is None and not channel.may_be_done:
                        raise self._closed() from error
                    return await self._hear_last_word(channel, number)
                await channel.drop()
                self._target.lost(error)
                tries = tries or Tries(self._where, deadline_s, None, self.closed)
                pause_s = tries.pause_s(error, may_be_done=channel.may_be_done and script.changes)
                if meaning(error) == "lost":
                    self._contact.lost(error)
                if await self._is_closed_within(pause_s):
                    raise tries.cut_off(error) from error
            else:
                self._contact.made()
                if reply[:1] in b".+":
                    return bytes(reply)
                if reply == b"<" and tries is not None:
                    return await self._hear_last_word(channel, number)
                self._heed(reply)
                whole = False
            block = None

    async def _check_server(self, channel: AsyncChannel) -> None:
        self._checked = False
        try:
            if self._target.has_user:
                await asyncio.to_thread(self._look_for_rights)
            check_server(await channel.swap((b"INFO", b"server")))
        finally:
            channel.may_be_done = False
        self._checked = True

    def _look_for_rights(self) -> None:
        """Rarely, so it may take a connection of its own."""
        channel = Channel(self._target.connection(), self.prefix)
        self._looking.add(channel)
        try:
            if self.closed.is_set():
                raise self._closed()
            check_rights(channel, self.prefix, self._where)
        finally:
            self._looking.discard(channel)
            channel.disconnect()

    async def _is_closed_within(self, pause_s: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), pause_s)
        return self._ended.is_set()

    async def _hear_last_word(self, channel: AsyncChannel, number: bytes) -> bytes:
        """As `_last_word`."""
        if number != NO_NUMBER:
            with suppress(*_LOST):
                receipt = await self._fenced([channel.session], LAST_WORD_TIMEOUT_S)
                if receipt.startswith(number):
                    return receipt[len(number) :]
        raise self._closed()

    async def _fenced(self, sessions: Sequence[str], timeout_s: float) -> bytes:
        """As `_fence`."""
        reply = await self.control(timeout_s, [self._fencing(sessions)])
        return bytes(reply[1:])

    async def control(self, timeout_s: float, commands: Sequence[Sequence[object]]) -> Any:
        """As `_control`."""
        channel = self._open(timeout_s)
        try:
            return await channel.swap(*commands)
        finally:
            await channel.close()

    async def nudge(self, channel: AsyncChannel) -> None:
        """Have it look again. If that is lost, it looks a little later."""
        with suppress(*_LOST, WorqError):
            async with self.channel() as other:
                await other.swap(*list(nudges([channel.wait_key])))

    async def aclose(self) -> None:
        """As `close`."""
        if self.closed.is_set():
            return
        super().close()
        self._ended.set()
        for looking in tuple(self._looking):
            looking.interrupt()
        free, self._free = self._free, []
        sessions = [channel.session for channel in self._used if channel.waits]
        try:
            if sessions:
                with suppress(*_LOST):
                    await self._fenced(sessions, CONTROL_TIMEOUT_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._unused.wait(), CLOSE_WAIT_S)
        finally:  # also when the event loop ends, which cancels this
            for channel in tuple(self._used):
                await channel.drop()
            for channel in free:
                await channel.close()

    def abandon(self) -> None:
        super().close()
        for channel in (*self._used, *self._free):
            channel.abandon()
        self._used.clear()
        self._free.clear()


class RedisQueue:
    """A queue on one server, for one event loop. It connects when it is first asked something."""

    def __init__(
        self, url: str, name: str, *, clock: Clock | None, retry_deadline_s: float
    ) -> None:
        self._link = AsyncLink(url, name, clock=clock, retry_deadline_s=retry_deadline_s)
        self._pokes: set[asyncio.Task[None]] = set()

    async def submit_many(self, entries: Sequence[Entry]) -> list[Submitted]:
        if len(entries) == 1:
            (entry,) = entries
            packed = records.submitting(entry)
            if not entry.args and entry.outcome is None:
                packed = packed[:2]
            reply = await self._link.do(scripts.SUBMIT, *packed)
            return [records.submitted(reply, entry.outcome)]
        async with self._link.channel() as channel:
            return await _follow(self._link, channel, many.submitting(entries))

    async def pop_many(
        self, tasks: list[tuple[str, bytes | None]], wait: Wait | None
    ) -> list[Outcome | Sentinel | None]:
        outcomes = many.Outcomes(tasks)
        try:
            async with self._link.channel(waits=wait is not None) as channel:
                await self._pop(channel, outcomes, wait)
        finally:
            tasks[:] = outcomes.tasks
        return outcomes.answers

    async def _pop(self, channel: AsyncChannel, outcomes: many.Outcomes, wait: Wait | None) -> None:
        try:
            if wait is None:
                await _follow(self._link, channel, outcomes.asking(0, slept=False))
            else:
                await self._wait(channel, outcomes, wait)
        except QueueClosed:
            if not channel.is_cut_off:
                raise
        if channel.is_cut_off and all(answer is None for answer in outcomes.answers):
            raise asyncio.CancelledError

    async def _wait(self, channel: AsyncChannel, outcomes: many.Outcomes, wait: Wait) -> None:
        is_blocked = False
        is_poked = False

        def poke() -> None:
            nonlocal is_poked
            was_poked, is_poked = is_poked, True
            # What comes before it is blocked is seen when the script has answered.
            if is_blocked and not was_poked:
                task = asyncio.ensure_future(self._link.nudge(channel))
                self._pokes.add(task)
                task.add_done_callback(self._pokes.discard)

        clock = self._link.clock
        loop = asyncio.get_running_loop()
        unsubscribe = None if clock is None else clock.subscribe(_soon(loop, poke))
        wait.poke = poke
        slept, block = False, None
        try:
            while True:
                is_blocked = block is not None
                if block is not None and clock is not None:
                    # By a clock that is advanced by hand, the time after a block is not known before it.
                    with suppress(*_LOST):
                        await channel.swap(block)
                    block = None
                steps = outcomes.asking(0 if is_poked else FOREVER, slept=slept)
                reply = await _follow(self._link, channel, steps, block)
                is_blocked = False
                if channel.is_cut_off:
                    return
                if reply[:1] == b"W":
                    slept, block = True, None
                    if not is_poked:
                        block_ms = max(1, int.from_bytes(reply[1:5], "big"))
                        block = (b"BLPOP", *outcomes.wait_keys(channel), seconds(block_ms))
                elif reply[:1] == b"T" or is_poked:
                    return
                else:
                    slept, block = False, None
        finally:
            wait.poke = None
            if unsubscribe is not None:
                unsubscribe()

    async def discard(self, task_id: str, incarnation: bytes | None) -> bool:
        return await self._link.do(scripts.DISCARD, task_id, incarnation or b"") == b"T"

    async def purge(self) -> int:
        return int(await self._link.do(scripts.PURGE))

    async def size(self) -> int:
        return int(await self._link.do(scripts.SIZE))

    async def status(self, task_id: str, incarnation: bytes | None) -> State | None:
        return STATES[await self._link.do(scripts.STATUS, task_id, incarnation or b"")]

    async def aclose(self) -> None:
        await self._link.aclose()
        if self._pokes:
            await asyncio.wait(self._pokes)

    def abandon(self) -> None:
        self._link.abandon()


def _packed(commands: Sequence[Sequence[object]]) -> bytes:
    pack = cast("Callable[[tuple[object, ...]], bytes]", hiredis.pack_command)
    return b"".join(pack(tuple(command)) for command in commands)


async def _follow(
    link: AsyncLink, channel: AsyncChannel, steps: many.Steps[T], block: Sequence[Any] | None = None
) -> T:
    """What the steps return; the first script right behind the command that blocks."""
    try:
        script, arguments = next(steps)
        while True:
            try:
                reply = await link.carry_out(channel, script, arguments, block)
            except WorqError as error:
                script, arguments = steps.throw(error)
            else:
                script, arguments = steps.send(reply)
            block = None
    except StopIteration as end:
        return cast("T", end.value)


def _soon(loop: asyncio.AbstractEventLoop, act: Any) -> Any:
    """From another thread."""

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(act)

    return wake
