import threading, time, logging
from typing import Any
import pytest
from tests.pool.conftest import *
from tests.pool.test_hand import Held, doubling, held, has_two_starts
from tests.pool.test_next_claim import deferreds_of
from tests.pool.test_thread import LOST
from tests.pool.gates import ThreadGate, value_of
from tests.backends.brokers import call
from worq import wait


@pytest.mark.spec("ENV-POOL-29", "ENV-POOL-3")
def test_stop_in_outage(held, queue, caplog):
    held.troubles["_release"] = [LOST]
    held.pool.stop(join=False)
    held.gate.opened.set()
    held.pool.join()
    print(
        "states",
        held.states(held.waiting),
        [c for c in held.calls if c[0] == "_release"],
        caplog.text,
    )
    assert held.states(held.waiting) == ["enqueued"] * 2


READING = threading.Event()
GO = threading.Event()
STARTS = []


def slow_read():
    READING.set()
    GO.wait(10)
    return "slow"


class Slow:
    def __reduce__(self):
        return slow_read, ()


@pytest.mark.spec("ENV-POOL-28", "ENV-POOL-23")
def test_abort_while_reading(queue, plant, make_pool, doubling, caplog):
    READING.clear()
    GO.clear()
    STARTS.clear()
    broker = plant(queue)

    def note(x):
        STARTS.append((x, queue.status("s")))

    broker.expose(note)
    d = deferreds_of(broker, "a", attempts=2)
    q = broker.queue()
    one = call(q.give, "b", "b", attempts=2)
    s = call(q.note, "s", Slow(), attempts=2)
    pool = make_pool(broker)
    pool.start()
    assert READING.wait(10)
    print("state while reading", queue.status("s"))
    pool.abort()
    for _ in range(200):
        if not pool._shift.is_running() if hasattr(pool, "_shift") else False:
            break
        time.sleep(0.01)
    print("state after abort", queue.status("s"))
    c = queue.claim(0)
    print("claimed by another", c and c.token)
    GO.set()
    pool.join()
    time.sleep(0.3)
    print("STARTS", STARTS, caplog.text)
    assert STARTS == []


import os, signal
from tests.pool.test_process import (
    make_pool as make_process_pool,
    memory,
    value_of as pvalue_of,
    eventually,
    gate,
)
from tests.pool.test_process import tasks as ptasks


@pytest.mark.spec("ENV-POOL-28", "ENV-POOL-11")
@pytest.mark.parametrize("how", ["assigned", "waiting"])
def test_not_begun_at_abort_costs_a_start(memory, make_process_pool, gate, caplog, how, tmp_path):
    broker = memory
    obstacle = tmp_path / "obstacle"
    pool = make_process_pool(broker, 1, ptasks.init_unless, obstacle)
    pool.start()
    before = pvalue_of(call(broker.queue().pid, "a"))
    os.kill(before, signal.SIGSTOP)
    handed = call(broker.queue().pid, "b", attempts=2)
    assert eventually(lambda: handed.status == "processing")
    if how == "waiting":
        obstacle.touch()
        os.kill(before, signal.SIGKILL)
        assert eventually(lambda: pool._crew._desk.has_waiting)
    pool.abort()
    pool.join()
    print("status", handed.status, caplog.text)
    c = broker._queue.claim(0)
    broker._queue.release("b", token=c.token)
    assert handed.status == "enqueued"  # one start was left besides this one
