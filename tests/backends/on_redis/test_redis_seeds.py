"""URLs that name several servers, and what is made of the answers of those who know."""

from typing import Any

import pytest
from redis.exceptions import (
    ClusterDownError,
    MovedError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)

from worq.errors import BackendUnsupported
from worq.masking import masked, without_password
from worq.queue.redis import TaskQueue
from worq.queue.redis.discovery import ASKED_MAX, Cluster
from worq.queue.redis.seeds import Address, Seeds, seeds_in
from worq.queue.redis.url import target
from worq.queue.redis.urlparts import STRAY_MARK


@pytest.mark.spec("ENV-API-11")
@pytest.mark.parametrize(
    ("url", "seeds"),
    [
        (
            "redis+sentinel://one,two:26380,[::1]:26381/jobs",
            Seeds(
                "sentinel",
                (Address("one", 26379), Address("two", 26380), Address("::1", 26381)),
                "redis://one:26379",
                "jobs",
            ),
        ),
        (
            "rediss+sentinel://me:p%2Fss@[::1],one/jo%20bs/3?sentinel_password=a+b%26&client_name=x",
            Seeds(
                "sentinel",
                (Address("::1", 26379), Address("one", 26379)),
                "rediss://me:p%2Fss@[::1]:26379/3?client_name=x",
                "jo bs",
                None,
                "a b&",
            ),
        ),
        (
            "redis+sentinel://one/jobs?sentinel_username=asks&sentinel_password=s",
            Seeds("sentinel", (Address("one", 26379),), "redis://one:26379", "jobs", "asks", "s"),
        ),
        (
            "redis+cluster://:secret@one:7000,two/0?max_connections=3",
            Seeds(
                "cluster",
                (Address("one", 7000), Address("two", 6379)),
                "redis://:secret@one:7000/0?max_connections=3",
            ),
        ),
        ("redis://one", None),
        ("unix:///socket", None),
    ],
)
def test_a_good_one_is_understood(url: str, seeds: Seeds | None) -> None:
    assert seeds_in(url) == seeds
    TaskQueue(url).close()


@pytest.mark.spec("ENV-API-11", "ENV-BAD-5")
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis+sentinel://", "host: one is needed before and after each comma, not ''"),
        ("redis+sentinel://one,/jobs", "host: one is needed before and after each comma, not ''"),
        ("redis+sentinel://one,:1/jobs", "host: one is needed before and after each comma, not ':1'"),
        ("redis+sentinel://one:x/jobs", "port: a number from 1 to 65535 is needed, not that of 'one:x'"),
        ("redis+sentinel://one,two:0/jobs", "port: a number from 1 to 65535 is needed, not that of 'two:0'"),
        ("redis+cluster://one:65536", "port: a number from 1 to 65535 is needed, not that of 'one:65536'"),
        ("redis+sentinel://one", "service: the name that the sentinels have for the primary is needed"),
        ("redis+sentinel://me:secret@one/?db=1", "service: the name that the sentinels have"),
        ("redis+sentinel://one/jobs/first", "path: the number of a database is needed, or nothing"),
        ("redis+sentinel://one/jobs/1?db=2", "db: the path has another number of a database than '2'"),
        ("redis+sentinel://one/jobs?x=1", "x: there is no such option; there are db,"),
        ("redis+sentinel://one/jobs?ssl_cert_reqs=none", "ssl_cert_reqs: there is no such option"),
        (
            "redis+sentinel://one/jobs?sentinel_password=secret&sentinel_password=secret",
            "sentinel_password: it is there twice",
        ),
        ("redis+sentinel://one/jobs#x", "fragment: none is allowed"),
        ("redis+sentinel://me:sec/ret@one/jobs", "password: a / ? or # in it must be percent-encoded"),
        ("redis+cluster://me:sec#ret@one", "password: a / ? or # in it must be percent-encoded"),
        ("redis+cluster://one:1?client_name=a@b", STRAY_MARK),
        ("redis+cluster://me:secret@one/1", "path: a cluster has the database 0 alone, not '1'"),
        ("redis+cluster://one/?db=1", "db: the path has another number of a database than '1'"),
        ("redis+cluster://one?sentinel_password=x", "sentinel_password: there is no such option"),
        ("redis+cluster://one?socket_timeout=6", "socket_timeout: a finite number of more than 6.0 s"),
        ("unix+sentinel://one/jobs", "scheme: redis://, rediss:// or unix:// is needed"),
    ],
)  # fmt: skip
def test_a_bad_one_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^url: ") as caught:
        TaskQueue(url)
    assert str(caught.value).startswith(f"url: {reason}")
    assert str(caught.value).endswith(f": {masked(url)!r}")
    assert "secret" not in str(caught.value)


@pytest.mark.spec("ENV-API-6", "ENV-BAD-5")
@pytest.mark.parametrize(
    ("url", "shown", "rest"),
    [
        (
            "redis+sentinel://me:secret@one:1,[::1]:2/jobs/1?sentinel_password=secret&db=1",
            "redis+sentinel://me:***@one:1,[::1]:2/jobs/1?sentinel_password=***&db=1",
            "redis+sentinel://me@one:1,[::1]:2/jobs/1?db=1",
        ),
        (
            "redis+cluster://:secret@one,two",
            "redis+cluster://:***@one,two",
            "redis+cluster://one,two",
        ),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str, rest: str) -> None:
    assert masked(url) == shown
    assert without_password(url) == rest


@pytest.mark.spec("ENV-API-6", "ENV-BAD-5")
@pytest.mark.parametrize(
    "url",
    ["redis://me:secret@one", "redis+sentinel://me:secret@one,[::1]:2/j?sentinel_password=secret"],
)
def test_nothing_that_has_passwords_shows_them(url: str) -> None:
    found = target(url)
    assert "secret" in str(found.options)
    assert "secret" not in repr(found) + str(found) + repr(found.seeds) + str(found.seeds)
    assert repr(found) == f"<Target {masked(url)}>"
    assert found.seeds is None or repr(found.seeds) == "<Seeds sentinel one:26379,[::1]:2>"


def test_as_many_seconds_are_counted_as_those_who_know_may_take() -> None:
    """A receipt outlives the tries of an operation. [ENV-RETRY-1]"""
    assert target("redis+sentinel://a,b,c/jobs").try_s == target("redis://a").try_s + 3
    assert target("redis+cluster://a").try_s == target("redis://a").try_s + ASKED_MAX


# What a node of a cluster says of moves.

HERE, THERE = Address("here", 1), Address("there", 2)


class Node:
    """A connection to a node, which answers `CLUSTER SLOTS`, or fails."""

    is_connected = True

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def send_packed_command(self, command: list[bytes], *, check_health: bool) -> None:
        assert command == [b"*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n"]
        assert not check_health

    def read_response(self) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def can_read(self, timeout: float = 0) -> bool:
        raise NotImplementedError

    def disconnect(self) -> None:
        self.is_connected = False


def cluster(**answers: Any) -> Cluster:
    """By host; the key is in slot 12739."""
    return Cluster([HERE, THERE], "123456789", lambda address: Node(answers[address.host]))


def slots(*hosts: bytes | None) -> list[Any]:
    return [[0, 12738, [b"else", 3]], *([12739, 16383, [host, 7, b"id"]] for host in hosts)]


@pytest.mark.spec("ENV-REDIS-12")
@pytest.mark.parametrize(
    ("answer", "address"),
    [
        (slots(b"x"), Address("x", 7)),
        (slots(b"::1"), Address("::1", 7)),
        (slots(b""), Address("here", 7)),
        (slots(None), Address("here", 7)),
        (slots(b"?"), Address("here", 7)),
    ],
)
def test_a_node_that_does_not_know_its_host_has_the_one_it_was_asked_at(
    answer: Any, address: Address
) -> None:
    assert cluster(here=answer).find() == address


@pytest.mark.spec("ENV-REDIS-12")
def test_the_next_node_is_asked_where_one_fails() -> None:
    assert cluster(here=OSError("gone"), there=slots(b"x")).find() == Address("x", 7)
    with pytest.raises(
        RedisConnectionError, match="no node of the cluster answers: here:1: gone; there"
    ):
        cluster(here=OSError("gone"), there=OSError("too")).find()
    with pytest.raises(RedisConnectionError, match="no node of the cluster has slot 12739"):
        cluster(here=slots()).find()
    with pytest.raises(
        BackendUnsupported, match="here:1 is no node of a cluster: ERR This instance"
    ):
        cluster(here=ResponseError("ERR This instance has cluster support disabled")).find()


@pytest.mark.spec("ENV-REDIS-12", "ENV-RETRY-1")
def test_a_try_asks_so_many_and_the_next_goes_on_behind_them() -> None:
    """However many nodes a cluster has, a try ends before receipts go."""
    asked: list[Address] = []

    def connect(address: Address) -> Node:
        asked.append(address)
        return Node(OSError("gone"))

    nodes = [Address("node", port) for port in range(1, ASKED_MAX + 3)]
    place = Cluster(nodes, "123456789", connect)
    for _ in range(2):
        with pytest.raises(RedisConnectionError) as caught:
            place.find()
        place.lost(caught.value)
    assert asked[:ASKED_MAX] == nodes[:ASKED_MAX]
    assert asked[ASKED_MAX:] == [*nodes[ASKED_MAX:], *nodes[: ASKED_MAX - 2]]


@pytest.mark.spec("ENV-REDIS-12")
@pytest.mark.parametrize(
    ("error", "address"),
    [
        (MovedError("12739 there:9"), Address("there", 9)),
        (MovedError("12739 [::1]:9"), Address("::1", 9)),
        (MovedError("12739 ::1:9"), Address("::1", 9)),
        (MovedError("12739 :9"), Address("x", 9)),
        (MovedError("12739 ?:9"), Address("x", 9)),
        (ResponseError("MOVED 12739 there:9"), Address("there", 9)),
        (ResponseError("ASK 12739 there:9"), Address("x", 7)),
        (TryAgainError("Multiple keys request during rehashing of slot"), Address("x", 7)),
        (ClusterDownError("The cluster is down"), Address("y", 7)),
        (OSError("gone"), Address("y", 7)),
    ],
)
def test_what_a_node_says_of_moves_is_heeded(error: Exception, address: Address) -> None:
    """After anything else, another node than before is asked."""
    place = cluster(here=slots(b"x"), x=slots(b"x"), there=slots(b"y"), **{"else": slots(b"y")})
    assert place.find() == Address("x", 7)
    place.lost(error)
    assert place.find() == address


@pytest.mark.spec("ENV-REDIS-12")
def test_the_url_of_one_node_says_that_it_takes_another() -> None:
    with pytest.raises(BackendUnsupported, match=r"redis\+cluster:// instead of redis:// finds it"):
        target("redis://one").lost(MovedError("12739 there:9"))
    target("redis://one").lost(TryAgainError("…"))
