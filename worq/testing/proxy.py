"""A proxy between clients and a Redis server that knows where commands and replies end, and makes them fail.

    with FaultProxy(url) as proxy:
        queue = TaskQueue(proxy.url)
        proxy.fail_at(3, "reply lost")  # of the commands from here on, counted from 0

| fault | what becomes of the command | what its client sees |
|---|---|---|
| `not sent` | the server never gets it | the connection is cut |
| `torn` | the server gets the first half of it | the connection is cut |
| `reply lost` | the server does it | the connection is cut |
| `half a reply` | the server does it | half of the reply, then the connection is cut |
| `late` | the server gets it a little later: 0.2 s, or when `deliver` is called | the connection is cut |
| `half-open before` | the server never gets it, nor a FIN | nothing more on that connection, ever |
| `half-open after` | the server does it | nothing more on that connection, ever |
| `slow` | it arrives in small pieces, and so does its reply | |

Commands that were sent together stay together: so a script behind a block is on the server while that blocks. A
connection that is cut takes with it what it had not answered yet.
"""

import selectors
import shutil
import socket
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self, cast, get_args
from urllib.parse import SplitResult, urlsplit

from worq.backend import AbstractTaskQueue

Fault = Literal[
    "not sent",
    "torn",
    "reply lost",
    "half a reply",
    "late",
    "half-open before",
    "half-open after",
    "slow",
]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
LOSE: Final[tuple[Fault, ...]] = ("not sent", "torn", "reply lost", "half a reply")
"""Those that a client notices at once."""

BYTES_MAX: Final = 1 << 20
BACKLOG: Final = 128
PIECE_BYTES: Final = 7
PIECE_PAUSE_S: Final = 0.001
PIECES_MAX: Final = 50
PATIENCE_S: Final = 20.0
LATE_S: Final = 0.2


class Command(NamedTuple):
    """A command that has arrived: its number since the last `fail_at`, its connection's, and its bytes."""

    number: int
    connection: int
    data: bytes

    @property
    def name(self) -> bytes:
        """Like `EVALSHA`."""
        return self.data.split(b"\r\n", 3)[2].upper()


Plan = Callable[[Command], Fault | None]


class FaultProxy:
    """On a unix socket, or on a port of the loopback interface, before the server of `url`. Thread-safe.

    `plan` says for each command what becomes of it. It is called in the thread of its connection,
    and may do something to the server, too, before it answers. `on_loss` is called there when a
    command or its reply was lost, before the client knows. `counts`: the faults that were injected,
    by kind.
    """

    def __init__(self, url: str, *, tcp: bool = False) -> None:
        self._server = urlsplit(url)
        self._tcp = tcp
        self._folder = None if tcp else Path(tempfile.mkdtemp(prefix="worq-"))
        self._listener = _listener(self._folder)
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._connections: dict[int, _Connection] = {}
        self._changed = threading.Condition()
        self._going = threading.Event()
        self._going.set()
        self._due = threading.Event()
        self.plan: Plan | None = None
        self.on_loss: Callable[[], object] = lambda: None
        self.commands: int = 0
        self.connections: int = 0
        self.counts: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """That of the server, but for the address."""
        user = "".join(self._server.netloc.rpartition("@")[:2])
        query = f"?{self._server.query}" if self._server.query else ""
        if self._folder is not None:
            return f"unix://{user}{self._folder / 'socket'}{query}"
        port: int = self._listener.getsockname()[1]
        return f"redis://{user}127.0.0.1:{port}{self._server.path}{query}"

    # Faults.

    def fail_at(self, number: int, fault: Fault, *, times: int = 1) -> None:
        """Have the command of that number fail, counted from now, and `times` - 1 after it."""
        failing = range(number, number + times)
        self.follow(lambda command: fault if command.number in failing else None)

    def follow(self, plan: Plan | None) -> None:
        """Count from 0 from now on, and have a plan say what fails; None for nothing."""
        self._due.clear()
        with self._changed:
            self.commands, self.plan = 0, plan

    def deliver(self) -> None:
        """Let the server have what is late, and wait until it has answered that."""
        self._due.set()
        self.wait_until(lambda: not any(each.is_late for each in list(self._connections.values())))

    def cut(self) -> int:
        """Cut all connections that there are; how many."""
        with self._changed:
            there = list(self._connections.values())
            self.counts["cut"] += len(there)
        for connection in there:
            connection.cut()
        return len(there)

    @contextmanager
    def stalled(self) -> Generator[None]:
        """Meanwhile nothing passes in either direction."""
        self._going.clear()
        self.counts["stall"] += 1
        try:
            yield
        finally:
            self._going.set()

    def lead_to(self, url: str) -> None:
        """Be the address of another server from now on, as after a failover: what there is is cut."""
        self._server = urlsplit(url)
        self.cut()

    # What can be waited for.

    def wait_until(self, holds: Callable[[], object]) -> None:
        """Until that holds, which is looked at whenever something passes or `told` is called."""
        with self._changed:
            assert self._changed.wait_for(holds, PATIENCE_S), "the client is not at rest"

    def told(self) -> None:
        with self._changed:
            self._changed.notify_all()

    @property
    def is_blocked(self) -> bool:
        """Does a command that waits on the server wait now?"""
        return any(connection.is_blocked for connection in list(self._connections.values()))

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    # Working.

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._going.set()
        self._due.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for connection in list(self._connections.values()):
            connection.cut()
            connection.thread.join()
        if self._folder is not None:
            shutil.rmtree(self._folder)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = _connect(self._server)
            except OSError:  # it is not there: so its client sees
                client.close()
                continue
            with self._changed:
                number = self.connections
                self.connections += 1
                connection = _Connection(self, number, client, server)
                self._connections[number] = connection
            connection.thread.start()

    # For connections.

    def wait_while_stalled(self) -> None:
        self._going.wait()

    def wait_until_due(self) -> None:
        self._due.wait(LATE_S)

    def fate(self, connection: int, data: bytes) -> Fault | None:
        """What is to become of a command."""
        with self._changed:
            command = Command(self.commands, connection, data)
            self.commands += 1
            plan = self.plan
        fault = None if plan is None else plan(command)
        with self._changed:
            if fault is not None:
                self.counts[fault] += 1
            self._changed.notify_all()
        return fault

    def ended(self, number: int) -> None:
        with self._changed:
            self._connections.pop(number, None)
            self._changed.notify_all()


class _Connection:
    """One client and its way to the server, served by one thread."""

    def __init__(
        self, proxy: FaultProxy, number: int, client: socket.socket, server: socket.socket
    ) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self._proxy = proxy
        self._number = number
        self._client = client
        self._server = server
        self._commands = Frames()
        self._replies = Frames()
        self._waiting: deque[tuple[Fault | None, bool]] = deque()  # for replies: fate, is it BLPOP
        self._lock = threading.Lock()
        self._is_cut = False
        self.is_late = False

    @property
    def is_blocked(self) -> bool:
        return any(blocks for _, blocks in list(self._waiting))

    def cut(self) -> None:
        """From any thread: the thread of the connection ends."""
        with self._lock:
            if not self._is_cut:
                for each in (self._client, self._server):
                    with suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        with suppress(OSError), selectors.DefaultSelector() as selector:
            selector.register(self._client, selectors.EVENT_READ, self._from_client)
            selector.register(self._server, selectors.EVENT_READ, self._from_server)
            while True:
                for key, _ in selector.select():
                    self._proxy.wait_while_stalled()
                    data = cast("socket.socket", key.fileobj).recv(BYTES_MAX)
                    if not data:
                        raise ConnectionError
                    key.data(data)
        with self._lock:
            self._is_cut = True
        self._client.close()
        self._server.close()
        self._proxy.ended(self._number)

    def _from_client(self, data: bytes) -> None:
        whole = bytearray()
        for frame in self._commands.feed(data):
            fault = self._proxy.fate(self._number, frame)
            if fault in ("not sent", "torn", "late", "half-open before"):
                self._server.sendall(whole + (frame[: len(frame) // 2] if fault == "torn" else b""))
                if fault == "late":
                    self._deliver(frame)
                self._lose(fault)
            self._waiting.append((fault, b"\r\nBLPOP\r\n" in frame[:32]))
            if fault == "slow":
                self._server.sendall(whole)
                whole.clear()
                _dribble(self._server, frame)
            else:
                whole += frame
        self._server.sendall(whole)
        self._proxy.told()

    def _from_server(self, data: bytes) -> None:
        whole = bytearray()
        for frame in self._replies.feed(data):
            fault, _ = self._waiting.popleft()
            if fault in ("reply lost", "half a reply", "half-open after"):
                half = frame[: len(frame) // 2] if fault == "half a reply" else b""
                self._client.sendall(whole + half)
                self._lose(fault)
            if fault == "slow":
                self._client.sendall(whole)
                whole.clear()
                _dribble(self._client, frame)
            else:
                whole += frame
        self._client.sendall(whole)
        self._proxy.told()

    def _deliver(self, frame: bytes) -> None:
        """Later, when its client has gone; what the server says to it nobody hears."""
        self.is_late = True
        self._client.shutdown(socket.SHUT_RDWR)
        self._proxy.wait_until_due()
        self._server.sendall(frame)
        self._waiting.append(("late", False))
        while self._waiting:
            if not (data := self._server.recv(BYTES_MAX)):
                return
            for _ in self._replies.feed(data):
                self._waiting.popleft()

    def _lose(self, fault: Fault) -> None:
        """End the connection: at once, or for its client only when it gives up."""
        self._proxy.on_loss()
        if fault.startswith("half-open"):
            self._client.settimeout(None)
            while self._client.recv(BYTES_MAX):
                pass
        raise ConnectionError


class Frames:
    """Cuts a stream of RESP into commands, or into replies."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What is whole now."""
        data, at = self._data + data, 0
        while (end := _end(data, at)) is not None:
            yield data[at:end]
            at = end
        self._data = data[at:]


def _end(data: bytes, at: int) -> int | None:
    """Where the value ends that begins there; None if that has not come yet."""
    line = data.find(b"\r\n", at)
    if line < 0:
        return None
    kind, end = data[at : at + 1], line + 2
    if kind in b"$=!":
        size = int(data[at + 1 : line])
        end += size + 2 if size >= 0 else 0
        return end if end <= len(data) else None
    if kind in b"*~>%":
        size = int(data[at + 1 : line]) * (2 if kind == b"%" else 1)
        for _ in range(size):
            after = _end(data, end)
            if after is None:
                return None
            end = after
    return end


def _listener(folder: Path | None) -> socket.socket:
    if folder is None:
        return socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen(BACKLOG)
    return listener


def _connect(server: SplitResult) -> socket.socket:
    if server.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(server.path)
        except OSError:
            connection.close()
            raise
        return connection
    return socket.create_connection((server.hostname or "127.0.0.1", server.port or 6379))


def _dribble(to: socket.socket, data: bytes) -> None:
    """Send small pieces, some at a time."""
    size = max(PIECE_BYTES, -(-len(data) // PIECES_MAX))
    pause = threading.Event()
    for at in range(0, len(data), size):
        to.sendall(data[at : at + size])
        pause.wait(PIECE_PAUSE_S)


@contextmanager
def lossy_queue(
    url: str, make: Callable[[str], AbstractTaskQueue]
) -> Generator[tuple[AbstractTaskQueue, Callable[[Literal["request", "reply"]], None]]]:
    """A queue on Redis whose connection is cut on demand. `make`: makes it, by the URL of the proxy."""
    tcp = not url.startswith("unix:")
    with FaultProxy(url, tcp=tcp) as proxy, closing(make(proxy.url)) as queue:
        queue.size()  # it has connected, and has asked what server it is
        asked = 0

        def lose(what: Literal["request", "reply"]) -> None:
            nonlocal asked
            lost = sum(proxy.counts.values())
            assert lost == asked, "nothing was lost: the operation did not ask the server"
            asked += 1
            proxy.fail_at(0, "not sent" if what == "request" else "reply lost")

        yield queue, lose
