"""Where tasks meet the test: those of other processes by way of `tests/pool/tasks.py`."""

import os
import signal
import socket
import threading
from queue import SimpleQueue
from typing import Any

from tests.backends.calls import PATIENCE_S
from worq import Broker, Deferred

PID_BYTES = 10


class Visitor:
    """A task that waits, or a process that was told to be known; until it is let go, or ends."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.settimeout(PATIENCE_S)
        self.pid = 0

    def introduce(self) -> None:
        self.pid = int(self._connection.recv(PID_BYTES, socket.MSG_WAITALL))

    def let_go(self) -> None:
        self._connection.sendall(b"!")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def has_ended(self) -> bool:
        """Wait until it has; an error if it goes on."""
        try:
            return self._connection.recv(1) == b""
        except ConnectionResetError:
            return True

    def waits(self) -> bool:
        """Is it still there?"""
        self._connection.setblocking(False)
        try:
            return self._connection.recv(1) != b""
        except BlockingIOError:
            return True
        finally:
            self._connection.settimeout(PATIENCE_S)

    def close(self) -> None:
        self._connection.close()


class Gate:
    """Listens for visitors."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_S)
        self.port: int = self._listener.getsockname()[1]
        self._visitors: list[Visitor] = []

    def visitor(self) -> Visitor:
        """The next one."""
        connection, _ = self._listener.accept()
        visitor = Visitor(connection)
        self._visitors.append(visitor)
        visitor.introduce()
        return visitor

    def close(self) -> None:
        for visitor in self._visitors:
            visitor.close()
        self._listener.close()


class ThreadGate:
    """A task of this process that says when it has begun, and ends when it is let."""

    def __init__(self, broker: Broker) -> None:
        self.began: SimpleQueue[threading.Thread] = SimpleQueue()
        self.opened = threading.Event()
        broker.expose(self.gate)

    def gate(self, value: Any = None) -> Any:
        self.began.put(threading.current_thread())
        assert self.opened.wait(PATIENCE_S)
        return value

    def wait(self) -> threading.Thread:
        """The thread of a worker that has begun."""
        return self.began.get(timeout=PATIENCE_S)


def value_of(deferred: Deferred) -> Any:
    """Its value, as soon as that is there."""
    assert deferred.wait(PATIENCE_S)
    return deferred.value
