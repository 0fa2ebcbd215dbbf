"""The proxy of the fault tests: where commands and replies end, and what becomes of them."""

import socket
from collections.abc import Callable, Iterator

import pytest
import redis

from worq.testing.proxy import FAULTS, Fault, FaultProxy, Frames

PING = b"*1\r\n$4\r\nPING\r\n"
COUNT = b"*2\r\n$4\r\nINCR\r\n$5\r\ncount\r\n"
BLOCK = b"*3\r\n$5\r\nBLPOP\r\n$4\r\nlist\r\n$1\r\n0\r\n"
PONG = b"+PONG\r\n"
VALUES = [
    PONG, COUNT, b":12\r\n", b"-ERR no\r\n", b"$-1\r\n", b"*-1\r\n", b"$0\r\n\r\n", b"$4\r\n\r\n\r\n\r\n", b"*0\r\n",
    b"*2\r\n*1\r\n:1\r\n$1\r\na\r\n", b"%1\r\n+k\r\n:1\r\n", b"~1\r\n_\r\n", b"=7\r\ntxt:abc\r\n", b"#t\r\n",
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_values_are_told_apart_however_they_arrive(size: int) -> None:
    stream, frames = b"".join(VALUES), Frames()
    pieces = (stream[at : at + size] for at in range(0, len(stream), size))
    assert [value for piece in pieces for value in frames.feed(piece)] == VALUES


@pytest.fixture
def proxy(redis_url: str) -> Iterator[FaultProxy]:
    with FaultProxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
def connect(proxy: FaultProxy) -> Iterator[Callable[[], socket.socket]]:
    opened: list[socket.socket] = []

    def connect() -> socket.socket:
        opened.append(socket.socket(socket.AF_UNIX))
        opened[-1].settimeout(20)
        opened[-1].connect(proxy.url.removeprefix("unix://"))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


@pytest.fixture
def raw(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client
        client.flushdb()


def count(raw: redis.Redis) -> int:
    return int(str(raw.incr("count"))) - 1


def received(client: socket.socket, size: int = 100) -> bytes:
    """So much, or what comes before the connection is cut."""
    return client.recv(size, socket.MSG_WAITALL)


CUT: dict[Fault, tuple[int, bytes]] = {
    "not sent": (0, b""),
    "torn": (0, b""),
    "reply lost": (1, b""),
    "half a reply": (1, b":1"),
    "slow": (1, b":1\r\n"),
}
"""How often it was done, and what its client gets."""


@pytest.mark.parametrize("fault", CUT)
@pytest.mark.redis
def test_one_command_fails_and_no_other(
    fault: Fault, proxy: FaultProxy, connect: Callable[[], socket.socket], raw: redis.Redis
) -> None:
    client = connect()
    proxy.fail_at(1, fault)
    client.sendall(PING)
    assert received(client, len(PONG)) == PONG
    client.sendall(COUNT)
    times, reply = CUT[fault]
    assert received(client, len(reply) if fault == "slow" else 100) == reply
    assert count(raw) == times
    assert proxy.counts == {fault: 1}
    other = connect()
    other.sendall(PING)
    assert received(other, len(PONG)) == PONG


@pytest.mark.parametrize("fault", [each for each in FAULTS if each.startswith("half-open")])
@pytest.mark.redis
def test_a_half_open_connection_says_nothing_more(
    fault: Fault, proxy: FaultProxy, connect: Callable[[], socket.socket], raw: redis.Redis
) -> None:
    client, other = connect(), connect()
    proxy.fail_at(0, fault)
    client.sendall(COUNT)
    proxy.wait_until(lambda: proxy.counts[fault])
    other.sendall(COUNT + COUNT)
    first = received(other, 4)
    assert first in (b":1\r\n", b":2\r\n")
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)
    assert count(raw) == (2 if fault == "half-open before" else 3)


@pytest.mark.redis
def test_what_is_late_arrives_after_what_came_later(
    proxy: FaultProxy, connect: Callable[[], socket.socket], raw: redis.Redis
) -> None:
    client = connect()
    proxy.fail_at(0, "late")
    client.sendall(COUNT)
    assert received(client) == b""
    proxy.deliver()
    assert count(raw) == 1


@pytest.mark.redis
def test_what_is_behind_a_block_is_on_the_server_at_once(
    proxy: FaultProxy, connect: Callable[[], socket.socket], raw: redis.Redis
) -> None:
    client = connect()
    client.sendall(BLOCK + PING)
    proxy.wait_until(lambda: proxy.is_blocked)
    raw.rpush("list", "a")
    assert received(client, 8 + len(PONG) + 14).endswith(PONG)
    assert not proxy.is_blocked


@pytest.mark.redis
def test_nothing_passes_while_it_is_stalled_and_all_is_cut_when_told(
    proxy: FaultProxy, connect: Callable[[], socket.socket], raw: redis.Redis
) -> None:
    client = connect()
    client.sendall(PING)
    assert received(client, len(PONG)) == PONG
    with proxy.stalled():
        client.sendall(COUNT)
        assert count(raw) == 0
    assert received(client, 4) == b":2\r\n"
    assert proxy.cut() == 1
    assert received(client) == b""
    assert proxy.counts == {"stall": 1, "cut": 1}


@pytest.mark.redis
def test_it_can_be_a_port_and_keeps_the_database(redis_url: str) -> None:
    with (
        FaultProxy(f"{redis_url}?db=3", tcp=True) as proxy,
        redis.Redis.from_url(proxy.url) as client,
    ):
        client.set("in", "3")
        assert client.get("in") == b"3"
        client.flushdb()
        assert proxy.url.startswith("redis://127.0.0.1:")
