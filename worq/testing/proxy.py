"""A proxy before a Redis server that counts scripts, loses them or their replies, and holds some back."""

import select
import shutil
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Self, cast
from urllib.parse import quote

import redis.connection

from worq.backend import AbstractTaskQueue
from worq.masking import masked
from worq.testing import calls

parse_url = cast("Callable[[str], dict[str, Any]]", redis.connection.parse_url)
Fault = Literal["none", "before", "after", "hold"]
BYTES_MAX = 1 << 20


class Proxy:
    """On a unix socket, for a server on another or on a port: `with Proxy(url) as proxy: TaskQueue(proxy.url)`.

    The connection must not be encrypted, or it would not see which writes have a script.

    `faults`: what becomes of the next writes with a script. `before`: the connection is cut before
    the server gets it; `after`: before the reply comes back; `hold`: it is cut, and the server
    gets the script when `deliver` is called. `faults_then` is for all after these.
    """

    def __init__(self, url: str) -> None:
        self._options = parse_url(url)
        if "path" not in self._options and self._options.get("connection_class") is not None:
            raise ValueError(f"url: a proxy can't look into {masked(url)!r}")
        self._folder = Path(tempfile.mkdtemp(prefix="worq-"))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / "socket"))
        self._listener.listen(64)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._changed = threading.Condition()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._held: list[tuple[bytes, socket.socket]] = []
        self._stalled = False
        self.scripts = 0
        self.connections = 0
        self.faults: deque[Fault] = deque()
        self.faults_then: Fault = "none"
        self.before_script: Callable[[], object] = lambda: None
        self.before_reply: Callable[[], object] = lambda: None

    @property
    def url(self) -> str:
        names = ("username", "password")
        user = ":".join(quote(str(self._options.get(name, "")), safe="") for name in names)
        database = self._options.get("db", 0)
        place = f"{self._folder / 'socket'}{f'?db={database}' if database else ''}"
        return f"unix://{place}" if user == ":" else f"unix://{user}@{place}"

    @property
    def open(self) -> int:
        """How many connections there are."""
        with self._changed:
            return len(self._pairs)

    def wait_until(self, holds: Callable[["Proxy"], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self), calls.PATIENCE_S)

    def stall(self) -> None:
        """Forward nothing any more, as a server that has stopped."""
        self._stalled = True

    def deliver(self) -> None:
        """Let the server have what was held back, and wait for what it says to that."""
        for data, server in self._held:
            server.sendall(data)
            server.recv(BYTES_MAX)
            server.close()
        self._held.clear()

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        for thread in self._threads:
            thread.join(calls.PATIENCE_S)
        for _, server in self._held:
            server.close()
        shutil.rmtree(self._folder)

    def stop(self) -> None:
        """Cut all connections, and take no more, as a server that has ended."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._changed:
            pairs = list(self._pairs)
        for pair in pairs:
            _shut(*pair)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._connected()
            with self._changed:
                self.connections += 1
                self._pairs.add((client, server))
            self._threads.append(
                threading.Thread(target=self._forward, args=(client, server), daemon=True)
            )
            self._threads[-1].start()

    def _connected(self) -> socket.socket:
        if "path" in self._options:
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._options["path"])
            return server
        place = self._options.get("host", "localhost"), self._options.get("port", 6379)
        server = socket.create_connection(place)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        held = False
        with suppress(OSError):
            while not held:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(BYTES_MAX)
                    if not data:
                        raise ConnectionError
                    if self._stalled:
                        continue
                    if ready is server:
                        self.before_reply()
                        client.sendall(data)
                    else:
                        held = held or self._pass(data, server)
        self._end(client, server, held=held)

    def _pass(self, data: bytes, server: socket.socket) -> bool:
        """Forward what the client sent; True if it is held back."""
        fault: Fault = "none"
        if b"EVAL" in data:
            self.before_script()
            fault = self.faults.popleft() if self.faults else self.faults_then
            with self._changed:
                self.scripts += 1
                self._changed.notify_all()
        if fault == "hold":
            self._held.append((data, server))
            return True
        if fault == "before":
            raise ConnectionError
        server.sendall(data)
        if fault == "after":
            server.recv(BYTES_MAX)
            raise ConnectionError
        return False

    def _end(self, client: socket.socket, server: socket.socket, *, held: bool) -> None:
        _shut(client)
        client.close()
        if not held:
            server.close()
        with self._changed:
            self._pairs.discard((client, server))
            self._changed.notify_all()


def _shut(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def lossy_queue(
    url: str, make: Callable[[str], AbstractTaskQueue]
) -> Generator[tuple[AbstractTaskQueue, Callable[[Literal["request", "reply"]], None]]]:
    """A queue on Redis whose connection is cut on demand. `make`: makes it, by the URL of the proxy."""
    with Proxy(url) as proxy, closing(make(proxy.url)) as queue:
        queue.size()  # it has connected, and has asked what server it is

        def lose(what: Literal["request", "reply"]) -> None:
            assert not proxy.faults, "nothing was lost: the operation did not ask the server"
            proxy.faults.append("before" if what == "request" else "after")

        yield queue, lose
