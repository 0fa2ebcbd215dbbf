"""A connection with its session."""

import secrets
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, cast

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

IDLE_S_TRUSTED: Final = 0.01
"""A connection that was used so recently is not looked at before it is used again."""


_pack = cast("Callable[[tuple[object, ...]], bytes]", hiredis.pack_command)


class Connection(Protocol):
    """What is used of a connection of redis-py."""

    @property
    def is_connected(self) -> bool: ...
    def send_packed_command(self, command: list[bytes], *, check_health: bool) -> None: ...
    def read_response(self) -> Any: ...
    def can_read(self, timeout: float = 0) -> bool: ...
    def disconnect(self) -> None: ...


class Channel:
    """One connection and one session, for one call at a time.

    A session numbers its operations, and each leaves its answer on the server as the session's
    receipt; one with a lower number is no longer done. [ENV-RETRY-1]
    """

    def __init__(self, connection: Connection, prefix: str, *, is_prompt: bool = False) -> None:
        self.is_prompt = is_prompt
        self._connection = connection
        self._number = 0
        self._used_at = 0.0
        self.session: str = secrets.token_hex(12)
        self.session_key: bytes = f"{prefix}:session:{self.session}".encode()
        self.wait_key: bytes = f"{prefix}:session:wait:on:{self.session}".encode()
        self.may_be_done: bool = False
        self.waits = False

    def next_number(self) -> bytes:
        self._number += 1
        return b"%016d" % self._number

    def exchange(self, *commands: Sequence[object]) -> Any:
        """The reply to the last of the commands, which are sent in one write.

        `may_be_done` says afterwards whether all of it had been sent.
        """
        self.may_be_done = False
        if time.monotonic() - self._used_at >= IDLE_S_TRUSTED:
            self._look()
        connection = self._connection
        data = _pack(tuple(commands[0]))
        if len(commands) > 1:
            data += b"".join(_pack(tuple(command)) for command in commands[1:])
        try:
            connection.send_packed_command([data], check_health=False)
            self.may_be_done = True
            for _ in commands[1:]:
                connection.read_response()
            reply = connection.read_response()
        except BaseException as error:
            # A reply may be left, which the next call would take for its own: also when a signal's
            # handler raised. But an error that answers a single command is the whole reply.
            if len(commands) > 1 or not isinstance(error, ResponseError):
                self._connection.disconnect()
            raise
        self._used_at = time.monotonic()
        return reply

    def is_elsewhere(self) -> bool:
        """May the next exchange reach another server than the last, since it has to connect?"""
        if time.monotonic() - self._used_at >= IDLE_S_TRUSTED:
            self._look()
            self._used_at = (
                time.monotonic()
            )  # or `exchange` may find out that what was looked at is gone
        return not self._connection.is_connected

    def _look(self) -> None:
        """Drop a connection that the server has closed, so that nothing is sent into the void."""
        if not self._connection.is_connected:
            return
        try:
            dirty = self._connection.can_read(0)
        except RedisConnectionError:
            dirty = True
        if dirty:
            self._connection.disconnect()

    def disconnect(self) -> None:
        self._connection.disconnect()

    def interrupt(self) -> None:
        """From another thread: whoever reads gets an error, and disconnects.

        To close a socket that another thread reads would free its number for the next one to be opened, and the
        reader, once woken, would look at that and sleep on.
        """
        sock: socket.socket | None = getattr(self._connection, "_sock", None)
        if sock is not None:
            with suppress(OSError):  # not connected any more
                # Not the method of an SSLSocket, which takes away what the reader is about to use.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
