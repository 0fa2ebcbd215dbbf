"""URLs that name several servers: sentinels that know the primary, or nodes of a cluster. [ENV-API-11]

    redis+sentinel://[USER:PASSWORD@]HOST[:26379][,HOST…]/SERVICE[/DATABASE][?…]
    redis+cluster://[USER:PASSWORD@]HOST[:6379][,HOST…][?…]

User, password and options are for the primary, or for all nodes; `rediss+…` is over TLS, to the sentinels too.
"""

from typing import Final, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from worq.masking import masked
from worq.queue.redis.urlparts import PORT_MAX, STRAY_MARK, UrlError

Kind = Literal["sentinel", "cluster"]
PORTS: Final[dict[Kind, int]] = {"sentinel": 26379, "cluster": 6379}
SCHEMES: Final[dict[str, tuple[str, Kind]]] = {
    "redis+sentinel": ("redis", "sentinel"),
    "rediss+sentinel": ("rediss", "sentinel"),
    "redis+cluster": ("redis", "cluster"),
    "rediss+cluster": ("rediss", "cluster"),
}
"""Scheme → that of a single server, and the kind."""
OF_SENTINELS: Final = ("sentinel_username", "sentinel_password")
"""Options that are for the sentinels alone."""


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Seeds(NamedTuple):
    """What such a URL says.

    `plain_url`: the first of them as a URL of a single server, with all that is said of connections.
    `service`: what the sentinels call the primary. `username` and `password`: for the sentinels.
    """

    kind: Kind
    addresses: tuple[Address, ...]
    plain_url: str
    service: str = ""
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        """Without passwords."""
        return f"<Seeds {self.kind} {','.join(map(str, self.addresses))}>"


class _Parts(NamedTuple):
    scheme: str
    user: str
    hosts: str
    path: str
    tail: str


def seeds_in(url: str) -> Seeds | None:
    """None for the URL of a single server; UrlError for the first part that makes no sense. [ENV-API-11]"""
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        return None
    plain, kind = SCHEMES[scheme]
    parts = _split(url)
    if parts.hosts != _split(masked(url)).hosts:
        raise UrlError(STRAY_MARK)
    addresses = tuple(_address(member, PORTS[kind]) for member in parts.hosts.split(","))
    base = f"{plain}://{parts.user}{addresses[0]}"
    if kind == "cluster":
        if parts.path not in ("", "/", "/0"):
            raise UrlError(f"path: a cluster has the database 0 alone, not {parts.path[1:]!r}")
        return Seeds(kind, addresses, f"{base}/0{parts.tail}")
    service, slash, database = parts.path.removeprefix("/").partition("/")
    if not service:
        raise UrlError(
            "service: the name that the sentinels have for the primary is needed, "
            "as in redis+sentinel://host/mymaster"
        )
    own, tail = _own_options(parts.tail)
    username, password = map(own.get, OF_SENTINELS)
    return Seeds(
        kind, addresses, f"{base}{slash}{database}{tail}", unquote(service), username, password
    )


def _split(url: str) -> _Parts:
    """By hand: `urlsplit` refuses a list of addresses in brackets, by version."""
    scheme, _, rest = url.partition("://")
    ends = [rest.find(mark) for mark in "?#" if mark in rest]
    end = min(ends, default=len(rest))
    place, tail = rest[:end], rest[end:]
    authority, slash, path = place.partition("/")
    user, at, hosts = authority.rpartition("@")
    return _Parts(scheme, user + at, hosts, slash + path, tail)


def _address(member: str, port: int) -> Address:
    host: str | None
    given: int | None
    try:
        parts = urlsplit(f"//{member}")
        host, given = parts.hostname, parts.port
    except ValueError:
        host, given = member, 0
    if given == 0:
        raise UrlError(f"port: a number from 1 to {PORT_MAX} is needed, not that of {member!r}")
    if not host:
        raise UrlError(f"host: one is needed before and after each comma, not {member!r}")
    return Address(host, port if given is None else given)


def _own_options(tail: str) -> tuple[dict[str, str], str]:
    """The options for the sentinels, and the rest of the query."""
    query, sharp, fragment = tail.removeprefix("?").partition("#")
    own: dict[str, str] = {}
    kept: list[str] = []
    for option in query.split("&"):
        name, _, value = option.partition("=")
        if name not in OF_SENTINELS:
            kept.append(option)
        elif name in own:
            raise UrlError(f"{name}: it is there twice")
        else:
            own[name] = unquote(value.replace("+", " "))
    query = "&".join(filter(None, kept))
    return own, (f"?{query}" if query else "") + sharp + fragment
