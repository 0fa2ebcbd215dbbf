"""A worker with a signed serializer among hostile messages runs every good task, and none of the others."""

import logging
import pickle
import random
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.backends.brokers import call
from tests.backends.calls import PATIENCE_S
from tests.backends.conftest import MakeQueue
from tests.pool import tasks
from tests.stateful.profile import by_profile
from tests.unit.hostile import EXECUTED, bomb
from worq import Broker, TaskFailure, get_broker
from worq.backend import AbstractTaskQueue
from worq.pool import process, thread
from worq.pool.process import WorkerInitError
from worq.serializer import SECRET, Json, Pickle, Signed
from worq.values import Request

if TYPE_CHECKING:
    from collections.abc import Callable

KEY, OTHER_KEY = b"the-key-of-tests", b"some other key.."
HOSTILE = by_profile(dev=1_000, ci=10_000, deep=10_000)
GOOD_EVERY = 10
RAN: list[object] = []


def run(value: object) -> object:
    RAN.append(value)
    return value


class Thief:
    """Has seen good messages of this queue and of another one, and makes bad ones of them."""

    def __init__(self, queue: AbstractTaskQueue, elsewhere: AbstractTaskQueue, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a test's
        self._signed = self._stolen(Broker(queue, serializer=Signed(keys=KEY)))
        self._elsewhere = self._stolen(Broker(elsewhere, serializer=Signed(keys=KEY)))
        self._forged = self._stolen(Broker(queue, serializer=Signed(keys=OTHER_KEY)))
        self._unsigned = self._stolen(Broker(queue, serializer=Pickle()))
        self._makes: list[Callable[[], bytes]] = [
            bomb,
            lambda: bomb(protocol=self._random.randrange(6)),
            lambda: self._unsigned,
            lambda: self._forged,
            lambda: self._signed,  # of another id
            lambda: self._elsewhere,
            lambda: self._signed[:65] + bomb(),
            lambda: self._flipped(self._signed),
            lambda: self._signed[: self._random.randrange(len(self._signed))],
            lambda: self._random.randbytes(self._random.randrange(200)),
            lambda: Json().dumps([1, "run", {}], lambda _: None),
            lambda: pickle.dumps("x" * 20_000),
            lambda: b"worqsig\x01T" * 100,
        ]

    @staticmethod
    def _stolen(broker: Broker) -> bytes:
        queue = broker._queue  # noqa: SLF001 - to attack it
        call(broker.queue().run, "z", "stolen")
        claim = queue.claim(0)
        assert claim is not None
        queue.discard("z")
        return claim.message

    def _flipped(self, message: bytes) -> bytes:
        altered = bytearray(message)
        altered[self._random.randrange(len(altered))] ^= 1 << self._random.randrange(8)
        return bytes(altered)

    def message(self) -> bytes:
        return self._random.choice(self._makes)()


@pytest.mark.spec("ENV-SER-6")
def test_a_worker_runs_every_good_task_and_none_of_the_hostile(
    queue: AbstractTaskQueue, make_queue: MakeQueue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    EXECUTED.clear()
    RAN.clear()
    thief = Thief(queue, make_queue(clock=queue.clock), seed=7)
    broker = Broker(queue, serializer=Signed(keys=KEY))
    broker.expose(run)
    good = []
    for number in range(HOSTILE):
        assert queue.submit(Request(f"x{number}"), thief.message()).status == "accepted"
        if number % GOOD_EVERY == 0:
            good.append(broker.queue().run(number))
    with thread.WorkerPool(broker, workers=2):
        for number, deferred in enumerate(good):
            assert deferred.wait(PATIENCE_S)
            assert deferred.value == number * GOOD_EVERY
        for number in range(HOSTILE):
            failure = broker.pop_result(broker.deferred(f"x{number}"), PATIENCE_S)
            assert isinstance(failure, TaskFailure)
            assert "message cannot be read: MessageRefused: it " in str(failure)
    assert sorted(RAN, key=repr) == sorted(range(0, HOSTILE, GOOD_EVERY), key=repr)
    assert EXECUTED == []
    assert broker.refused == HOSTILE


# Pools of processes: the name of the serializer goes to the workers with the URL, the keys with the environment.


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(SECRET, KEY.decode())
    return f"test-{uuid4().hex}"


@pytest.mark.spec("ENV-SER-7", "ENV-SER-6")
def test_the_workers_of_a_pool_have_its_serializer(redis_url: str, name: str) -> None:
    EXECUTED.clear()
    with get_broker(redis_url, name, serializer="signed+json") as broker:
        q = broker.queue()
        with process.WorkerPool(broker, tasks.init_connected, (name,), workers=1):
            first = call(q.give, "a", {"k": [1, b"\xff"]})
            second = call(q.give, "c", [first])
            broker._queue.submit(Request("x"), bomb())  # noqa: SLF001 - to attack it
            no_data = call(q.lock, "d")
            failed = call(q.fail, "e", "no")
            assert second.wait(PATIENCE_S)
            assert second.value == [{"k": [1, b"\xff"]}]
            for deferred, error in {
                broker.deferred("x"): "message cannot be read: MessageRefused: it is not signed",
                no_data: "result cannot be serialized: NotPlain: .*it is a lock",
                failed: "ValueError: no",
            }.items():
                assert deferred.wait(PATIENCE_S)
                with pytest.raises(TaskFailure, match=error):
                    _ = deferred.value
        assert broker.refused == 1  # by the pool's own process, which looks at each task first


@pytest.mark.spec("ENV-SER-7", "ENV-SER-5", "ENV-POOL-9")
def test_workers_without_a_key_do_not_start(
    redis_url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SECRET)
    with get_broker(redis_url, name, serializer=Signed(Json(), KEY)) as broker:
        pool = process.WorkerPool(broker, tasks.init_connected, (name,), workers=1)
        with pytest.raises(WorkerInitError, match="keys: to sign needs some, and WORQ_SECRET has"):
            pool.start()


@pytest.mark.spec("ENV-POOL-8")
def test_a_worker_with_another_serializer_does_not_start(name: str) -> None:
    with get_broker("memory://", name, serializer="json") as broker:
        pool = process.WorkerPool(broker, tasks.init, (name,), workers=1)  # heeds no URL
        with pytest.raises(
            WorkerInitError, match="the pool's serializer, 'json', is needed, not 'pickle'"
        ):
            pool.start()
