"""The way to the server: connections, sessions, retries, closing and forking. SPEC.md, section 7."""

import os
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from redis.exceptions import NoScriptError, RedisError

from worq import bounds
from worq.clock import Clock
from worq.errors import BackendUnsupported, QueueClosed, WorqError
from worq.queue.redis import scripts
from worq.queue.redis.channel import Channel
from worq.queue.redis.contact import Contact
from worq.queue.redis.keys import GUARD, prefix
from worq.queue.redis.retry import Tries, meaning
from worq.queue.redis.rights import check_rights
from worq.queue.redis.scripts import Script
from worq.queue.redis.server import check_server
from worq.queue.redis.url import BLOCK_MS_MAX, Target

RECEIPT_MARGIN_MS: Final = 60_000
IDLE_MAX: Final = 64
"""Connections that are kept open while no call uses them."""
CONTROL_TIMEOUT_S: Final = 0.5
LAST_WORD_TIMEOUT_S: Final = 2.0
WAKE_TIMEOUT_S: Final = 1.0
PROMPT_TIMEOUT_S: Final = 1.0
"""How long a try may wait for a connection, or for a reply, where calls are bounded. [ENV-RETRY-3]"""
CLOSE_WAIT_S: Final = 0.08
"""How long `close` waits for calls under way, before it cuts their connections. [ENV-WAIT-7]"""
FORMAT: Final = "1"
"""That of the scripts, which stands beside the records. [ENV-REDIS-7]"""
NO_NUMBER: Final = b"0" * 16

_LOST: Final = (RedisError, OSError)

_links: "weakref.WeakSet[Link]" = weakref.WeakSet()


class Link:
    """What one queue object has of the server. Thread-safe; a forked child begins with fresh sessions and sockets."""

    def __init__(
        self, target: Target, name: str, *, clock: Clock | None, retry_deadline_s: float
    ) -> None:
        self.prefix: str = prefix(name, target.prefix)
        self.clock = clock
        self._target = target.of_queue(self.prefix)
        self._name = name
        self._key = self.prefix.encode()
        # A key that never exists: while the slot is moved key by key, a node of a cluster refuses a script one of whose
        # declared keys it lacks. Else the script would fail at one of the others, half done. [ENV-REDIS-12]
        self._guard = (self._key + GUARD,) if target.is_cluster else ()
        self._key_count = b"%d" % (2 + len(self._guard))
        self.retry_deadline_s: float = retry_deadline_s
        # A try may come so late after the first: it failed after its time-outs, was repeated until the deadline, and
        # the last one waits as long again.
        kept_ms = 1000 * (retry_deadline_s + 2 * target.try_s) + RECEIPT_MARGIN_MS
        self._receipt_ms = b"%d" % kept_ms
        self._checked = False
        self._begin()
        _links.add(self)

    def _begin(self) -> None:
        """With no connection: at first, and in a forked child."""
        self.closed: threading.Event = threading.Event()
        self._contact = Contact(self._where)
        self._idle: dict[bool, list[Channel]] = {False: [], True: []}  # by `Channel.is_prompt`
        self._busy: set[Channel] = set()
        # Its lock is entered by itself, and only those are notified who can be there: each call takes and gives.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._counted = 0  # of those that are busy, where there is a limit; see `_counts`

    # Calls

    def call(self, script: Script, *arguments: Any) -> bytes:
        """Do an operation, and return its answer."""
        channel = self.take()
        try:
            return self.perform(channel, script, arguments)
        finally:
            self.give(channel)

    def call_once(self, script: Script, *arguments: Any) -> None:
        """Do something that does no harm if it is not done: it is tried once."""
        channel = self.take()
        try:
            self._done(channel, script, arguments, None, 0)
        finally:
            self.give(channel)

    def perform(
        self,
        channel: Channel,
        script: Script,
        arguments: Sequence[Any],
        block: Sequence[Any] | None = None,
    ) -> bytes:
        """Do an operation over a channel; with `block`, a command that waits, right behind that."""
        reply = self._done(channel, script, arguments, block, self.retry_deadline_s)
        if reply[:1] == b"+":
            # Finish what the operation has left over. If that fails, whoever comes next does. [ENV-REDIS-4]
            with suppress(WorqError):
                self._done(channel, scripts.SETTLE, (), None, 0)
        return reply[1:]

    def _done(
        self,
        channel: Channel,
        script: Script,
        arguments: Sequence[Any],
        block: Sequence[Any] | None,
        deadline_s: float,
    ) -> bytes:
        """The reply of a script that was done, however often it must be sent for that."""
        number = channel.next_number() if script.changes else NO_NUMBER
        tries = None
        whole = False
        while True:
            try:
                if not self._checked or (self._target.place is not None and channel.is_elsewhere()):
                    self._check(channel)
                command = self._command(channel, script, number, arguments, whole=whole)
                reply = channel.exchange(*([command] if block is None else [block, command]))
            except NoScriptError:
                whole = True
            except WorqError:
                raise  # by the look at the server; one of them is an OSError
            except _LOST as error:
                if self.closed.is_set() and channel.waits:
                    if tries is None and not channel.may_be_done:
                        raise self._closed() from error
                    return self._last_word(channel, number)
                self._lost(channel, error)
                tries = tries or Tries(
                    self._where, deadline_s, bounds.until_s(), self.closed, bounds.unsent_s()
                )
                tries.failed(error, may_be_done=channel.may_be_done and script.changes)
                if meaning(error) == "lost":
                    self._contact.lost(error)
            else:
                if self._contact.lost_at_s is not None:  # which it hardly ever is
                    self._contact.made()
                if reply[:1] in b".+":
                    return bytes(reply)
                if reply == b"<" and tries is not None:
                    return self._last_word(channel, number)
                self._heed(reply)
                whole = False
            block = None

    def _last_word(self, channel: Channel, number: bytes) -> bytes:
        """The reply of an operation that `close` cut off, if it was done: then it counts. [ENV-WAIT-7]"""
        if number != NO_NUMBER:
            with suppress(*_LOST):  # then nobody knows; a lease or a retention passes
                receipt = self._fence([channel.session], LAST_WORD_TIMEOUT_S)
                if receipt.startswith(number):
                    return receipt[len(number) :]
        raise self._closed()

    def _lost(self, channel: Channel, error: Exception) -> None:
        """Drop the connection; raise if that was `close`."""
        if self.closed.is_set() and channel.waits:
            raise self._closed() from error
        channel.disconnect()
        self._target.lost(error)

    def block(self, channel: Channel, command: Sequence[Any]) -> None:
        """Wait on the server. A connection that is lost ends that too: its user looks again."""
        try:
            channel.exchange(command)
        except _LOST as error:
            self._lost(channel, error)

    def _command(
        self,
        channel: Channel,
        script: Script,
        number: bytes,
        arguments: Sequence[Any],
        *,
        whole: bool,
    ) -> tuple[Any, ...]:
        name, body = (b"EVAL", script.text) if whole else (b"EVALSHA", script.sha)
        keys = (self._key_count, self._key, channel.session_key, *self._guard)
        return (name, body, *keys, self.now_ms(), number, self._receipt_ms, *arguments)

    def now_ms(self) -> bytes:
        """What a script takes for the time; empty for the server's."""
        return b"" if self.clock is None else b"%d" % self.clock.now_ms()

    def _heed(self, reply: bytes) -> None:
        """Return if the operation is to be sent again; raise if it will never be done."""
        if reply[:1] == b"~":
            return
        if reply[:1] == b"v":
            found = reply[1:].decode(errors="replace")
            raise BackendUnsupported(
                f"{self._where}: its data has the format {found!r}, and this release of worq has "
                f"{FORMAT!r}: use the one that wrote it, until the queue is empty"
            )
        assert reply == b"<", reply
        raise self._closed()  # only close() makes an operation too old

    def _check(self, channel: Channel) -> None:
        """Look at the server and at rights: once, or whenever it may be another server. [ENV-REDIS-13]"""
        self._checked = False
        try:
            if self._target.has_user:
                check_rights(channel, self.prefix, self._where)
            check_server(channel.exchange((b"INFO", b"server")))
        finally:
            channel.may_be_done = False
        self._checked = True

    @property
    def _where(self) -> str:
        return f"{self._target.url} [{self._name}]"

    def _closed(self) -> QueueClosed:
        return QueueClosed(f"{self._where}: the queue was closed")

    # Channels. One that waits doesn't count for the limit, or a few that wait would keep all others out; nor
    # does one of calls that are bounded, or a few that others wait for would keep heartbeats out.

    def take(self, *, waits: bool = False) -> Channel:
        is_prompt = not waits and bounds.until_s() is not None
        limit = self._target.connections_max
        with self._lock:
            if limit is not None and not waits and not is_prompt:
                self._changed.wait_for(lambda: self._counted < limit or self.closed.is_set())
            if self.closed.is_set():
                raise self._closed()
            idle = self._idle[is_prompt]
            channel = idle.pop() if idle else self._channel(is_prompt=is_prompt)
            channel.waits = waits
            self._busy.add(channel)
            if limit is not None:
                self._counted += _counts(channel)
        return channel

    def _channel(self, *, is_prompt: bool) -> Channel:
        """A new one. `is_prompt`: for calls that are bounded; it never waits."""
        if not is_prompt:
            return Channel(self._target.connection(), self.prefix)
        return Channel(
            self._target.prompt_connection(PROMPT_TIMEOUT_S), self.prefix, is_prompt=True
        )

    def give(self, channel: Channel) -> None:
        limit = self._target.connections_max
        with self._lock:
            self._busy.discard(channel)
            if limit is not None:
                self._counted -= _counts(channel)
                self._changed.notify()
            idle = self._idle[channel.is_prompt]
            if self.closed.is_set():
                channel.disconnect()
                self._changed.notify_all()
            elif len(idle) >= IDLE_MAX:
                channel.disconnect()
            else:
                idle.append(channel)

    # Waking, closing, forking

    def wake(self) -> None:
        """Have all who wait on this object look again. [ENV-WAIT-8]"""
        with self._changed:
            keys = [channel.wait_key for channel in self._busy if channel.waits]
        if keys:
            with suppress(*_LOST):  # they look again anyway, a little later
                self._control(WAKE_TIMEOUT_S, nudges(keys))

    def close(self) -> None:
        """Idempotent. What is under way may end, for a moment; what waits ends at once. [ENV-WAIT-7]"""
        with self._changed:
            if self.closed.is_set():
                return
            self.closed.set()
            self._changed.notify_all()
            idle = self._all_idle()
            self._idle = {False: [], True: []}
            sessions = [channel.session for channel in self._busy if channel.waits]
        for channel in idle:
            channel.disconnect()
        if sessions:
            with suppress(*_LOST):  # then their connections are cut
                self._fence(sessions, CONTROL_TIMEOUT_S)
        give_up_at = time.monotonic() + CLOSE_WAIT_S
        with self._changed:
            while self._busy and (left_s := give_up_at - time.monotonic()) > 0:
                self._changed.wait(left_s)
            for channel in self._busy:
                channel.interrupt()

    def _all_idle(self) -> list[Channel]:
        return [channel for idle in self._idle.values() for channel in idle]

    def _fence(self, sessions: Sequence[str], timeout_s: float) -> bytes:
        """Wake them so that the claim that each has sent behind its block is not done, or nobody would get the task.

        The answer is the last receipt of the first of them.
        """
        return bytes(self._control(timeout_s, [self._fencing(sessions)])[1:])

    def _fencing(self, sessions: Sequence[str]) -> Sequence[object]:
        key = (b"2", self._key, self._key + b":session:")
        arguments = (self.now_ms(), NO_NUMBER, self._receipt_ms, *sessions)
        return (b"EVAL", scripts.CLOSE.text, *key, *arguments)

    def _control(self, timeout_s: float, commands: Iterable[Sequence[object]]) -> Any:
        """The reply to the last of some commands, over a connection of their own, since the others are in use."""
        channel = Channel(self._target.prompt_connection(timeout_s), self.prefix)
        try:
            return channel.exchange(*commands)
        finally:
            channel.disconnect()

    def forked(self) -> None:
        """In a child: its parent goes on with these sockets and sessions."""
        for channel in (*self._all_idle(), *self._busy):
            channel.disconnect()
        was_closed = self.closed.is_set()
        self._begin()
        if was_closed:
            self.closed.set()


def _counts(channel: Channel) -> bool:
    """Does it count for the limit, `max_connections` in the URL?"""
    return not (channel.waits or channel.is_prompt)


_NUDGE = b"redis.call('RPUSH', KEYS[1], '1') redis.call('PEXPIRE', KEYS[1], ARGV[1])"


def nudges(wait_keys: Sequence[bytes]) -> Iterator[Sequence[object]]:
    """A marker for each, which expires. In one step: a connection may be lost between two."""
    for key in wait_keys:
        yield b"EVAL", _NUDGE, 1, key, 2 * BLOCK_MS_MAX


def _renew_links() -> None:
    for link in list(_links):
        link.forked()


os.register_at_fork(after_in_child=_renew_links)
