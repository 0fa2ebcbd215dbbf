"""Servers that hang, are full, or have another in their place; half-open connections; wrong clocks."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from itertools import product
from typing import Any

import pytest
import redis

from tests.backends.brokers import call
from tests.backends.calls import Call
from tests.backends.on_redis.cases import CASES, Case, claim, nothing, state, submit
from tests.faults.clients import SKEWS_S, skew_clock
from tests.faults.failovers import fail_over
from tests.faults.trials import Court, Result, Trial
from tests.stateful.profile import by_profile
from worq import Broker
from worq.backend import LEASE_MARGIN_S
from worq.const import TASK_EXPIRED
from worq.errors import BackendUnavailable, QueueClosed
from worq.pool.thread import WorkerPool
from worq.queue.redis import TaskQueue, scripts
from worq.queue.redis.keys import prefix
from worq.queue.redis.scripts import Script
from worq.testing.exhaustive import CLAIM, finish, pop
from worq.testing.journal import JournalQueue
from worq.testing.proxy import Command, Fault, FaultProxy, Plan
from worq.testing.servers import RedisServer
from worq.testing.small_programs import SITUATIONS, A
from worq.values import Request, Token

pytestmark = [pytest.mark.redis, pytest.mark.timeout(300)]

SOON = "?socket_timeout=6.5"  # about the shortest that the backend takes


@pytest.fixture
def raw(server: RedisServer) -> Iterator[Any]:
    with redis.Redis.from_url(server.url) as client:
        yield client
        client.config_set("maxmemory", 0)
        client.flushall()


# Connections that are half open, and a server that hangs, are noticed when the socket's timeout has passed.

HALF_OPEN: tuple[Fault, ...] = ("half-open before", "half-open after")
STALE = [
    Trial(SITUATIONS["enqueued"], CLAIM),
    Trial(SITUATIONS["processing"], finish("a")),
    Trial(SITUATIONS["completed"], pop("a")),
    Trial(SITUATIONS["absent"], A),
]


@pytest.mark.spec("ENV-RETRY-1")
def test_a_connection_that_is_half_open_is_given_up(server: RedisServer) -> None:
    """At each command, each in a queue of its own: they wait at the same time."""

    def hold(case: tuple[int, tuple[Trial, Fault, int]]) -> Result:
        name, (trial, fault, number) = case
        with Court(server.url + SOON, f"half-open-{name}") as court:
            court.proxy.counts.clear()
            result = court.hold(trial, lambda each: fault if each.number == number else None)
            assert court.proxy.counts[fault] == 1
            return result

    cases = list(enumerate(product(STALE[: by_profile(2, 4, 4)], HALF_OPEN, range(4))))
    with ThreadPoolExecutor(len(cases)) as threads:
        for result in threads.map(hold, cases):
            assert not result.trouble, result.trouble


@pytest.mark.parametrize("trial", STALE[: by_profile(1, 4, 4)])
@pytest.mark.spec("ENV-RETRY-1")
def test_a_server_that_hangs_is_asked_again(trial: Trial, server: RedisServer) -> None:
    def hang(command: Command) -> None:
        """From the first command until it is sent again over another connection."""
        os.kill(server.pid, signal.SIGCONT if command.connection else signal.SIGSTOP)

    with Court(server.url + SOON) as court:
        try:
            result = court.hold(trial, hang)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert court.proxy.connections == 2
        assert not result.trouble, result.trouble


# A server that is full: what ends tasks goes on, so that it gets emptier; what makes new ones is refused.

REFUSED = ("submit", "submit with an argument", "defer")
GOES_ON = (
    "claim", "claim for the last time", "claim with an argument", "finish", "finish for a dependent", "heartbeat",
    "release", "pop", "pop of nothing", "discard", "purge", "size", "status", "get_arguments",
)  # fmt: skip
EMPTYING: dict[str, Case] = {name: CASES[name] for name in GOES_ON} | {
    "discard of nothing": Case(nothing, lambda q: q.discard("a"), answer=False),
    "purge of nothing": Case(nothing, lambda q: q.purge(), 0),
}


@pytest.fixture
def hasty(server: RedisServer) -> Iterator[TaskQueue]:
    """Asks once."""
    with closing(TaskQueue(server.url, retry_deadline_s=0)) as queue:
        yield queue


def answer_when_full(case: Case, raw: Any, queue: TaskQueue) -> object:
    case.prepare(queue)
    raw.config_set("maxmemory", 1)
    return case.act(queue)


@pytest.mark.parametrize("name", EMPTYING)
@pytest.mark.spec("ENV-REDIS-9")
def test_a_full_server_can_be_emptied(name: str, raw: Any, hasty: TaskQueue) -> None:
    case = EMPTYING[name]
    case.prepare(hasty)
    raw.config_set("maxmemory", 1)
    assert case.act(hasty) == case.answer


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.spec("ENV-RETRY-2", "ENV-REDIS-9")
def test_what_a_full_server_refuses_changes_nothing(name: str, raw: Any, hasty: TaskQueue) -> None:
    CASES[name].prepare(hasty)
    before = state(raw)
    raw.config_set("maxmemory", 1)
    with pytest.raises(BackendUnavailable) as caught:
        CASES[name].act(hasty)
    assert caught.value.outcome == "not_sent"
    assert state(raw) == before


# Clocks of clients decide nothing.


def _live_with_a_wrong_clock(url: str, skew_s: float) -> None:
    skew_clock(skew_s)
    with closing(TaskQueue(url)) as queue:
        submit(queue, "kept")
        queue.finish("kept", b"", 500, token=claim(queue).token)
        submit(queue, "held")
        queue.heartbeat("held", 100, token=claim(queue).token)


@pytest.mark.parametrize("skew_s", [each for each in SKEWS_S if each])
@pytest.mark.spec("ENV-REDIS-3")
def test_a_client_whose_clock_is_wrong_sets_right_deadlines(
    skew_s: float, server: RedisServer, raw: Any
) -> None:
    def now_ms() -> int:
        seconds, us = raw.time()
        return int(seconds * 1000 + us // 1000)

    process = multiprocessing.get_context("spawn").Process(
        target=_live_with_a_wrong_clock, args=(server.url, skew_s)
    )
    began_ms = now_ms()
    process.start()
    process.join()
    ended_ms = now_ms()
    assert process.exitcode == 0
    assert began_ms <= raw.zscore(f"{prefix('default')}:leases", "held") - 100_000 <= ended_ms
    assert began_ms <= raw.zscore(f"{prefix('default')}:retained", "kept") - 500_000 <= ended_ms


# A replica in the place of its primary, at the same address. What it had not received has not happened.


class Pair:
    """A primary, a replica, and a proxy that is the address of whichever leads."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._primary = stack.enter_context(
            RedisServer(tcp=True, options={"repl-diskless-sync-delay": "0"})
        )
        self._replica = stack.enter_context(
            RedisServer(options={"replicaof": f"127.0.0.1 {self._primary.port}"})
        )
        self._old = stack.enter_context(redis.Redis.from_url(self._primary.url))
        self.admin = stack.enter_context(redis.Redis.from_url(self._replica.url))
        self.proxy = stack.enter_context(FaultProxy(self._primary.url))

    def queue(self, name: str, *, after: bool = False) -> JournalQueue:
        """Through the address; or, `after` the failover, straight."""
        url = self._replica.url if after else self.proxy.url
        return self._stack.enter_context(closing(JournalQueue(url, name)))

    def promote(self) -> None:
        """The replica has what was written so far, and nothing that comes; clients still go to the primary."""
        self._old.execute_command("SET", "mark", "written")
        while self.admin.get("mark") is None:  # until it has that, it has a link, too
            self._old.execute_command("WAIT", "1", "100")
        self.admin.replicaof("NO", "ONE")

    def fail_over(self) -> None:
        self.proxy.lead_to(self._replica.url)

    def admin_of(self, name: str) -> Any:
        del name
        return self.admin


@pytest.fixture
def pair() -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(stack)


def test_a_replica_that_has_all_goes_on(pair: Pair) -> None:
    fail_over(pair, lost=False)


def test_what_a_replica_had_not_received_has_not_happened(pair: Pair) -> None:
    """And all else has: clients are answered by what it has, whatever they were told before."""
    fail_over(pair, lost=True)


def test_a_claim_that_a_replica_had_not_received_is_made_again(pair: Pair) -> None:
    """Its token is the same, so the first of the two workers to finish is believed, as docs/redis.md says."""
    queue, after = pair.queue("q"), pair.queue("q", after=True)
    queue.submit(Request("a", Token(b"incarnation of a")), b"")
    pair.promote()
    first = claim(queue)
    pair.fail_over()
    again = claim(queue)
    assert again == first
    assert queue.finish("a", b"of the first", 60, token=first.token).accepted
    assert not queue.finish("a", b"of the other", 60, token=again.token).accepted
    outcome = after.pop("a", 0)
    assert getattr(outcome, "message", None) == b"of the first"


# A server that is slow when a queue is closed, and a connection that is half open when a heartbeat is due.


@pytest.mark.spec("ENV-WAIT-7")
def test_closing_on_a_slow_server_loses_no_claim(server: RedisServer, raw: Any) -> None:
    with FaultProxy(server.url) as proxy, closing(TaskQueue(server.url)) as second:
        queue = TaskQueue(proxy.url)
        waiting = Call(partial(queue.claim, None))
        proxy.wait_until(lambda: proxy.is_blocked)
        with proxy.stalled():
            submit(second, "a")
            queue.close()
        # The one that waited is told of the claim that was made for it; or it was not made.
        if waiting.error() is None:
            claimed = waiting.answer()
        else:
            assert isinstance(waiting.error(), QueueClosed)
            claimed = second.claim(LEASE_MARGIN_S)
        assert claimed is not None
        assert claimed.id == "a"


HEARTRATE_S = 0.5
PAST_A_LEASE_S = 2 * HEARTRATE_S + LEASE_MARGIN_S + 2


@pytest.mark.spec("ENV-POOL-1")
def test_a_heartbeat_on_a_dead_connection_delays_no_other(server: RedisServer, raw: Any) -> None:
    """Of two claims at most the one is lost whose heartbeat it was."""
    go_on = threading.Event()
    with ExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(server.url))
        second = stack.enter_context(closing(TaskQueue(server.url)))
        broker = Broker(stack.enter_context(closing(TaskQueue(proxy.url))))

        @broker.expose
        def hold() -> None:
            go_on.wait()

        called = [call(broker.queue().hold, name, heartrate=HEARTRATE_S) for name in "ab"]
        stack.enter_context(WorkerPool(broker, workers=2))
        stack.callback(go_on.set)
        proxy.follow(first(scripts.HEARTBEAT, "half-open before"))
        waiting = [
            Call(partial(second.pop, each.id, PAST_A_LEASE_S, token=each.token)) for each in called
        ]
        lost = [each.answer() for each in waiting]
        assert proxy.counts["half-open before"] == 1
        assert lost.count(TASK_EXPIRED) <= 1


def first(script: Script, fault: Fault) -> Plan:
    """The first time that it is sent."""
    left = [fault]
    return lambda command: left.pop() if left and script.sha in command.data else None
