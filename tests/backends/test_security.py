"""What somebody can do, and can't, who may write to the server of a queue: docs/security.md."""

import logging
from collections.abc import Callable

import pytest

from tests.backends.brokers import TASKS, call, take, work
from tests.backends.conftest import MakeQueue
from tests.unit.hostile import EXECUTED, bomb
from worq import Broker, Deferred, MessageRefused, Task, TaskExpired, TaskFailure
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.serializer import Json, MsgPack, Pickle, Serializer, Signed
from worq.values import Outcome, Request, Token

KEY, OTHER_KEY = b"the key of tests", b"some other key.."
RAN: list[object] = []

UNSIGNED = "it is not signed"
MOVED = "it was altered, or belongs to another task or queue"


def record(value: object) -> object:
    RAN.append(value)
    return value


def broker_with(queue: AbstractTaskQueue, serializer: Serializer) -> Broker:
    broker = Broker(queue, serializer=serializer)
    broker.expose(TASKS)
    broker.expose(record)
    return broker


@pytest.fixture(params=[Pickle, Json, MsgPack])
def signed(request: pytest.FixtureRequest) -> Signed:
    return Signed(request.param(), KEY)


@pytest.fixture
def broker(queue: AbstractTaskQueue, signed: Signed) -> Broker:
    EXECUTED.clear()
    RAN.clear()
    return broker_with(queue, signed)


@pytest.fixture
def forger(broker: Broker) -> Broker:
    """Somebody with another key, on the same queue."""
    return broker_with(broker._queue, Signed(broker._serializer.serializer, OTHER_KEY))  # type: ignore[attr-defined]  # noqa: SLF001 - to attack it


def seized(queue: AbstractTaskQueue, call: Callable[[], object]) -> tuple[bytes, Token]:
    """The message of a task that is called, and its token; the task is gone."""
    call()
    claim = queue.claim(0)
    assert claim is not None
    queue.discard(claim.id)
    return claim.message, claim.token


def outcome_of(queue: AbstractTaskQueue, broker: Broker, task_id: str, value: object) -> bytes:
    """The message of what a task of that id has returned; it is gone."""
    call(broker.queue().give, task_id, value)
    assert work(broker) == 1
    outcome = queue.pop(task_id, 0)
    assert outcome is not None
    return outcome.message  # type: ignore[union-attr, return-value]


# Tasks.

Attack = Callable[[AbstractTaskQueue, Broker, Broker], bytes]
"""The message that is put into the queue as the task `x`."""

ATTACKS: dict[str, tuple[Attack, str]] = {
    "a pickle that runs code": (lambda queue, broker, forger: bomb(), UNSIGNED),
    "nothing": (lambda queue, broker, forger: b"", UNSIGNED),
    "what is not signed": (
        lambda queue, broker, forger: seized(
            queue, lambda: broker_with(queue, Json()).queue().record(1)
        )[0],
        UNSIGNED,
    ),
    "what another key has signed": (
        lambda queue, broker, forger: seized(queue, lambda: forger.queue().record(1))[0],
        "it is signed by an unknown key",
    ),
    "what was altered": (
        lambda queue, broker, forger: (
            seized(queue, lambda: call(broker.queue().record, "x", 1))[0][:-1] + b"x"
        ),
        MOVED,
    ),
    "a task of another id": (
        lambda queue, broker, forger: seized(queue, lambda: broker.queue().record(1))[0],
        MOVED,
    ),
    "an earlier task of that id": (
        lambda queue, broker, forger: seized(queue, lambda: call(broker.queue().record, "x", 1))[0],
        "it belongs to another task that had this id",
    ),
    "the result of that id": (
        lambda queue, broker, forger: outcome_of(queue, broker, "x", [1, "record", {}]),
        "it is of the kind result, not task",
    ),
    "what Broker.serialize gives": (
        lambda queue, broker, forger: broker.serialize([1, "record"]),
        MOVED,
    ),
}


@pytest.mark.spec("ENV-SER-6")
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_task_that_was_forged_fails_and_nothing_runs(
    attack: str,
    queue: AbstractTaskQueue,
    broker: Broker,
    forger: Broker,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make, reason = ATTACKS[attack]
    queue.submit(Request("x"), make(queue, broker, forger))
    caplog.clear()
    assert broker.refused == 0
    assert broker.next_task(0) is None
    failure = broker.pop_result(broker.deferred("x", "?"))
    assert str(failure) == f"? [{queue.name}:x] message cannot be read: MessageRefused: {reason}"
    assert (RAN, EXECUTED, broker.refused) == ([], [], 1)
    (record,) = caplog.records
    assert record.getMessage() == f"not started, the 1. that was refused: {failure}"
    assert (record.name, record.levelno) == ("worq.core", logging.ERROR)


@pytest.mark.spec("ENV-SER-6")
def test_a_task_of_another_queue_is_refused(
    broker: Broker, make_queue: MakeQueue, clock: ManualClock
) -> None:
    there = make_queue(clock=clock)
    message, token = seized(there, lambda: call(_like(broker, there).queue().record, "x", 1))
    broker._queue.submit(Request("x", token), message)  # noqa: SLF001 - to attack it
    assert broker.next_task(0) is None
    assert MOVED in str(broker.pop_result(broker.deferred("x")))
    assert RAN == []


def _like(broker: Broker, queue: AbstractTaskQueue) -> Broker:
    return broker_with(queue, broker._serializer)  # noqa: SLF001 - a worker with the same keys


@pytest.mark.spec("ENV-SER-6", "ENV-BAD-3")
def test_a_message_over_the_limit_of_its_reader_is_refused(
    broker: Broker, make_queue: MakeQueue, clock: ManualClock
) -> None:
    queue = broker._queue  # noqa: SLF001 - a worker on the same queue
    reader = _like(broker, make_queue(queue.name, clock, message_bytes_max=1000))
    call(broker.queue().give, "x", "x" * 1000)
    assert reader.next_task(0) is None
    with pytest.raises(TaskFailure, match=r"MessageRefused: its 1\d+ bytes are more than"):
        raise broker.pop_result(broker.deferred("x"))
    deferred = call(broker.queue().give, "y", "y" * 500)
    broker.tasks["give"] = lambda _: "z" * 1000
    assert work(broker) == 1
    late = reader.deferred(deferred.id, "give", deferred.token)
    with pytest.raises(TaskFailure, match=r"result cannot be read: MessageRefused: its 1\d+ bytes"):
        _ = late.value
    assert reader.refused == 2


# Outcomes.


@pytest.mark.spec("ENV-SER-6")
@pytest.mark.parametrize("kind", ["result", "failure"])
@pytest.mark.parametrize(
    "what", ["a bomb", "of another task", "of an earlier task", "its task", "of the other kind"]
)
def test_an_outcome_that_was_forged_is_a_failure_at_its_consumer(
    what: str, kind: str, queue: AbstractTaskQueue, broker: Broker
) -> None:
    failed = kind == "failure"
    forged: dict[str, tuple[Callable[[], bytes | None], str]] = {
        "a bomb": (bomb, UNSIGNED),
        "of another task": (lambda: _outcome(broker, "y", failed=failed), MOVED),
        "of an earlier task": (
            lambda: _outcome(broker, "x", failed=failed),
            "it belongs to another task that had this id",
        ),
        "its task": (lambda: None, "it is of the kind task, not"),
        "of the other kind": (lambda: _outcome(broker, "x", failed=not failed), "of the kind"),
    }
    make, reason = forged[what]
    message = make()
    deferred = call(broker.queue().give, "x", 1)
    claim = queue.claim(0)
    assert claim is not None
    message = claim.message if message is None else message
    queue.finish("x", message, 60, token=claim.token, failed=failed)
    with pytest.raises(TaskFailure, match=f"^give .*result cannot be read: .*{reason}"):
        _ = deferred.value
    assert (EXECUTED, broker.refused) == ([], 1)


@pytest.mark.spec("ENV-SER-6", "DEF-4")
def test_the_genuine_failure_of_another_task_is_accepted_as_an_arguments(
    queue: AbstractTaskQueue, broker: Broker
) -> None:
    """Nobody can tell that from one that has come by way of an argument; and of no third task's."""
    message = _outcome(broker, "y", failed=True)
    reasons = {"y": r"argument failed: boom \[.*:y\] ", "z": f"result cannot be read: .*{MOVED}"}
    for source_id, reason in reasons.items():
        task = Request("x")
        queue.submit(task, b"", outcome=Outcome("failure", message, source_id))
        with pytest.raises(TaskFailure, match=rf"^give \[.*:x\] {reason}"):
            _ = broker.deferred("x", "give", task.token).value
    assert broker.refused == 1


def _outcome(broker: Broker, task_id: str, *, failed: bool) -> bytes:
    queue = broker.queue()
    call(queue.boom if failed else queue.give, task_id)
    assert work(broker) == 1
    outcome = broker._queue.pop(task_id, 0)  # noqa: SLF001 - to attack it
    return outcome.message  # type: ignore[union-attr, return-value]


@pytest.mark.spec("ENV-SER-6")
@pytest.mark.parametrize("what", ["a bomb", "of another task", "of an earlier task"])
def test_an_argument_that_was_forged_fails_the_task_that_takes_it(
    what: str, queue: AbstractTaskQueue, broker: Broker
) -> None:
    forged: dict[str, Callable[[], bytes]] = {
        "a bomb": bomb,
        "of another task": lambda: _outcome(broker, "y", failed=False),
        "of an earlier task": lambda: _outcome(broker, "x", failed=False),
    }
    message = forged[what]()
    argument = call(broker.queue().give, "x", 1)
    dependent = call(broker.queue().record, "d", [argument])
    claim = queue.claim(0)
    assert claim is not None
    queue.finish("x", message, 60, token=claim.token)
    assert broker.next_task(0) is None
    with pytest.raises(TaskFailure, match=r"argument give .*:x\] cannot be read: MessageRefused: "):
        _ = dependent.value
    assert (RAN, EXECUTED, broker.refused) == ([], [], 1)


# What goes on as ever.


@pytest.mark.spec("ENV-SER-5")
def test_signed_tasks_work_as_others_do(broker: Broker, queue: AbstractTaskQueue) -> None:
    q = broker.queue()
    value, failed = call(q.give, "a", [1]), call(q.boom, "b")
    all_of_them = call(q.echo, "c", value, {"x": failed}, on_error=Task.PASS)
    ended = call(q.give, "d", call(q.boom, "e"))
    work(broker)
    ((first, second), _) = all_of_them.value
    assert first == [1]
    assert str(second["x"]) == f"boom [{queue.name}:b] ValueError: boom"
    with pytest.raises(TaskFailure, match=r"argument failed: boom \[.*:e\] ValueError: boom"):
        _ = ended.value
    again = call(q.give, "f", [all_of_them])  # by value
    with pytest.raises(TaskFailure, match=r"argument failed: boom \[.*:e\] ValueError: boom"):
        _ = call(q.give, "g", ended).value
    work(broker)
    assert again.value[0][0][0] == [1]
    assert broker.refused == 0


@pytest.mark.spec("ENV-SER-5", "ENV-API-7")
def test_who_knows_only_the_id_gets_the_result(broker: Broker) -> None:
    call(broker.queue().give, "a", 1)
    call(broker.queue().give, "b", broker.deferred("a", "give"))
    work(broker)
    assert broker.deferred("b", "give").value == 1


@pytest.mark.spec("ENV-SER-5", "ENV-SER-2")
def test_deserialize_loads_signed_arguments(broker: Broker) -> None:
    argument, failed = call(broker.queue().give, "a", [1]), call(broker.queue().boom, "b")
    message = broker.serialize([argument, failed], deferred=True)
    call(broker.queue().echo, "d", argument, failed, on_error=Task.PASS)
    broker.invoke(take(broker))
    broker.invoke(take(broker))
    value, failure = broker.deserialize(message, "d")
    assert value == [1]
    assert str(failure).endswith(":b] ValueError: boom")


@pytest.mark.parametrize("reader", [Pickle(), Json(), MsgPack()], ids=repr)
def test_who_reads_signed_messages_without_keys_is_told_why(
    reader: Serializer, queue: AbstractTaskQueue, broker: Broker
) -> None:
    other = broker_with(queue, reader)
    deferred = call(broker.queue().give, "x", 1)
    assert other.next_task(0) is None
    failure = other.pop_result(deferred)
    assert "MessageRefused: it is signed, and this reader's serializer is not" in str(failure)
    call(broker.queue().give, "y", 1)
    work(broker)
    with pytest.raises(TaskFailure, match="MessageRefused: it is signed, and this reader"):
        _ = other.deferred("y").value
    assert other.refused == 2


# What no signature prevents: docs/security.md says so.


def test_a_task_that_was_put_back_runs_again(queue: AbstractTaskQueue, broker: Broker) -> None:
    message, token = seized(queue, lambda: call(broker.queue().record, "x", 1))
    for _ in range(2):
        queue.submit(Request("x", token), message)
        assert work(broker) == 1
        queue.discard("x")
    assert RAN == [1, 1]


def test_a_task_that_was_taken_away_expires(queue: AbstractTaskQueue, broker: Broker) -> None:
    deferred = call(broker.queue().give, "x", 1)
    queue.discard("x")
    with pytest.raises(TaskExpired):
        _ = deferred.value


def test_who_knows_only_the_id_takes_the_result_of_any_task_that_had_it(
    queue: AbstractTaskQueue, broker: Broker
) -> None:
    old = outcome_of(queue, broker, "x", "old")
    call(broker.queue().give, "x", "new")
    claim = queue.claim(0)
    assert claim is not None
    queue.finish("x", old, 60, token=claim.token)
    assert broker.deferred("x").value == "old"


# Without signatures.


@pytest.mark.spec("ENV-SER-3")
def test_a_pickle_runs_code_in_workers_and_clients(queue: AbstractTaskQueue) -> None:
    EXECUTED.clear()
    broker = broker_with(queue, Pickle())
    queue.submit(Request("x"), bomb("in the worker"))
    assert broker.next_task(0) is None
    call(broker.queue().give, "y")
    queue.finish("y", bomb("in the client"), 60, token=take(broker).token)
    broker.pop_result(broker.deferred("y"))
    assert EXECUTED == ["in the worker", "in the client"]
    EXECUTED.clear()


@pytest.mark.spec("ENV-SER-4", "ENV-SER-6")
@pytest.mark.parametrize("serializer", [Json(), MsgPack()], ids=repr)
def test_data_only_runs_nothing_and_is_counted(
    serializer: Serializer, queue: AbstractTaskQueue
) -> None:
    EXECUTED.clear()
    broker = broker_with(queue, serializer)
    queue.submit(Request("x"), bomb())
    assert broker.next_task(0) is None
    assert "message cannot be read: MessageRefused: it is no " in str(
        broker.pop_result(broker.deferred("x"))
    )
    deferred: Deferred = call(broker.queue().give, "y")
    queue.finish("y", bomb(), 60, token=take(broker).token)
    with pytest.raises(TaskFailure, match="result cannot be read: MessageRefused: it is no "):
        _ = deferred.value
    assert (EXECUTED, broker.refused) == ([], 2)
    with pytest.raises(MessageRefused):
        broker.deserialize(bomb())
    with broker.clone() as clone, broker.clone(name="other") as other:
        assert (clone.refused, other.refused) == (3, 0)
