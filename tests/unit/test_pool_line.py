"""Messages between a pool and a worker."""

import socket
from collections.abc import Iterator

import pytest

from worq.deferred import Home
from worq.pool.feed import QueueToken
from worq.pool.line import Line, Message, WorkerLine, pack_claim, unpack_claim
from worq.values import EXPIRED, Claim, Outcome, Token

Ends = tuple[Line, WorkerLine]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    pool, worker = Line(ours), WorkerLine(theirs)
    yield pool, worker
    pool.close()
    worker.close()


@pytest.fixture
def raw() -> Iterator[tuple[Line, socket.socket]]:
    ours, theirs = socket.socketpair()
    line = Line(ours)
    yield line, theirs
    line.close()
    theirs.close()


def test_messages_arrive_in_order_and_whole(ends: Ends) -> None:
    pool, worker = ends
    for each in (Message(b"A"), Message(b"B", b"content")):
        pool.send(each)
        worker.send(each)
        assert worker.receive() == each
    assert [pool.receive() for _ in range(3)] == [Message(b"A"), Message(b"B", b"content"), None]


def test_what_has_arrived_is_told_without_asking_the_socket(ends: Ends) -> None:
    pool, worker = ends
    worker.send(Message(b"A"))
    worker.send(Message(b"B"))
    arrived = [pool.has_arrived]
    for each in (b"A", b"B"):
        assert pool.receive() == Message(each)
        arrived.append(pool.has_arrived)
    assert arrived == [False, True, False]


def test_message_in_parts_is_one(raw: tuple[Line, socket.socket]) -> None:
    line, end = raw
    message = b"\0\0\0\0\0\0\0\3Kabc"
    for byte in message[:-1]:
        end.send(bytes([byte]))
        assert line.receive() is None
    end.send(message[-1:])
    assert line.receive() == Message(b"K", b"abc")


def test_sending_never_blocks(ends: Ends) -> None:
    pool, worker = ends
    large = Message(b"L", bytes(range(256)) * 10_000)
    pool.send(large)
    received = bytearray(worker._end.recv(1))  # noqa: SLF001 (as a worker that is slow)
    while pool.has_more_to_send:
        received += worker._end.recv(100_000)  # noqa: SLF001
        pool.flush()
    pool.hang_up()
    while chunk := worker._end.recv(100_000):  # noqa: SLF001
        received += chunk
    assert bytes(received[9:]) == large.content


def test_what_was_sent_before_the_end_arrives(ends: Ends) -> None:
    pool, worker = ends
    worker.send(Message(b"A"))
    worker.close()
    assert pool.receive() == Message(b"A")
    with pytest.raises(EOFError):
        pool.receive()
    pool.send(Message(b"B", bytes(1_000_000)))
    assert not pool.has_more_to_send
    pool.hang_up()


def test_half_a_message_is_none(raw: tuple[Line, socket.socket]) -> None:
    line, end = raw
    end.send(b"\0\0\0\0\0\0\0\3Kab")
    end.shutdown(socket.SHUT_WR)
    with pytest.raises(EOFError):
        line.receive()


@pytest.mark.parametrize("sent", [b"", b"\0\0", b"\0\0\0\0\0\0\0\3Kab"])
def test_worker_reads_nothing_of_half_a_message(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    worker = WorkerLine(theirs)
    ours.sendall(sent)
    ours.close()
    assert worker.receive() is None
    worker.close()


def test_claim_is_the_same_at_the_worker() -> None:
    arguments = {"a": Outcome("failure", b"no", "b"), "c": EXPIRED}
    claim = Claim("id", Token(b"16 random bytes.", 3), b"message", arguments)
    for each in (claim, claim._replace(arguments={})):
        unpacked = unpack_claim(pack_claim(each))
        assert unpacked == each
        assert type(unpacked.token) is Token
        assert [type(outcome) for outcome in unpacked.arguments.values()] == (
            [Outcome] * len(each.arguments)
        )


def test_claim_of_several_queues_says_of_which_it_is() -> None:
    home = Home("redis://host/0", "mail", None)
    token = QueueToken.of(Token(b"16 random bytes.", 3), home)
    unpacked = unpack_claim(pack_claim(Claim("id", token, b"message", {})))
    assert isinstance(unpacked.token, QueueToken)
    assert unpacked.token.home == home
