"""Pools whose server is away, or does not answer. On Redis, where that can happen."""

import logging
import os
import time
from collections.abc import Callable, Iterator

import pytest

import worq
from tests.backends.brokers import call
from tests.backends.calls import PATIENCE_S
from tests.backends.conftest import Start
from tests.backends.on_redis.proxy import Proxy
from tests.pool.gates import ThreadGate, value_of
from worq import BackendUnavailable, Broker, TaskFailure
from worq.pool.thread import WorkerPool
from worq.testing.servers import RedisServer

pytestmark = pytest.mark.redis

# Longer than any test: what ends earlier was ended.
FOREVER_S = 1_000.0
# The server is away for so long: in the deep profile a minute.
AWAY_S = 60.0 if os.environ.get("WORQ_PROFILE") == "deep" else 1.0


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(append_only=True) as server:
        yield server


MakePool = Callable[..., WorkerPool]


@pytest.mark.spec("ENV-POOL-21", "ENV-RETRY-3")
def test_claim_is_kept_when_its_connection_goes_silent(redis_url: str, make_pool: MakePool) -> None:
    with Proxy(redis_url) as proxy, worq.get_broker(proxy.url, "silent") as broker:
        gate = ThreadGate(broker)
        make_pool(broker, 2).start()
        deferreds = [call(broker.queue().gate, task_id, 1, heartrate=0.2) for task_id in "ab"]
        gate.wait()
        gate.wait()
        proxy.wait_until(lambda: proxy.scripts >= 10)  # heartbeats among them
        proxy.fall_silent()
        before = proxy.connections
        # Replies are lost after 10 s, and these leases pass after 5.4 s.
        proxy.wait_until(lambda: proxy.connections > before)
        before = proxy.scripts
        proxy.wait_until(lambda: proxy.scripts >= before + 60)
        assert [each.status for each in deferreds] == ["processing"] * 2
        proxy.cut()
        gate.opened.set()
        assert [value_of(each) for each in deferreds] == [1, 1]


@pytest.mark.spec("ENV-POOL-3", "ENV-POOL-21")
@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_pool_ends_soon_after_its_drain_deadline_where_no_server_answers(
    server: RedisServer,
    make_pool: MakePool,
    start: Start,
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    with (
        Proxy(server.url) as proxy,
        worq.get_broker(proxy.url, retry_deadline_s=FOREVER_S) as broker,
    ):
        gate = ThreadGate(broker)
        pool = make_pool(broker, 3, drain_timeout=0.1)
        pool.start()
        for task_id in "abc":
            call(broker.queue().gate, task_id, heartrate=0.01)
            gate.wait()
        if how == "kill":
            proxy.stop()
        else:
            proxy.fall_silent(for_all=True)
        eventually(lambda: "no heartbeat" in caplog.text)
        assert start(pool.stop).error() is None
        gate.opened.set()
    said = [each for each in caplog.records if each.name.startswith("worq.pool.keeper")]
    assert [each.getMessage().partition(":")[0] for each in said] == [
        "no heartbeat can be sent, trying again every second",
        "not released, left to their leases",
    ]
    assert all(f"gate [{task_id}]" in said[1].getMessage() for task_id in "abc")
    assert [each.exc_info for each in said] == [None, None]


@pytest.mark.spec("ENV-POOL-5", "ENV-RETRY-2", "ENV-RETRY-4")
def test_pool_goes_on_by_itself_after_an_outage(
    server: RedisServer, make_pool: MakePool, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "worq.queue.redis")
    with worq.get_broker(server.url, retry_deadline_s=AWAY_S / 4) as broker:
        gate = ThreadGate(broker)
        make_pool(broker, 2).start(timeout=None)
        running = call(broker.queue().gate, "a", 1, heartrate=2 * AWAY_S)
        gate.wait()
        server.kill()
        with pytest.raises(BackendUnavailable) as caught:
            broker.queue().gate()
        assert caught.value.outcome in ("not_sent", "unknown")
        gate.opened.set()
        eventually(lambda: "nothing can be claimed" in caplog.text)
        time.sleep(AWAY_S - 1)
        server.start()
        assert start(lambda: value_of(running)).answer() == 1
        assert value_of(call(broker.queue().gate, "b", 2)) == 2
    said = [each.getMessage() for each in caplog.records if each.name == "worq.queue.redis"]
    assert sum("contact lost, trying again: " in each for each in said) >= 2
    assert any("contact again after" in each for each in said)


@pytest.mark.spec("ENV-POOL-5", "RUN-5")
def test_failure_of_what_cannot_be_read_is_stored_when_the_connection_is_back(
    redis_url: str, make_pool: MakePool
) -> None:
    with (
        Proxy(redis_url) as proxy,
        worq.get_broker(redis_url) as broker,
        worq.get_broker(proxy.url, retry_deadline_s=0) as through,
    ):
        make_pool(through).start()
        eventually(lambda: workers(broker))
        FAULTS.append(proxy)
        failed = broker.queue().gate(Unreadable())
        with pytest.raises(TaskFailure, match="message cannot be read: RuntimeError: planted"):
            value_of(failed)
        assert not proxy.faults


FAULTS: list[Proxy] = []


class Unreadable:
    """Reading it fails, and what is sent next is lost."""

    def __reduce__(self) -> tuple[object, ...]:
        return planted, ()


def planted() -> None:
    FAULTS.pop().faults.append("not sent")
    raise RuntimeError("planted")


@pytest.mark.spec("ENV-POOL-5", "RUN-7")
def test_outcome_that_may_have_been_stored_is_not_said_to_be_dropped(
    redis_url: str, make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Proxy(redis_url) as proxy,
        worq.get_broker(redis_url) as broker,
        worq.get_broker(proxy.url, retry_deadline_s=0) as through,
    ):

        @through.expose
        def lose() -> str:
            proxy.faults.append("reply lost")
            return "stored"

        pool = make_pool(through)
        pool.start()
        eventually(lambda: workers(broker))
        assert value_of(broker.queue().lose()) == "stored"
        eventually(lambda: "its outcome was stored by an earlier try, or" in caplog.text)
        pool.stop()
    assert "so the outcome is dropped" not in caplog.text


def workers(broker: Broker) -> object:
    assert broker.introspection is not None
    return broker.introspection.workers()


def eventually(happened: Callable[[], object]) -> None:
    """Wait for what nothing tells of."""
    until = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.005)
