"""A gate before a Redis server: commands pass one at a time, and a client can be held before or after any of them."""

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Self, cast

import hiredis

BYTES_MAX: Final = 1 << 20
PATIENCE_S: Final = 20.0

_pack = cast("Callable[[tuple[bytes, ...]], bytes]", hiredis.pack_command)


class Gate:
    """On a unix socket, for one client of a server on another: `with Gate(url) as gate: TaskQueue(gate.url)`.

    Point 2n is before the n-th command from `hold_at` on, and point 2n+1 after its reply has come from the
    server. Commands that were sent together pass one by one.
    """

    def __init__(self, url: str) -> None:
        self._server = url.removeprefix("unix://").partition("?")[0]
        self._folder = Path(tempfile.mkdtemp(prefix="worq-"))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / "socket"))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._sockets: list[socket.socket] = [self._listener]
        self._changed = threading.Condition()
        self._point = 0
        self._hold_at = -1
        self._is_held = False
        self._is_blocked = False

    @property
    def url(self) -> str:
        return f"unix://{self._folder / 'socket'}"

    @property
    def is_held(self) -> bool:
        return self._is_held

    @property
    def is_blocked(self) -> bool:
        """Does the client wait for a command that waits on the server?"""
        return self._is_blocked

    def hold_at(self, point: int) -> None:
        """Hold whoever comes to this point, counted from now."""
        with self._changed:
            self._point, self._hold_at = 0, point

    def release(self) -> None:
        with self._changed:
            self._hold_at, self._is_held = -1, False
            self._changed.notify_all()

    def wait_for_rest(self, is_over: Callable[[], bool]) -> None:
        """Until the client is held, or blocked on the server, or over; `told` has that looked at."""
        with self._changed:
            at_rest = self._changed.wait_for(
                lambda: self._is_held or self._is_blocked or is_over(), PATIENCE_S
            )
        assert at_rest, "the client is not at rest"

    def wait_until_held(self, is_over: Callable[[], bool], timeout_s: float) -> bool:
        """Or over; False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_held or is_over(), timeout_s)

    def told(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()
        shutil.rmtree(self._folder)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._sockets += client, server
            thread = threading.Thread(target=self._serve, args=(client, server), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        commands = hiredis.Reader()
        with suppress(OSError):
            while data := client.recv(BYTES_MAX):
                commands.feed(data)
                while (command := commands.gets()) is not False:
                    self._pass(command, client, server)
        server.shutdown(socket.SHUT_RDWR)

    def _pass(self, command: list[bytes], client: socket.socket, server: socket.socket) -> None:
        self._come_to_point()
        server.sendall(_pack(tuple(command)))
        self._set_blocked(blocked=command[0] == b"BLPOP")
        replies = hiredis.Reader()
        data = b""
        while replies.gets() is False:
            if not (more := server.recv(BYTES_MAX)):
                raise ConnectionError
            data += more
            replies.feed(more)
        self._set_blocked(blocked=False)
        self._come_to_point()
        client.sendall(data)

    def _set_blocked(self, *, blocked: bool) -> None:
        with self._changed:
            self._is_blocked = blocked
            self._changed.notify_all()

    def _come_to_point(self) -> None:
        with self._changed:
            self._is_held = self._point == self._hold_at
            self._point += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._is_held)
