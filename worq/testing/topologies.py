"""Servers that belong together, for tests: a primary that sentinels watch, and a cluster. All are on loopback."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final, Self, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worq.queue.redis.seeds import Address
from worq.testing.servers import POLL_SECONDS, RedisServer

SERVICE: Final = "jobs"
SETTLED_SECONDS_MAX: Final = 30.0
SLOTS: Final = 16_384
PORT_MAX: Final = 55_535
"""The nodes of a cluster talk to one another on a port that is 10,000 above."""
_REPLICATING: Final = {"repl-diskless-sync-delay": "0", "repl-timeout": "5"}
# So that they find one another and what has happened within tenths of a second; Redis 6.2 hasn't this command.
_HURRY: Final = ("INFO-PERIOD", "100", "PUBLISH-PERIOD", "100", "ASK-PERIOD", "100")


class _Group:
    """Servers and clients of redis-py to look at them. A context manager.

    `program`: of the servers; None for the one that tests use.
    """

    def __init__(self, *, program: str | None = None) -> None:
        self._program = program
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._stack = stack
            self._start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        raise NotImplementedError

    def _server(self, options: Mapping[str, str], *arguments: str) -> RedisServer:
        while True:
            server = RedisServer(tcp=True, options=options, arguments=arguments)
            if self._program is not None:
                server.program = self._program
            if server.port is not None and server.port <= PORT_MAX:
                return self._stack.enter_context(server)

    def _client(self, server: RedisServer) -> Any:
        return self._stack.enter_context(client_of(server))


class Watched(_Group):
    """A primary and its replica, watched by three sentinels, of which two decide."""

    def _start(self) -> None:
        first = self._server(_REPLICATING)
        second = self._server(_REPLICATING | {"replicaof": f"127.0.0.1 {first.port}"})
        self.servers: tuple[RedisServer, ...] = (first, second)
        options = {
            f"sentinel monitor {SERVICE}": f"127.0.0.1 {first.port} 2",
            f"sentinel down-after-milliseconds {SERVICE}": "200",
            f"sentinel failover-timeout {SERVICE}": "1000",
        }
        self.sentinels: tuple[RedisServer, ...] = tuple(
            self._server(options, "--sentinel") for _ in range(3)
        )
        self._asked = [self._client(sentinel) for sentinel in self.sentinels]
        for client in self._asked:
            with suppress(redis.ResponseError):
                client.execute_command("SENTINEL", "DEBUG", *_HURRY)
        wait_until(self.is_whole)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}"

    def is_whole(self) -> bool:
        """Do the sentinels that run know one another, and the primary, and a replica that could take its place?"""
        return all(self._sees_all(client) for client in self._running())

    def _running(self) -> Iterator[Any]:
        for sentinel, client in zip(self.sentinels, self._asked, strict=True):
            if sentinel.is_running:
                yield client

    def _sees_all(self, client: Any) -> bool:
        primary = client.sentinel_master(SERVICE)
        replicas = client.sentinel_slaves(SERVICE)
        return (
            primary["flags"] == "master"
            and primary["num-other-sentinels"] == len(self.sentinels) - 1
            and len(replicas) == len(self.servers) - 1
            and all(
                each["flags"] == "slave" and each["master-link-status"] == "ok" for each in replicas
            )
        )

    def primary(self) -> RedisServer:
        """The one that all sentinels that run name."""
        wait_until(lambda: len(set(self._named())) == 1)
        return self._at(self._named()[0])

    def _named(self) -> list[int]:
        return [
            int(client.sentinel_get_master_addr_by_name(SERVICE)[1]) for client in self._running()
        ]

    def _at(self, port: int) -> RedisServer:
        return next(server for server in self.servers if server.port == port)

    def wait_until_replicated(self) -> None:
        """Until the replica has all that the primary has done so far."""
        with client_of(self.primary()) as client:
            client.set("mark", "written")
            wait_until(lambda: client.execute_command("WAIT", 1, 100) == 1)
            client.delete("mark")

    def fail_over(self) -> RedisServer:
        """Kill the primary, as a crash would; return what was, when the sentinels have another."""
        old = self.primary()
        old.kill()
        wait_until(lambda: old.port not in self._named())
        return old


class Cluster(_Group):
    """Three primaries, which share the slots; with `replicas`, so many more for the first of them."""

    def __init__(
        self, *, replicas: int = 0, append_only: bool = False, program: str | None = None
    ) -> None:
        super().__init__(program=program)
        self._append_only = append_only
        self._replicas = replicas

    def _start(self) -> None:
        options = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": "500",
            "cluster-require-full-coverage": "no",
            "cluster-replica-validity-factor": "0",
            "appendonly": "yes" if self._append_only else "no",
            **_REPLICATING,
        }
        self.servers: tuple[RedisServer, ...] = tuple(
            self._server(options) for _ in range(3 + self._replicas)
        )
        self.clients: list[Any] = [self._client(server) for server in self.servers]
        self.ids: list[str] = [
            client.execute_command("CLUSTER MYID").decode() for client in self.clients
        ]
        for number, client in enumerate(self.clients[:3]):
            client.execute_command(
                "CLUSTER ADDSLOTS", *range(SLOTS * number // 3, SLOTS * (number + 1) // 3)
            )
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            self.clients[0].execute_command("CLUSTER MEET", "127.0.0.1", server.port)
        wait_until(lambda: all(map(self._knows_all, self.clients)))
        for client in self.clients[3:]:
            client.execute_command("CLUSTER REPLICATE", self.ids[0])
        wait_until(self.is_whole)

    def _knows_all(self, client: Any) -> bool:
        known = client.execute_command("CLUSTER INFO")
        return known["cluster_state"] == "ok" and int(known["cluster_known_nodes"]) == len(
            self.servers
        )

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(f'127.0.0.1:{server.port}' for server in self.servers)}"

    def is_whole(self) -> bool:
        """Do all nodes know all others, and have replicas all that their primaries have?"""
        links = [client.info("replication") for client in self.clients]
        return (
            all(map(self._knows_all, self.clients))
            and all(link.get("master_link_status", "up") == "up" for link in links)
            and sum(link["role"] == "slave" for link in links) == self._replicas
        )

    def owner_of(self, slot: int) -> int:
        """The number of the server that has a slot, as all that run agree."""
        wait_until(lambda: len(set(self._owners(slot))) == 1)
        address = self._owners(slot)[0]
        return next(n for n, server in enumerate(self.servers) if server.port == address.port)

    # Moving a slot, key by key, as `redis-cli --cluster reshard` does.

    def begin_to_move(self, slot: int, to: int) -> None:
        source = self.owner_of(slot)
        self.clients[to].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", self.ids[source])
        self.clients[source].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", self.ids[to])

    def keys_in(self, slot: int) -> list[bytes]:
        """Those that its owner still has."""
        client = self.clients[self.owner_of(slot)]
        return cast("list[bytes]", _raw(client, "CLUSTER", "GETKEYSINSLOT", slot, 1000))

    def move_keys(self, slot: int, to: int, keys: Iterable[bytes]) -> None:
        client = self.clients[self.owner_of(slot)]
        for key in keys:
            client.migrate("127.0.0.1", self.servers[to].port, key, 0, 5000)

    def end_move(self, slot: int, to: int) -> None:
        """All keys that are left, and everybody is told."""
        self.move_keys(slot, to, self.keys_in(slot))
        for client in (self.clients[to], *self.clients[:3]):
            client.execute_command("CLUSTER SETSLOT", slot, "NODE", self.ids[to])

    def move_at_once(self, slot: int, to: int) -> None:
        """By the server itself, as Valkey 9 does; else key by key."""
        source = self.owner_of(slot)
        command = ("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", self.ids[to])
        try:
            _raw(self.clients[source], *command)
        except redis.ResponseError:
            self.begin_to_move(slot, to)
            self.end_move(slot, to)
        wait_until(lambda: {row.port for row in self._owners(slot)} == {self.servers[to].port})

    def _owners(self, slot: int) -> list[Address]:
        return [
            Address("127.0.0.1", row[2][1])
            for server, client in zip(self.servers, self.clients, strict=True)
            if server.is_running
            for row in _raw(client, "CLUSTER", "SLOTS")
            if row[0] <= slot <= row[1]
        ]


def _raw(client: Any, *command: object) -> Any:
    """The answer as the server gives it; what redis-py makes of it differs by version."""
    connection = client.connection_pool.get_connection()
    try:
        connection.send_command(*command)
        return connection.read_response()
    finally:
        client.connection_pool.release(connection)


@contextmanager
def client_of(server: RedisServer) -> Generator[Any]:
    """A client of redis-py, of which it doesn't say what it answers."""
    with redis.Redis(port=cast("int", server.port), retry=Retry(NoBackoff(), 1)) as client:
        yield cast("Any", client)


def wait_until(is_so: Callable[[], bool]) -> None:
    """TimeoutError if it isn't after half a minute."""
    until = time.monotonic() + SETTLED_SECONDS_MAX
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError("the servers have not settled")
        time.sleep(POLL_SECONDS)
