"""From a URL to connections. It is read as `redis.from_url` does, and checked before anything is opened."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import redis
import redis.connection

from worq.masking import masked
from worq.queue.redis.channel import Connection
from worq.queue.redis.keys import PREFIX
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
    """

    url: str
    connection_class: Callable[..., object]
    options: dict[str, Any]
    connections_max: int | None
    prefix: str = PREFIX

    def connection(self, **options: Any) -> Connection:
        """A new one, which connects when it is used."""
        return cast("Connection", self.connection_class(**{**self.options, **options}))

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

    def client(self) -> redis.Redis:
        """One of redis-py, for whoever looks at keys; it tries nothing again. To be closed."""
        connection_class: Any = self.connection_class
        pool = redis.ConnectionPool(connection_class=connection_class, **self.options)
        return redis.Redis.from_pool(pool)

    @property
    def try_s(self) -> float:
        """How long a try takes at most: to connect, to shake hands in TLS, and to wait for the reply."""
        connect_s: float = self.options["socket_connect_timeout"]
        reply_s: float = self.options["socket_timeout"]
        return (2 if self.connection_class is TlsConnection else 1) * connect_s + reply_s


def target(url: str) -> Target:
    """What `url` says; ValueError with the URL, its password masked, if that makes no sense. [ENV-API-11]"""
    try:
        check_parts(url)
        found = _target(masked(url), _parse_url(url))
        found.connection()
    except (ValueError, TypeError, redis.RedisError) as error:
        # The reasons of others may show the password.
        reason = str(error) if isinstance(error, UrlError) else "redis-py does not understand it"
        raise ValueError(f"url: {reason}: {masked(url)!r}") from None
    return found


def _target(url: str, options: dict[str, Any]) -> Target:
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
    return Target(url, connection_class, options, connections_max, prefix)
