"""A proxy before a Redis server that counts scripts, loses them or their replies, and holds some back."""

import select
import shutil
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

from tests.backends.calls import PATIENCE_S

Fault = Literal["none", "before", "after", "hold"]
BYTES_MAX = 1 << 20


class Proxy:
    """On a unix socket, for one server on another: `with Proxy(url) as proxy: TaskQueue(proxy.url)`.

    `faults`: what becomes of the next writes with a script. `before`: the connection is cut before
    the server gets it; `after`: before the reply comes back; `hold`: it is cut, and the server
    gets the script when `deliver` is called. `faults_then` is for all after these.
    """

    def __init__(self, url: str) -> None:
        self._server = url.removeprefix("unix://").partition("?")[0]
        self._folder = Path(tempfile.mkdtemp(prefix="worq-"))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / "socket"))
        self._listener.listen(64)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._changed = threading.Condition()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._held: list[tuple[bytes, socket.socket]] = []
        self._stalled: set[socket.socket] | None = set()
        self.scripts = 0
        self.connections = 0
        self.faults: deque[Fault] = deque()
        self.faults_then: Fault = "none"
        self.before_script: Callable[[], object] = lambda: None
        self.before_reply: Callable[[], object] = lambda: None

    @property
    def url(self) -> str:
        return f"unix://{self._folder / 'socket'}"

    @property
    def open(self) -> int:
        """How many connections there are."""
        with self._changed:
            return len(self._pairs)

    def wait_until(self, holds: Callable[["Proxy"], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self), PATIENCE_S)

    def stall(self) -> None:
        """Forward nothing any more, as a server that has stopped."""
        self._stalled = None

    def stall_open(self) -> None:
        """Forward nothing any more over the connections that there are, as a network that has forgotten them."""
        with self._changed:
            self._stalled = {client for client, _ in self._pairs}

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
            thread.join(PATIENCE_S)
        for _, server in self._held:
            server.close()
        shutil.rmtree(self._folder)

    def stop(self) -> None:
        """Cut all connections, and take no more, as a server that has ended."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Cut all connections that there are."""
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
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            with self._changed:
                self.connections += 1
                self._pairs.add((client, server))
            self._threads.append(
                threading.Thread(target=self._forward, args=(client, server), daemon=True)
            )
            self._threads[-1].start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        held = False
        with suppress(OSError):
            while not held:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(BYTES_MAX)
                    if not data:
                        raise ConnectionError
                    if self._stalled is None or client in self._stalled:
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
