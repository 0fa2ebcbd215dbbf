"""Pools leave signs of life on Redis."""

import os
import time
from pathlib import Path

import pytest

import worq
from worq.clock import ManualClock, MonotonicClock
from worq.core import Broker
from worq.introspection import Seen
from worq.pool.presence import CHANGE_MS, KEPT_MS, SIGN_MS, Presence
from worq.pool.thread import WorkerPool
from worq.queue.redis import TaskQueue
from worq.testing.servers import RedisServer
from worq.values import Token


def seen(broker: Broker) -> list[Seen]:
    assert broker.introspection is not None
    return broker.introspection.workers()


@pytest.mark.spec("ENV-INFO-3", "ENV-INFO-4")
def test_a_pool_is_seen_from_its_start_to_its_end(redis_url: str) -> None:
    with worq.get_broker(redis_url) as broker:
        with WorkerPool(broker, workers=2, name="mine"):
            while not (found := seen(broker)):
                pass
            (sign, age_ms), *others = found
            assert others == []
            assert (sign.name, sign.pid, sign.workers) == ("mine", os.getpid(), 2)
            assert 0 <= age_ms < KEPT_MS
        assert seen(broker) == []


@pytest.mark.spec("ENV-INFO-3")
def test_it_shows_what_it_runs_a_second_after_its_last_sign(redis_url: str, tmp_path: Path) -> None:
    clock = ManualClock()
    os.mkfifo(gate := tmp_path / "gate")
    queue = TaskQueue(redis_url, clock=clock)
    broker = Broker(queue)
    broker.expose(Path.read_text, replace=True)
    with WorkerPool(broker, drain_timeout=float("inf")):
        while not seen(broker):
            pass
        held = worq.Task(broker.queue().read_text, id="held")(gate)
        while broker.status(held) != "processing":
            pass
        clock.advance(CHANGE_MS - 1)
        assert [each.sign.tasks for each in seen(broker)] == [()]
        clock.advance(1)
        while not (found := seen(broker)[0].sign).tasks:
            pass
        assert found.tasks == ("held",)
        assert found.running_ms == CHANGE_MS
        clock.advance(SIGN_MS - 1)
        assert seen(broker)[0].sign.running_ms == CHANGE_MS
        clock.advance(1)
        while seen(broker)[0].sign.running_ms < CHANGE_MS + SIGN_MS:
            pass
        gate.write_text("open")
        assert held.wait(10)
        clock.advance(CHANGE_MS)
        while seen(broker)[0].sign.tasks:
            pass
    queue.close()


@pytest.mark.spec("ENV-INFO-6")
def test_a_sign_that_cannot_be_left_is_not_tried_again_before_the_next_is_due() -> None:
    with RedisServer() as server, worq.get_broker(server.url, retry_deadline_s=60) as broker:
        presence = Presence(broker, MonotonicClock(), "mine", 1)
        presence.sign(0, [])
        server.kill()
        begun_s = time.monotonic()
        presence.sign(1_000, [])
        presence.leave()
        assert time.monotonic() - begun_s < 30
    assert presence.due_ms == 1_000 + SIGN_MS
    assert not presence.is_due(SIGN_MS, {Token.new()})
    assert presence.is_due(1_000 + SIGN_MS, ())


def test_where_no_signs_are_kept_none_is_due() -> None:
    with worq.get_broker("memory://") as broker:
        assert Presence(broker, MonotonicClock(), "mine", 1).due_ms is None
