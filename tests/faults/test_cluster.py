"""Cluster: queues are where their slots are, also while these move, and when a node dies. [ENV-REDIS-12]"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, closing
from functools import partial
from itertools import cycle
from typing import Any, Final

import pytest
from click.testing import CliRunner
from redis.crc import key_slot

from tests.backends.calls import PATIENCE_S, Call
from tests.faults.failovers import PROGRAMS, Program
from tests.stateful.profile import by_profile
from worq import aio, get_broker
from worq.cli.app import worq as command
from worq.clock import Clock
from worq.errors import BackendUnavailable, BackendUnsupported
from worq.pool.thread import WorkerPool
from worq.queue.redis import TaskQueue
from worq.queue.redis.keys import prefix
from worq.queue.redis.rights import rules
from worq.testing.bench import nothing
from worq.testing.capabilities import CONTRACT, MANUAL_CLOCK, REFERENCE
from worq.testing.journal import JournalQueue
from worq.testing.kit import Effort, Kit, Subject
from worq.testing.stages import all_checks
from worq.testing.topologies import Cluster, wait_until
from worq.values import Request

pytestmark = [pytest.mark.redis, pytest.mark.timeout(300)]

NAMES: Final = tuple("abcdef")
"""Of queues that are on three nodes."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Of which no node dies."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _emptied(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "cluster" in request.fixturenames:
        for client in request.getfixturevalue("cluster").clients:
            client.flushall()


def slot_of(name: str) -> int:
    return int(key_slot(prefix(name).encode()))


CLAIMED: Final = frozenset({CONTRACT, REFERENCE, MANUAL_CLOCK})
QUICK: Final = Effort(length=1, every=60, examples=3, walks=2, programs=2, times=2)
THOROUGH: Final = Effort(length=3, every=1, examples=5_000, walks=2_000, programs=300, times=5)


@pytest.mark.spec("ENV-REDIS-12")
def test_the_conformance_kit_holds(cluster: Cluster) -> None:
    """Its queues, of random names, are on all nodes."""

    def make_queue(name: str, clock: Clock | None) -> TaskQueue:
        return TaskQueue(cluster.url, name, clock=clock)

    checks = [check for check in all_checks() if not check.needs - CLAIMED]
    subject = Subject(make_queue, nothing, CLAIMED, by_profile(QUICK, QUICK, THOROUGH))
    kit = Kit(subject, checks)
    broken = [(check.name, kit.verdict(check).text) for check in checks]
    assert [name for name, text in broken if text] == [], broken
    assert len(checks) > 100


@pytest.mark.spec("ENV-REDIS-12", "ENV-INFO-1")
def test_queues_are_spread_and_listed(cluster: Cluster) -> None:
    with ExitStack() as stack:
        queues = [stack.enter_context(closing(TaskQueue(cluster.url, name))) for name in NAMES]
        for queue in queues:
            queue.submit(Request("a"), b"")
            assert queue.size() == 1
        assert {cluster.owner_of(slot_of(name)) for name in NAMES} == {0, 1, 2}
        assert all(client.dbsize() for client in cluster.clients)
        assert queues[0].queues() == list(NAMES)
        assert [queue.purge() for queue in queues] == [1] * len(NAMES)
        assert queues[0].queues() == []


@pytest.mark.spec("ENV-REDIS-12", "ENV-INFO-1")
def test_commands_look_at_all_nodes(cluster: Cluster) -> None:
    with ExitStack() as stack:
        for name in NAMES:
            broker = stack.enter_context(get_broker(cluster.url, name))
            broker.queue(ignore_result=True).half(2)
        listed = CliRunner().invoke(command, ["info", cluster.url, "--json"])
        assert [each["name"] for each in json.loads(listed.stdout)["queues"]] == list(NAMES)
        purged = CliRunner().invoke(
            command, ["purge", cluster.url, "--queue", "b", "--yes", "--json"]
        )
        assert json.loads(purged.stdout)["purged"] == 1


@pytest.mark.spec("ENV-REDIS-12", "ENV-REDIS-13")
def test_a_user_with_the_least_rights_asks_where_slots_are(cluster: Cluster) -> None:
    url = cluster.url.replace("://", "://worq:secret@")
    with closing(TaskQueue(url, "a", retry_deadline_s=PATIENCE_S)) as queue:
        allow(cluster, f"{rules()} +cluster|slots")
        assert queue.submit(Request("a"), b"").status == "accepted"
    with closing(TaskQueue(url, "a", retry_deadline_s=PATIENCE_S)) as queue:
        allow(cluster, rules())
        with pytest.raises(
            BackendUnavailable, match=r"lacks \+cluster|cluster\|slots.*'Rights'"
        ) as caught:
            queue.size()
        assert caught.value.outcome == "not_sent"


def allow(cluster: Cluster, rights: str) -> None:
    for client in cluster.clients:
        client.execute_command("ACL", "SETUSER", "worq", "reset", "on", ">secret", *rights.split())


@pytest.mark.spec("ENV-REDIS-12", "ENV-REDIS-2")
def test_all_keys_of_a_queue_are_in_its_slot(cluster: Cluster) -> None:
    """Those of who waits, too. A script that touched a key of another slot would be refused."""
    with closing(TaskQueue(cluster.url, "a")) as queue:
        queue.submit(Request("a", attempts=2), b"")
        queue.submit(Request("b"), b"", {"a": None})
        assert queue.claim(0) is not None
        call = Call(partial(queue.pop, "b", None))
        assert call.sleeps()
        keys = cluster.keys_in(slot_of("a"))
        assert len(keys) == sum(client.dbsize() for client in cluster.clients) > 8
        queue.discard("a")
        queue.discard("b")
        call.answer()


@pytest.mark.spec("ENV-REDIS-12")
def test_the_url_of_one_node_is_of_no_use_to_queues_of_others(cluster: Cluster) -> None:
    server = cluster.servers[cluster.owner_of(slot_of("a"))]
    other = next(
        name for name in NAMES if cluster.owner_of(slot_of(name)) != cluster.owner_of(slot_of("a"))
    )
    with closing(TaskQueue(server.tcp_url, "a")) as queue:
        assert queue.size() == 0
    with (
        closing(TaskQueue(server.tcp_url, other)) as queue,
        pytest.raises(BackendUnsupported, match=r"redis\+cluster://"),
    ):
        queue.size()


@pytest.mark.spec("ENV-REDIS-12")
def test_a_server_that_is_no_node_is_refused(redis_url: str) -> None:
    del redis_url
    with closing(TaskQueue("redis+cluster://127.0.0.1:1", retry_deadline_s=0)) as queue:
        with pytest.raises(
            BackendUnavailable, match=r"no node of the cluster answers: 127\.0\.0\.1:1: "
        ) as caught:
            queue.size()
        assert caught.value.outcome == "not_sent"


# A slot that moves while it is used.


@pytest.fixture
def moving(cluster: Cluster) -> Iterator[Callable[[str], "Move"]]:
    """Moves of slots, which go back in the end."""
    moves: list[Move] = []

    def begin(name: str) -> Move:
        moves.append(Move(cluster, name))
        return moves[-1]

    yield begin
    for move in moves:
        move.back()


class Move:
    """The slot of a queue, on its way to the next node."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.slot = slot_of(name)
        self._cluster = cluster
        self._source = cluster.owner_of(self.slot)
        self._to = (self._source + 1) % 3
        cluster.begin_to_move(self.slot, self._to)
        self._refused = self._refusals()

    def keys(self, which: Callable[[list[bytes]], list[bytes]]) -> None:
        """Move these."""
        there = sorted(self._cluster.keys_in(self.slot))
        self._cluster.move_keys(self.slot, self._to, which(there))

    def wait_for_refusal(self) -> None:
        """Until somebody was refused since it began."""
        wait_until(lambda: self._refusals() > self._refused)

    def _refusals(self) -> int:
        counts = self._cluster.clients[self._source].info("errorstats")
        return sum(
            int(counts.get(f"errorstat_{code}", {"count": 0})["count"])
            for code in ("ASK", "TRYAGAIN")
        )

    def end(self) -> None:
        self._cluster.end_move(self.slot, self._to)
        assert self._cluster.owner_of(self.slot) == self._to

    def back(self) -> None:
        if self._cluster.owner_of(self.slot) == self._source:
            self.end()
        self._cluster.begin_to_move(self.slot, self._source)
        self._cluster.end_move(self.slot, self._source)


@pytest.mark.spec("ENV-REDIS-12")
@pytest.mark.parametrize("moved", [b":waiting", b":ready", b":wake"])
def test_an_operation_is_refused_before_it_finds_that_a_key_has_moved(
    moved: bytes, cluster: Cluster, moving: Callable[[str], Move]
) -> None:
    """The keys that it has always declared are there, but one of the others is not."""
    with closing(TaskQueue(cluster.url, "a")) as queue:
        queue.submit(Request("a"), b"")
        move = moving("a")
        move.keys(lambda keys: [key for key in keys if key.endswith(moved)])
        call = Call(partial(queue.submit, Request("b"), b""))
        move.wait_for_refusal()
        move.end()
        assert call.answer().status == "accepted"
        assert queue.size() == 2


@pytest.mark.spec("ENV-REDIS-12", "ENV-RETRY-1")
def test_each_operation_is_right_while_its_slot_moves(
    cluster: Cluster, moving: Callable[[str], Move]
) -> None:
    """It is asked for when none, some or all of the keys have moved, and done when all have; the journal says how."""
    parts: Iterator[Callable[[list[bytes]], list[bytes]]] = cycle(
        [lambda _: [], lambda keys: keys[::2], lambda keys: keys[1::2], lambda keys: keys]
    )
    with ExitStack() as stack:
        servers = Nodes(cluster, stack)
        for number, (before, act) in enumerate(PROGRAMS[:: by_profile(1, 4, 1)]):
            program = Program(servers, f"q{number}", before, act)
            program.begin()
            move = moving(f"q{number}")
            move.keys(next(parts))
            call = Call(program.do)
            move.wait_for_refusal()
            move.end()
            call.answer()
            program.judge()


class Nodes:
    """To the programs: queues on a cluster."""

    def __init__(self, cluster: Cluster, stack: ExitStack) -> None:
        self._cluster = cluster
        self._stack = stack

    def queue(self, name: str, *, after: bool = False) -> JournalQueue:
        del after
        return self._stack.enter_context(closing(JournalQueue(self._cluster.url, name)))

    def admin_of(self, name: str) -> Any:
        return self._cluster.clients[self._cluster.owner_of(slot_of(name))]

    def promote(self) -> None:
        raise NotImplementedError

    def fail_over(self) -> None:
        raise NotImplementedError


@pytest.mark.spec("ENV-REDIS-12", "ENV-WAIT-3")
def test_who_waits_while_the_slot_moves_is_woken_at_the_new_node(
    cluster: Cluster, moving: Callable[[str], Move]
) -> None:
    with (
        closing(TaskQueue(cluster.url, "a")) as queue,
        closing(TaskQueue(cluster.url, "a")) as second,
    ):
        call = Call(partial(queue.claim, None))
        assert call.sleeps()
        moving("a").end()
        second.submit(Request("a"), b"message")
        claim = call.answer()
        assert claim is not None
        assert claim.message == b"message"
        second.discard("a")


@pytest.mark.spec("ENV-REDIS-12")
def test_a_slot_that_moves_as_a_whole_loses_nothing(cluster: Cluster) -> None:
    slot = slot_of("a")
    source = cluster.owner_of(slot)
    with (
        closing(TaskQueue(cluster.url, "a")) as queue,
        closing(TaskQueue(cluster.url, "a")) as second,
    ):
        is_over = threading.Event()

        def submit() -> int:
            accepted = 0
            while not is_over.is_set():
                assert second.submit(Request(str(accepted)), b"").status == "accepted"
                accepted += 1
            return accepted

        call = Call(submit)
        for to in (source + 1, source + 2, source):
            wait_until(partial(has_more_than, queue, queue.size()))
            cluster.move_at_once(slot, to % 3)
        is_over.set()
        accepted = call.answer()
        assert queue.purge() == accepted


def has_more_than(queue: TaskQueue, count: int) -> bool:
    return queue.size() > count


@pytest.mark.spec("ENV-REDIS-12", "ENV-POOL-25")
def test_one_worker_serves_queues_on_all_nodes(cluster: Cluster) -> None:
    with ExitStack() as stack:
        brokers = [stack.enter_context(get_broker(cluster.url, name)) for name in NAMES]
        for broker in brokers:
            broker.expose(half)
            stack.enter_context(WorkerPool(broker))
        calls = [broker.queue().half(2 * n) for n, broker in enumerate(brokers)]
        assert all(call.wait(PATIENCE_S) for call in calls)
        assert [call.value for call in calls] == list(range(len(NAMES)))


@pytest.mark.spec("ENV-REDIS-12")
def test_calls_are_awaited_on_all_nodes(cluster: Cluster, moving: Callable[[str], Move]) -> None:
    """And where a slot has gone after a connection was made."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            brokers = [
                await stack.enter_async_context(aio.get_broker(cluster.url, name)) for name in NAMES
            ]
            assert [await broker.size() for broker in brokers] == [0] * len(NAMES)
            await asyncio.to_thread(lambda: moving(NAMES[0]).end())
            calls = [await broker.queue().half(2 * n) for n, broker in enumerate(brokers)]
            with ExitStack() as workers:
                for name in NAMES:
                    broker = workers.enter_context(get_broker(cluster.url, name))
                    broker.expose(half)
                    workers.enter_context(WorkerPool(broker))
                assert [await call for call in calls] == list(range(len(NAMES)))

    asyncio.run(main())


def half(number: int) -> int:
    return number // 2


# A node that dies.


@pytest.mark.spec("ENV-REDIS-12", "ENV-RETRY-2")
def test_a_node_that_dies_comes_back_or_is_replaced() -> None:
    """The first one has a replica; the second one has not, but has written all down."""
    with Cluster(replicas=1, append_only=True) as cluster, ExitStack() as stack:
        owners = {cluster.owner_of(slot_of(name)): name for name in NAMES}
        queues = {
            n: stack.enter_context(closing(TaskQueue(cluster.url, name)))
            for n, name in owners.items()
        }
        waiting = {
            n: stack.enter_context(closing(TaskQueue(cluster.url, name)))
            for n, name in owners.items()
        }
        for queue in queues.values():
            queue.submit(Request("a"), b"")
            assert queue.claim(0) is not None
        outcomes = {n: Call(partial(queue.pop, "a", None)) for n, queue in waiting.items()}
        assert all(call.sleeps() for call in outcomes.values())
        cluster.clients[0].execute_command("WAIT", 1, 10_000)
        cluster.servers[0].kill()
        cluster.servers[1].kill()
        finish = {
            n: Call(partial(queue.finish, "a", b"outcome", 60)) for n, queue in queues.items()
        }
        assert finish[2].answer().accepted  # its node is alive
        cluster.servers[1].start()  # two of three can decide again
        for n in (0, 1):
            assert finish[n].answer().accepted
        for call in outcomes.values():
            assert getattr(call.answer(), "message", None) == b"outcome"
        assert cluster.owner_of(slot_of(owners[0])) == 3
