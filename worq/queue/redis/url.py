"""From a URL to connections. It is read as `redis.from_url` does, and checked before anything is opened."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import redis
import redis.connection

from worq.errors import BackendUnsupported
from worq.masking import masked
from worq.queue.redis.channel import Connection
from worq.queue.redis.discovery import (
    ASK_TIMEOUT_S,
    ASKED_MAX,
    Cluster,
    Led,
    Place,
    Sentinels,
    is_moved,
)
from worq.queue.redis.keys import PREFIX
from worq.queue.redis.seeds import Address, Seeds, seeds_in
from worq.queue.redis.tls import TlsConnection, check_tls
from worq.queue.redis.urlparts import UrlError, check_parts

BLOCK_MS_MAX = 5_000
"""The longest that a connection blocks on the server. [ENV-WAIT-3]"""
SOCKET_TIMEOUT_S = 10.0
SOCKET_TIMEOUT_S_MIN = BLOCK_MS_MAX / 1000 + 1
CONNECT_TIMEOUT_S = 5.0

_parse_url = cast("Callable[[str], dict[str, Any]]", redis.connection.parse_url)


class Target(NamedTuple):
    """How to connect. `connections_max`: of those that do not wait; None for no limit. `url`: without a password.

    `prefix`: what all keys begin with. [ENV-REDIS-10]
    `seeds`: who knows where the server is, if the URL doesn't say. `place`: where it is, once a queue is chosen.
    """

    url: str
    connection_class: Callable[..., object]
    options: dict[str, Any]
    connections_max: int | None
    prefix: str = PREFIX
    seeds: Seeds | None = None
    place: Place | None = None

    def __repr__(self) -> str:
        """The options have the password."""
        return f"<Target {self.url}>"

    def of_queue(self, prefix: str) -> "Target":
        """The one of the queue that has this prefix: in a cluster, each has a place of its own."""
        if self.seeds is None:
            return self
        if self.seeds.kind == "sentinel":
            return self._replace(
                place=Sentinels(self.seeds.addresses, self.seeds.service, self._to_sentinel)
            )
        return self._replace(place=Cluster(self.seeds.addresses, prefix, self._to_node))

    @property
    def is_cluster(self) -> bool:
        return self.seeds is not None and self.seeds.kind == "cluster"

    def connection(self, **options: Any) -> Connection:
        """A new one, which connects when it is used."""
        if self.place is None:
            return self._to(**options)
        return Led(self.place, lambda address: self._to(**options, **address._asdict()))

    def _to(self, **options: Any) -> Connection:
        return cast("Connection", self.connection_class(**{**self.options, **options}))

    def _to_node(self, address: Address) -> Connection:
        """To ask it where a slot is."""
        return self._to(**address._asdict(), **self._ask_timeouts)

    def _to_sentinel(self, address: Address) -> Connection:
        assert self.seeds is not None
        user = {"username": self.seeds.username, "password": self.seeds.password}
        return self._to(**address._asdict(), **user, db=0, **self._ask_timeouts)

    @property
    def _ask_timeouts(self) -> dict[str, float]:
        names = ("socket_timeout", "socket_connect_timeout")
        return {name: min(ASK_TIMEOUT_S, self.options[name]) for name in names}

    def lost(self, error: Exception) -> None:
        """A call failed: the server may be elsewhere by now."""
        if self.place is not None:
            self.place.lost(error)
        elif is_moved(error):
            raise BackendUnsupported(
                f"{self.url}: this is one node of a cluster, and the queue is on another ({error}): "
                "redis+cluster:// instead of redis:// finds it"
            ) from error

    @contextmanager
    def clients(self) -> Generator[list[redis.Redis]]:
        """One of redis-py for each server that has keys; they try nothing again. To look at keys."""
        place = self.of_queue("").place
        addresses: list[dict[str, Any]] = (
            [{}] if place is None else [each._asdict() for each in place.primaries()]
        )
        clients = [
            redis.Redis(
                connection_pool=redis.ConnectionPool(
                    connection_class=cast("Any", self.connection_class),
                    **{**self.options, **address},
                )
            )
            for address in addresses
        ]
        try:
            yield clients
        finally:
            for client in clients:
                cast("Any", client).connection_pool.disconnect()

    def prompt_connection(self, timeout_s: float) -> Connection:
        """One that waits no longer than that, for a connection as for a reply."""
        return self.connection(
            socket_timeout=min(timeout_s, self.options["socket_timeout"]),
            socket_connect_timeout=min(timeout_s, self.options["socket_connect_timeout"]),
        )

    @property
    def has_user(self) -> bool:
        """Does it say who is asking, who may have fewer rights than all?"""
        return any(self.options.get(name) for name in ("username", "password"))

    @property
    def try_s(self) -> float:
        """How long a try takes at most: to ask where, to connect, to shake hands in TLS, to wait for the reply."""
        connect_s: float = self.options["socket_connect_timeout"]
        reply_s: float = self.options["socket_timeout"]
        asked = 0 if self.seeds is None else len(self.seeds.addresses)
        if self.is_cluster:
            asked = ASKED_MAX  # of all that are learned
        handshakes = 2 if self.connection_class is TlsConnection else 1
        return asked * (handshakes + 1) * ASK_TIMEOUT_S + handshakes * connect_s + reply_s


def target(url: str) -> Target:
    """What `url` says; ValueError with the URL, its password masked, if that makes no sense. [ENV-API-11]"""
    try:
        seeds = seeds_in(url)
        plain = url if seeds is None else seeds.plain_url
        check_parts(plain)
        found = _target(masked(url), _parse_url(plain), seeds)
        found.connection()
    except (ValueError, TypeError, redis.RedisError) as error:
        # The reasons of others may show the password.
        reason = str(error) if isinstance(error, UrlError) else "redis-py does not understand it"
        raise ValueError(f"url: {reason}: {masked(url)!r}") from None
    return found


def _target(url: str, options: dict[str, Any], seeds: Seeds | None) -> Target:
    connection_class = options.pop("connection_class", redis.connection.Connection)
    connections_max = options.pop("max_connections", None)
    prefix = options.pop("prefix", PREFIX)
    options.pop("timeout", None)  # of a pool
    options.setdefault("socket_timeout", SOCKET_TIMEOUT_S)
    options.setdefault("socket_connect_timeout", CONNECT_TIMEOUT_S)
    options.setdefault("protocol", 2)
    if connection_class is redis.connection.SSLConnection:
        check_tls(options)
        connection_class = TlsConnection
    if not SOCKET_TIMEOUT_S_MIN < options["socket_timeout"] < float("inf"):
        # Or a wait would be taken for a server that does not answer.
        raise UrlError(
            f"socket_timeout: a finite number of more than {SOCKET_TIMEOUT_S_MIN} s is needed, "
            f"not {options['socket_timeout']!r}"
        )
    # Retries and checks of health are this backend's own.
    options.update(retry=None, retry_on_timeout=False, retry_on_error=[], health_check_interval=0)
    options.update(decode_responses=False)
    return Target(url, connection_class, options, connections_max, prefix, seeds)
