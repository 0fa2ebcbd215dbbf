"""The broker's own business: what it exposes, owns, opens and shows."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import worq
from worq import Broker, QueueClosed, TaskSpace
from worq.clock import ManualClock, MonotonicClock
from worq.core import AbstractTaskQueue
from worq.messages import Address, Codec, read_outcome, write_outcome
from worq.queue.memory import TaskQueue
from worq.queue.memory.stores import STORES
from worq.serializer import Json, Pickle, Serializer, Signed
from worq.task import FunctionTask, TaskFailure
from worq.values import Outcome, Token

URL = "memory://unit"


@pytest.fixture
def broker() -> Iterator[Broker]:
    with worq.get_broker(URL) as broker:
        yield broker
        broker.discard_pending_tasks()


def stores() -> set[tuple[str, str]]:
    return {key for key in STORES.held() if key[0] == URL}


# Exposing.


def double(x: int) -> int:
    return 2 * x


@pytest.mark.spec("ENV-API-4")
def test_expose_is_a_decorator(broker: Broker) -> None:
    assert broker.expose(double) is double
    assert broker.tasks == {"double": double}


@pytest.mark.spec("ENV-API-4")
def test_expose_takes_a_task_space(broker: Broker) -> None:
    space = TaskSpace("foo")
    space.task(double)
    assert broker.expose(space) is space
    assert broker.tasks == {"foo.double": double}


@pytest.mark.spec("ENV-API-4")
def test_expose_adds_all_of_a_task_space_or_nothing(broker: Broker) -> None:
    space = TaskSpace()
    space.task(print, "aardvark")
    space.task(print, "double")
    space.task(print, "zebra")
    broker.expose(double)
    with pytest.raises(ValueError, match="obj: already exposed: double; replace=True"):
        broker.expose(space)
    assert broker.tasks == {"double": double}


@pytest.mark.spec("ENV-API-4")
def test_expose_replaces_when_told_to(broker: Broker) -> None:
    space = TaskSpace()
    space.task(print, "double")
    broker.expose(double)
    broker.expose(space, replace=True)
    assert broker.tasks == {"double": print}


@pytest.mark.parametrize(("obj", "error"), [(5, TypeError), (lambda: None, ValueError)])
def test_what_has_no_name_to_call_it_by_is_not_exposed(
    broker: Broker, obj: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        broker.expose(obj)
    assert broker.tasks == {}


# Ownership.


@pytest.mark.spec("ENV-API-8")
def test_broker_closes_what_get_broker_opened(broker: Broker) -> None:
    other = worq.get_broker(URL)
    with other as entered:
        assert entered is other
    other.close()
    with pytest.raises(QueueClosed):
        len(other)
    assert len(broker) == 0


@pytest.mark.spec("ENV-API-8")
def test_broker_leaves_a_queue_object_open_that_is_not_its_own() -> None:
    queue = TaskQueue(URL, "q")
    with Broker(queue):
        pass
    assert queue.size() == 0
    queue.close()


@pytest.mark.spec("ENV-API-8")
def test_store_outlives_its_brokers_while_it_holds_a_task() -> None:
    with worq.get_broker(URL, "q") as one:
        one.queue().f(1)
    assert (URL, "q") in stores()
    with worq.get_broker(URL, "q") as two:
        assert len(two) == 1
        two.discard_pending_tasks()
    assert (URL, "q") not in stores()


@pytest.mark.spec("ENV-API-8")
def test_dropping_deferreds_queues_and_brokers_loses_nothing() -> None:
    queue = worq.get_queue(URL, "q")
    deferred = queue.f(1)
    del deferred, queue
    with worq.get_broker(URL, "q") as broker:
        broker.expose(double)
        assert len(broker) == 1
        broker.discard_pending_tasks()


def test_clone_has_the_tasks_and_a_queue_object_of_its_own(broker: Broker) -> None:
    clone = broker.clone()
    broker.expose(double)
    assert clone.tasks == {"double": double}
    broker.queue().f()
    assert len(clone) == 1
    clone.close()
    assert len(broker) == 1


def test_clone_of_a_broker_that_was_given_its_queue_is_opened_like_it() -> None:
    clock = ManualClock()
    queue = TaskQueue(URL, "q", clock=clock, message_bytes_max=1000)
    serializer = Pickle(2)
    clone = Broker(queue, serializer=serializer).clone()
    assert (clone.url, clone.name, clone.clock) == (URL, "q", clock)
    with pytest.raises(ValueError, match="message_bytes_max, 1000"):
        clone.queue().f("x" * 1001)
    clone.close()
    assert queue.size() == 0
    queue.close()


def test_broker_reads_the_time_of_its_queue(broker: Broker) -> None:
    assert isinstance(broker.clock, MonotonicClock)


def test_abstract_task_queue_is_where_the_reference_has_it() -> None:
    assert issubclass(TaskQueue, AbstractTaskQueue)


def test_broker_shows_its_queue_without_the_password(broker: Broker) -> None:
    assert repr(broker) == "<Broker memory://unit [default]>"
    assert (broker.url, broker.name) == (URL, "default")


@pytest.mark.spec("BRK-3")
def test_empty_broker_is_true(broker: Broker) -> None:
    assert len(broker) == 0
    assert bool(broker) is True


# Handles of tasks that were submitted elsewhere.


@pytest.mark.spec("ENV-API-7", "ENV-BAD-1", "ENV-BAD-5")
@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        ((5,), TypeError, "task_id: a string is needed, not 5"),
        (("",), ValueError, "task_id: a name must not be empty"),
        (("a", 5), TypeError, "name: a string is needed, not 5"),
        (("a", "f", b"token"), TypeError, "token: a Token is needed, not b'token'"),
    ],
)
def test_handle_is_checked(
    broker: Broker, args: tuple[Any, ...], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        broker.deferred(*args)


@pytest.mark.spec("ENV-API-7")
def test_handle_has_what_it_was_given(broker: Broker) -> None:
    token = Token.new()
    deferred = broker.deferred("a", "f", token)
    assert (deferred.id, deferred.name, deferred.token) == ("a", "f", token)
    assert repr(broker.deferred("a", "f")) == "<Deferred f [default:a] incomplete>"


@pytest.mark.spec("ENV-API-6")
def test_deferred_of_memory_is_of_no_use_in_another_process(broker: Broker) -> None:
    held = broker.deferred("gone", "g")
    held.wait(0)
    pickled = pickle.dumps([broker.deferred("a", "f"), held])
    code = (
        "import pickle, worq\n"
        f"unheld, held = pickle.loads({pickled!r})\n"
        "print(held.status, repr(held), repr(unheld), unheld.has_value())\n"
        "with worq.get_broker('memory://unit') as broker:\n"
        "    for act in (unheld.wait, unheld.bind, broker.queue().f):\n"
        "        try:\n            act(broker if act == unheld.bind else unheld if act != unheld.wait else 0)\n"
        "        except ValueError as error:\n            print(error)\n"
        "    print(len(broker))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    refused = "url: 'memory://unit' [default] is in the memory of another process"
    assert done.stdout.splitlines() == [
        "failed <Deferred g [default:gone] failed> <Deferred f [default:a] incomplete> False",
        *[refused] * 3,
        "0",
    ], done.stderr


# Failures always fit.

TASK = FunctionTask("f", "a", Token.new(), (), {})


@pytest.mark.spec("RUN-4")
@pytest.mark.parametrize("bytes_max", [0, 10, 150, 500, 2_000, 20_000, 100_000])
@pytest.mark.parametrize("serializer", [Pickle(), Json(), Signed(keys="k" * 16)], ids=repr)
def test_failure_is_shortened_until_it_fits(serializer: Serializer, bytes_max: int) -> None:
    failure = TaskFailure("f", "q", "a", "ValueError: " + "x" * 50_000)
    message, failed = write_outcome(Codec(serializer, "q", bytes_max), failure, TASK)
    assert failed
    assert len(message) <= bytes_max


@pytest.mark.spec("RUN-4")
def test_shortened_failure_still_says_what_it_is() -> None:
    failure = TaskFailure("f", "q", "a", "ValueError: " + "x" * 50_000)
    codec = Codec(Pickle(), "q", 2_000)
    message, _ = write_outcome(codec, failure, TASK)
    held = read_outcome(codec, Outcome("failure", message), Address("f", "q", "a"), TASK.token)
    assert str(held.failure).startswith("f [q:a] ValueError: xxxx")
    assert str(held.failure).endswith("... (49012 more characters)")
