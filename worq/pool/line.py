"""Messages between a pool and its worker processes, over a pair of sockets.

A message is its length (8 bytes, the most significant first), its kind (1 byte), and its content.
"""

import pickle
import socket
import struct
from collections import deque
from contextlib import suppress
from typing import Final, NamedTuple

from worq.values import Claim, Outcome, Token

# From the pool: a claim, as `pack_claim` packs it.
CLAIM: Final = b"C"
# From a worker: it has its broker, or the traceback of why not; the outcome of the task that it was given.
READY: Final = b"Y"
REFUSED: Final = b"N"
RESULT: Final = b"R"
FAILURE: Final = b"F"

_HEAD: Final = struct.Struct("!Qc")
_CHUNK_BYTES: Final = 65_536


class Message(NamedTuple):
    kind: bytes
    content: bytes = b""


class _Incoming:
    """What has come in over a line, as messages."""

    def __init__(self) -> None:
        self._part = bytearray()
        self._whole: deque[Message] = deque()

    def __len__(self) -> int:
        """How many are whole."""
        return len(self._whole)

    def pop(self) -> Message:
        return self._whole.popleft()

    def add(self, chunk: bytes) -> None:
        """Take whole messages from what has come in."""
        if not self._part and len(chunk) >= _HEAD.size:
            size, kind = _HEAD.unpack_from(chunk)
            if len(chunk) == _HEAD.size + size:  # as nearly always
                self._whole.append(Message(kind, chunk[_HEAD.size :]))
                return
        self._part += chunk
        while len(self._part) >= _HEAD.size:
            size, kind = _HEAD.unpack_from(self._part)
            if len(self._part) < _HEAD.size + size:
                return
            with memoryview(self._part) as view:
                content = bytes(view[_HEAD.size : _HEAD.size + size])
            del self._part[: _HEAD.size + size]
            self._whole.append(Message(kind, content))


class Line:
    """The end of a pool: nothing here blocks. Belongs to one thread."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._incoming = _Incoming()
        self._outgoing = memoryview(b"")

    def fileno(self) -> int:
        return self._end.fileno()

    @property
    def has_arrived(self) -> bool:
        """Is there a message that `receive` has not given yet?"""
        return len(self._incoming) > 0

    @property
    def has_more_to_send(self) -> bool:
        """Is `flush` to be called as soon as something can be sent?"""
        return len(self._outgoing) > 0

    def send(self, message: Message) -> None:
        """Send as much as there is room for. One message at a time."""
        assert not self.has_more_to_send
        self._outgoing = memoryview(_pack(message))
        self.flush()

    def flush(self) -> None:
        """Send more. If nobody is there any more, `receive` says so."""
        try:
            while self._outgoing:
                self._outgoing = self._outgoing[self._end.send(self._outgoing) :]
        except BlockingIOError:
            pass
        except OSError:
            self._outgoing = memoryview(b"")

    def receive(self) -> Message | None:
        """The next message, None if there is none yet. EOFError if there will be none any more."""
        while not self._incoming:
            try:
                chunk = self._end.recv(_CHUNK_BYTES)
            except BlockingIOError:
                return None
            except OSError as error:
                raise EOFError from error
            if not chunk:
                raise EOFError
            self._incoming.add(chunk)
        return self._incoming.pop()

    def hang_up(self) -> None:
        """Nothing more will be sent."""
        with suppress(OSError):  # if nobody is there any more
            self._end.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._end.close()


class WorkerLine:
    """The end of a worker, which blocks."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._incoming = _Incoming()

    def send(self, message: Message) -> None:
        self._end.sendall(_pack(message))

    def receive(self) -> Message | None:
        """The next message; None if there will be none any more."""
        while not self._incoming:
            chunk = self._end.recv(_CHUNK_BYTES)
            if not chunk:
                return None
            self._incoming.add(chunk)
        return self._incoming.pop()

    def close(self) -> None:
        self._end.close()


def _pack(message: Message) -> bytes:
    return _HEAD.pack(len(message.content), message.kind) + message.content


def pack_claim(claim: Claim) -> bytes:
    """The claim for a worker, which has the same Python and the same worq."""
    # A pickle of plain values takes a fifth of the time of one that names classes. A pool of several queues has
    # tokens of its own.
    token = tuple(claim.token) if type(claim.token) is Token else claim.token
    arguments = {task_id: tuple(outcome) for task_id, outcome in claim.arguments.items()}
    plain = (claim.id, token, claim.message, arguments)
    return pickle.dumps(plain, pickle.HIGHEST_PROTOCOL)


def unpack_claim(content: bytes) -> Claim:
    """What was given to `pack_claim`."""
    task_id, token, message, packed = pickle.loads(content)  # noqa: S301 - it is the pool's
    arguments = {argument_id: Outcome(*outcome) for argument_id, outcome in packed.items()}
    return Claim(task_id, token if isinstance(token, Token) else Token(*token), message, arguments)
