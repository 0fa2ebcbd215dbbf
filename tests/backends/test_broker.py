"""Calling and running tasks, by way of a broker: SPEC.md, section 8."""

import base64
import copy
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.backends.brokers import boom, broker_of, call, echo, give, take, work
from tests.backends.conftest import MakeQueue
from worq import Broker, Deferred, DuplicateTask, Task, TaskExpired, TaskFailure, TaskSpace
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.const import RESERVED, TASK_EXPIRED
from worq.serializer import Decode, Encode
from worq.values import Outcome, Request, Token

GARBAGE = b"\x00 nobody can read this"


@pytest.fixture
def broker(queue: AbstractTaskQueue) -> Broker:
    return broker_of(queue)


@pytest.fixture
def other(make_queue: MakeQueue, clock: ManualClock) -> Broker:
    return broker_of(make_queue(clock=clock))


@dataclass
class Box:
    content: Any


# Calling.


@pytest.mark.spec("CALL-6")
def test_accepted_call_returns_a_deferred(broker: Broker) -> None:
    deferred = Task(broker.queue().echo, id="a")(1, key=None)
    assert isinstance(deferred, Deferred)
    assert (deferred.id, deferred.name) == ("a", "echo")
    assert deferred.token is not None
    work(broker)
    assert deferred.value == ((1,), {"key": None})


@pytest.mark.spec("CALL-6")
def test_accepted_call_with_ignore_result_returns_none(broker: Broker) -> None:
    assert Task(broker.queue().echo, id="a", ignore_result=True)(1) is None
    assert work(broker) == 1


@pytest.mark.spec("CALL-1")
def test_value_that_was_fetched_is_passed_by_value_to_any_queue(
    broker: Broker, other: Broker
) -> None:
    deferred = call(broker.queue().give, "a", [1])
    work(broker)
    assert deferred.wait(0)
    result = call(other.queue().echo, "b", deferred, {"again": deferred})
    work(other)
    assert result.value == (([1], {"again": [1]}), {})
    assert deferred.value == [1]


@pytest.mark.spec("CALL-2")
def test_unfetched_deferred_of_another_queue_is_refused(broker: Broker, other: Broker) -> None:
    deferred = call(broker.queue().give, "a", 1)
    with pytest.raises(TaskFailure) as caught:
        other.queue().echo(deferred)
    assert str(caught.value) == (
        f"give [{broker.name}:a] result is not available: "
        f"it belongs to {deferred.home.url} [{broker.name}], fetch it first"
    )
    assert (len(broker), len(other)) == (1, 0)
    work(broker)
    assert deferred.value == 1


@pytest.mark.spec("CALL-2")
def test_of_several_foreign_deferreds_the_first_id_is_named(broker: Broker, other: Broker) -> None:
    b, a = call(broker.queue().give, "b"), call(broker.queue().give, "a")
    with pytest.raises(TaskFailure, match=":a] result is not available"):
        other.queue().echo(b, [a])


@pytest.mark.spec("CALL-2")
def test_deferred_of_another_queue_object_of_the_same_queue_is_accepted(
    broker: Broker, make_queue: MakeQueue, clock: ManualClock
) -> None:
    twin = broker_of(make_queue(broker.name, clock))
    argument = call(twin.queue().give, "a", 1)
    result = call(broker.queue().echo, "b", argument)
    work(broker)
    assert result.value == ((1,), {})


@pytest.mark.spec("CALL-3")
def test_fetched_failure_is_passed_on_with_on_error_pass(broker: Broker, other: Broker) -> None:
    failed = call(broker.queue().boom, "a")
    work(broker)
    assert failed.wait(0)
    result = call(other.queue().echo, "b", failed, on_error=Task.PASS)
    work(other)
    ((failure,), _) = result.value
    assert type(failure) is TaskFailure
    assert str(failure) == f"boom [{broker.name}:a] ValueError: boom"


@pytest.mark.spec("CALL-3")
def test_fetched_expiry_is_passed_on_with_on_error_pass(broker: Broker) -> None:
    gone = broker.deferred("a", "gone")
    assert gone.wait(0)
    result = call(broker.queue().echo, "b", gone, on_error=Task.PASS)
    work(broker)
    ((failure,), _) = result.value
    assert type(failure) is TaskExpired
    assert str(failure) == f"gone [{broker.name}:a] task expired"


@pytest.mark.spec("CALL-3", "DEF-4")
def test_fetched_failure_ends_the_task_without_a_worker(broker: Broker) -> None:
    failed = call(broker.queue().boom, "a")
    work(broker)
    assert failed.wait(0)
    result = call(broker.queue().echo, "b", [failed])
    assert result.status == "failed"
    with pytest.raises(TaskFailure) as caught:
        _ = result.value
    assert caught.value.task_name == "echo"
    assert caught.value.task_id == "b"
    assert f"boom [{broker.name}:a] ValueError: boom" in caught.value.error


@pytest.mark.spec("CALL-3", "DEF-5")
def test_fetched_expiry_ends_the_task_with_an_expiry(broker: Broker) -> None:
    gone = broker.deferred("a", "gone")
    assert gone.wait(0)
    result = call(broker.queue().echo, "b", gone)
    assert broker.status(result) is None
    with pytest.raises(TaskExpired, match=":b] task expired"):
        _ = result.value


@pytest.mark.spec("CALL-3")
def test_of_several_failures_the_first_id_ends_the_task(broker: Broker) -> None:
    c, b = call(broker.queue().boom, "c", "of c"), call(broker.queue().boom, "b", "of b")
    work(broker)
    assert [c.wait(0), b.wait(0)] == [True, True]
    result = call(broker.queue().echo, "a", c, b)
    with pytest.raises(TaskFailure, match="of b"):
        _ = result.value


@pytest.mark.spec("CALL-3", "OUT-3")
def test_failure_is_the_same_whether_its_argument_was_fetched_or_not(
    broker: Broker, queue: AbstractTaskQueue
) -> None:
    first = call(broker.queue().boom, "a")
    second = call(broker.queue().give, "b", first)
    work(broker)
    assert second.wait(0)
    third = call(broker.queue().give, "c", second)
    with pytest.raises(TaskFailure) as caught:
        _ = third.value
    assert str(caught.value.__cause__) == f"boom [{broker.name}:a] ValueError: boom"
    assert caught.value.error.count("boom [") == 1
    call(broker.queue().give, "d", second)
    outcome = queue.pop("d")
    assert isinstance(outcome, Outcome)
    assert outcome.source_id == "a"


@pytest.mark.spec("CALL-3")
def test_fetched_failure_leaves_the_other_arguments_alone(broker: Broker) -> None:
    failed, fine = call(broker.queue().boom, "a"), call(broker.queue().give, "b", 1)
    work(broker)
    assert failed.wait(0)
    ended = call(broker.queue().echo, "c", failed, fine)
    assert fine.value == 1
    assert ended.wait(0)


@pytest.mark.spec("CALL-3", "CALL-7")
def test_task_of_no_result_that_ends_at_its_call_with_what_was_fetched_is_logged(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    gone = broker.deferred("a", "gone")
    gone.wait(0)
    assert Task(broker.queue().echo, id="b", ignore_result=True)(gone) is None
    assert work(broker) == 0
    assert f"echo [{broker.name}:b] task expired" in caplog.text


@pytest.mark.spec("CALL-7")
def test_task_of_no_result_that_ends_at_its_call_with_a_failure_in_the_queue_is_logged(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    failed = call(broker.queue().boom, "a")
    work(broker)
    caplog.clear()
    assert Task(broker.queue().echo, id="b", ignore_result=True)(failed) is None
    name = broker.name
    assert f"echo [{name}:b] argument failed: boom [{name}:a] ValueError: boom" in caplog.text


@pytest.mark.spec("CALL-7")
def test_task_of_no_result_that_goes_to_a_worker_is_not_logged(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    Task(broker.queue().echo, id="b", ignore_result=True)(1)
    assert caplog.text == ""


@pytest.mark.spec("CALL-4")
def test_id_that_is_there_is_a_duplicate(broker: Broker) -> None:
    call(broker.queue().give, "a", 1)
    argument = call(broker.queue().give, "b")
    with pytest.raises(DuplicateTask) as caught:
        call(broker.queue().echo, "a", argument)
    assert (caught.value.task_name, caught.value.queue) == ("echo", broker.name)
    assert caught.value.task_id == "a"
    assert (broker.status(argument), len(broker)) == ("enqueued", 2)


@pytest.mark.spec("CALL-4", "CALL-5")
def test_duplicate_comes_before_unavailable(broker: Broker) -> None:
    old = call(broker.queue().give, "a")
    broker.task_failed(old)
    new = call(broker.queue().give, "a")
    call(broker.queue().give, "b")
    with pytest.raises(DuplicateTask):
        call(broker.queue().echo, "b", broker.deferred("gone"), old, new)


@pytest.mark.spec("CALL-5")
def test_argument_that_is_gone_is_not_available(broker: Broker) -> None:
    gone = call(broker.queue().give, "b", 1)
    there = call(broker.queue().give, "c", 2)
    broker.task_failed(gone)
    with pytest.raises(TaskFailure) as caught:
        call(broker.queue().echo, "a", there, gone)
    assert type(caught.value) is TaskFailure
    assert str(caught.value) == f"give [{broker.name}:b] result is not available"
    assert (broker.status(there), len(broker)) == ("enqueued", 1)


@pytest.mark.spec("CALL-5")
def test_argument_of_another_task_is_not_available(broker: Broker) -> None:
    argument = call(broker.queue().give, "a")
    first = call(broker.queue().echo, "b", argument)
    with pytest.raises(TaskFailure) as caught:
        call(broker.queue().echo, "c", argument)
    assert str(caught.value) == (
        f"give [{broker.name}:a] result is not available: "
        f"it was passed to echo [{broker.name}:b] already"
    )
    with pytest.raises(TaskFailure, match=r":a] result is not available$"):
        call(broker.queue().echo, "c", copy.copy(argument))
    assert not argument.wait(0)
    work(broker)
    assert first.value == ((None,), {})


@pytest.mark.spec("CALL-5")
def test_task_with_ignore_result_is_no_argument(broker: Broker) -> None:
    Task(broker.queue().give, id="a", ignore_result=True)()
    with pytest.raises(TaskFailure, match=":a] result is not available"):
        call(broker.queue().echo, "b", broker.deferred("a"))


@pytest.mark.spec("CALL-5")
@pytest.mark.parametrize("turn", [1, -1])
def test_two_incarnations_of_one_id_are_not_available(broker: Broker, turn: int) -> None:
    old = call(broker.queue().give, "a")
    broker.task_failed(old)
    new = call(broker.queue().give, "a", 1)
    with pytest.raises(TaskFailure, match=":a] result is not available"):
        call(broker.queue().echo, "b", *[old, new][::turn])
    assert broker.status(new) == "enqueued"
    work(broker)
    assert new.value == 1


@pytest.mark.spec("CALL-5")
def test_handle_of_an_earlier_incarnation_is_not_available(broker: Broker) -> None:
    old = call(broker.queue().give, "a")
    broker.task_failed(old)
    call(broker.queue().give, "a")
    with pytest.raises(TaskFailure, match=":a] result is not available"):
        call(broker.queue().echo, "b", old)


PLACES: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda x: (x, 1),
    "list": lambda x: [[x]],
    "dict": lambda x: {"k": {"l": x}},
    "dataclass": Box,
    "twice": lambda x: [x, x],
}


@pytest.mark.spec("CALL-1")
@pytest.mark.parametrize("place", PLACES)
def test_deferred_becomes_its_value_wherever_it_is(broker: Broker, place: str) -> None:
    argument = call(broker.queue().give, "a", "v")
    result = call(broker.queue().echo, "b", PLACES[place](argument))
    assert broker.status(result) == "pending"
    work(broker)
    assert result.value == ((PLACES[place]("v"),), {})


def test_deferred_may_be_a_keyword_argument(broker: Broker) -> None:
    argument = call(broker.queue().give, "a", "v")
    result = Task(broker.queue().echo, id="b")(key=argument)
    work(broker)
    assert result is not None
    assert result.value == ((), {"key": "v"})


def test_two_handles_of_one_task_are_one_argument(broker: Broker) -> None:
    argument = call(broker.queue().give, "a", [1])
    result = call(broker.queue().give, "b", [argument, broker.deferred("a", "give")])
    work(broker)
    first, second = result.value
    assert first == [1]
    assert first is second


def test_argument_that_is_there_already_is_taken_at_once(broker: Broker) -> None:
    argument = call(broker.queue().give, "a", "v")
    work(broker)
    result = call(broker.queue().give, "b", argument)
    assert broker.status(result) == "enqueued"
    assert broker.status(argument) is None
    work(broker)
    assert result.value == "v"


class Explosive:
    def __reduce__(self) -> Any:
        raise ZeroDivisionError("no")


@pytest.mark.parametrize("bad", [lambda: None, Explosive()], ids=["lambda", "explosive"])
def test_arguments_that_cannot_be_serialized_change_nothing(broker: Broker, bad: Any) -> None:
    argument = call(broker.queue().give, "a", 1)
    with pytest.raises(Exception, match=r"lambda|no"):
        call(broker.queue().echo, "b", argument, bad)
    assert (broker.status(argument), len(broker)) == ("enqueued", 1)


@pytest.mark.spec("ENV-BAD-3", "ENV-BAD-5")
def test_message_over_the_limit_changes_nothing(make_queue: MakeQueue, clock: ManualClock) -> None:
    broker = broker_of(make_queue(clock=clock, message_bytes_max=500))
    argument = call(broker.queue().give, "a")
    with pytest.raises(ValueError, match=r"^message of the task 'echo': \d{3} bytes .*, 500$"):
        call(broker.queue().echo, "b", argument, "x" * 500)
    assert (broker.status(argument), len(broker)) == ("enqueued", 1)


# Running.


@pytest.mark.spec("RUN-1")
def test_what_a_task_returns_is_its_result(broker: Broker) -> None:
    deferred = call(broker.queue().give, "a", {"x": [1, (2,)]})
    work(broker)
    assert deferred.value == {"x": [1, (2,)]}


@pytest.mark.spec("RUN-1")
@pytest.mark.parametrize("value", [None, 0, "", False, []])
def test_falsy_result_is_a_result(broker: Broker, value: object) -> None:
    deferred = call(broker.queue().give, "a", value)
    work(broker)
    assert deferred.wait(0)
    assert deferred.status == "success"
    assert deferred.value == value


@pytest.mark.spec("RUN-1")
@pytest.mark.parametrize("cls", [TaskFailure, TaskExpired, DuplicateTask])
def test_failure_that_is_returned_is_the_failure(broker: Broker, cls: type[TaskFailure]) -> None:
    deferred = call(broker.queue().give, "a", cls("f", "q", "1", "it"))
    work(broker)
    assert deferred.status == "failed"
    with pytest.raises(cls, match=r"^f \[q:1\] it(\n|$)"):
        _ = deferred.value


@pytest.mark.spec("RUN-1")
def test_sentinel_that_is_returned_is_a_result(broker: Broker) -> None:
    deferred = call(broker.queue().give, "a", [TASK_EXPIRED, RESERVED])
    work(broker)
    assert deferred.value == [TASK_EXPIRED, RESERVED]


class Mute(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.spec("RUN-2")
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no"), "ValueError: no"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt("stop"), "KeyboardInterrupt: stop"),
        (GeneratorExit(), "GeneratorExit: "),
        (KeyError("k"), "KeyError: 'k'"),
        (Mute(), "Mute: (its text can't be had: ZeroDivisionError)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_whatever_a_task_raises_is_its_failure(
    broker: Broker, error: BaseException, text: str
) -> None:
    space = TaskSpace("foo")

    @space.task
    def fail() -> None:
        raise error

    broker.expose(space)
    deferred = call(broker.queue().foo.fail, "a")
    work(broker)
    with pytest.raises(TaskFailure) as caught:
        _ = deferred.value
    failure = caught.value
    assert (failure.task_name, failure.queue) == ("foo.fail", broker.name)
    assert (failure.task_id, failure.error) == ("a", text)


@pytest.mark.spec("RUN-2")
def test_wrong_arguments_are_a_failure(broker: Broker) -> None:
    deferred = call(broker.queue().give, "a", 1, 2, 3)
    work(broker)
    with pytest.raises(TaskFailure, match="TypeError: give"):
        _ = deferred.value


@pytest.mark.spec("RUN-2")
def test_failure_that_is_raised_again_is_the_cause(broker: Broker) -> None:
    @broker.expose
    def again(failure: TaskFailure) -> None:
        raise failure

    failed = call(broker.queue().boom, "a")
    deferred = call(broker.queue().again, "b", failed, on_error=Task.PASS)
    work(broker)
    with pytest.raises(TaskFailure, match=r"^again .* TaskFailure: boom .* ValueError: boom$") as e:
        _ = deferred.value
    assert str(e.value.__cause__) == f"boom [{broker.name}:a] ValueError: boom"


@pytest.mark.spec("RUN-2")
def test_failing_task_is_logged_with_its_trace(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    deferred = call(broker.queue().boom, "a")
    work(broker)
    deferred.wait(0)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("worq.core", logging.ERROR)
    assert record.exc_info is not None
    assert f"boom [{broker.name}:a] ValueError: boom" in record.getMessage()


@pytest.mark.spec("RUN-3")
def test_task_that_nobody_exposed_fails(broker: Broker) -> None:
    deferred = call(broker.queue().no.such, "a")
    work(broker)
    with pytest.raises(TaskFailure) as caught:
        _ = deferred.value
    assert str(caught.value) == f"no.such [{broker.name}:a] no such task"


@pytest.mark.spec("RUN-4")
@pytest.mark.parametrize("bad", ["lambda", "explosive", "deep"])
def test_result_that_cannot_be_serialized_is_a_failure(broker: Broker, bad: str) -> None:
    @broker.expose
    def unserializable() -> Any:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        return {"lambda": lambda: None, "explosive": Explosive(), "deep": deep}[bad]

    deferred = call(broker.queue().unserializable, "a")
    work(broker)
    with pytest.raises(TaskFailure, match=r":a\] result cannot be serialized: \w+: "):
        _ = deferred.value


@pytest.mark.spec("RUN-4")
def test_deferred_in_a_result_is_a_failure_and_not_touched(broker: Broker) -> None:
    inner = call(broker.queue().give, "a", 1)

    @broker.expose
    def nested() -> Any:
        return {"deep": [inner]}

    work(broker)
    deferred = call(broker.queue().nested, "b")
    work(broker)
    with pytest.raises(TaskFailure, match="result cannot be serialized: TypeError: a Deferred"):
        _ = deferred.value
    assert not inner.has_value()
    assert broker.status(inner) == "completed"
    assert inner.value == 1


@pytest.mark.spec("RUN-4", "ENV-BAD-3")
def test_result_over_the_limit_is_a_failure(make_queue: MakeQueue, clock: ManualClock) -> None:
    broker = broker_of(make_queue(clock=clock, message_bytes_max=500))

    @broker.expose
    def long() -> str:
        return "x" * 1000

    deferred = call(broker.queue().long, "a")
    work(broker)
    with pytest.raises(TaskFailure, match="result cannot be serialized: ValueError: result: 10"):
        _ = deferred.value


@pytest.mark.spec("RUN-4", "DEF-8")
def test_failure_over_the_limit_is_still_a_failure(
    make_queue: MakeQueue, clock: ManualClock
) -> None:
    broker = broker_of(make_queue(clock=clock, message_bytes_max=400))

    @broker.expose
    def verbose() -> None:
        raise ValueError("x" * 1000)

    deferred = call(broker.queue().verbose, "a")
    work(broker)
    assert deferred.status == "failed"
    with pytest.raises(TaskFailure, match=r"verbose .*:a\]"):
        _ = deferred.value


@pytest.mark.spec("RUN-5")
def test_message_that_cannot_be_read_is_a_failure(broker: Broker, queue: AbstractTaskQueue) -> None:
    request = Request("a", Token.new())
    queue.submit(request, GARBAGE)
    assert broker.next_task(0) is None
    deferred = broker.deferred("a", "f", request.token)
    assert broker.status(deferred) == "completed"
    with pytest.raises(TaskFailure, match=r"^\? .*:a\] message cannot be read: \w+: "):
        _ = deferred.value


class Unreadable:
    """It can be pickled, but not unpickled."""

    def __reduce__(self) -> Any:
        return _refuse, ()


def _refuse() -> None:
    raise SystemExit("not here")


@pytest.mark.spec("RUN-5")
def test_arguments_that_cannot_be_read_are_a_failure_of_that_name(broker: Broker) -> None:
    deferred = call(broker.queue().echo, "a", Unreadable(), result_timeout=7)
    dependent = call(broker.queue().echo, "b", deferred)
    assert broker.next_task(0) is None
    with pytest.raises(TaskFailure) as caught:
        _ = dependent.value
    failure = f"echo [{broker.name}:a] message cannot be read: SystemExit: not here"
    assert failure in caught.value.error


@pytest.mark.spec("RUN-5")
def test_argument_that_cannot_be_read_is_a_failure(
    broker: Broker, queue: AbstractTaskQueue
) -> None:
    argument = call(broker.queue().give, "a")
    deferred = call(broker.queue().echo, "b", argument, on_error=Task.PASS)
    task = take(broker)
    queue.finish("a", GARBAGE, 60, token=task.token)
    assert broker.next_task(0) is None
    text = rf"^echo .*:b\] argument give \[{broker.name}:a\] cannot be read: \w+: "
    with pytest.raises(TaskFailure, match=text):
        _ = deferred.value


@pytest.mark.spec("RUN-5")
def test_message_of_another_format_is_a_failure(broker: Broker, queue: AbstractTaskQueue) -> None:
    queue.submit(Request("a"), broker.serialize([2, "f"]))
    assert broker.next_task(0) is None
    with pytest.raises(TaskFailure, match="it has format 2, and this worq reads 1"):
        _ = broker.deferred("a").value


@pytest.mark.spec("RUN-6")
def test_argument_that_failed_is_passed_as_its_failure(broker: Broker) -> None:
    failed = call(broker.queue().boom, "a")
    deferred = call(broker.queue().echo, "b", failed, on_error=Task.PASS)
    work(broker)
    ((failure,), _) = deferred.value
    assert type(failure) is TaskFailure
    assert str(failure) == f"boom [{broker.name}:a] ValueError: boom"


@pytest.mark.spec("RUN-6")
def test_failure_of_an_arguments_argument_is_passed_under_the_arguments_name(
    broker: Broker,
) -> None:
    first = call(broker.queue().boom, "a")
    second = call(broker.queue().give, "b", first)
    third = call(broker.queue().echo, "c", second, on_error=Task.PASS)
    work(broker)
    ((failure,), _) = third.value
    assert (failure.task_name, failure.task_id) == ("give", "b")
    assert f"boom [{broker.name}:a] ValueError: boom" in failure.error
    assert failure.__cause__.task_id == "a"


@pytest.mark.spec("RUN-6")
def test_argument_that_expired_is_passed_as_task_expired(broker: Broker) -> None:
    gone = call(broker.queue().give, "a")
    deferred = call(broker.queue().echo, "b", gone, on_error=Task.PASS)
    broker.task_failed(gone)
    work(broker)
    ((failure,), _) = deferred.value
    assert type(failure) is TaskExpired
    assert str(failure) == f"give [{broker.name}:a] task expired"


@pytest.mark.spec("RUN-6", "DEF-5")
def test_argument_whose_worker_dies_expires(broker: Broker, clock: ManualClock) -> None:
    lost = call(broker.queue().give, "a", heartrate=1)
    also = call(broker.queue().give, "b", heartrate=1)
    told = call(broker.queue().echo, "c", lost, on_error=Task.PASS)
    ended = call(broker.queue().echo, "d", also)
    take(broker)
    take(broker)
    clock.advance(7_000)
    work(broker)
    ((failure,), _) = told.value
    assert str(failure) == f"give [{broker.name}:a] task expired"
    with pytest.raises(TaskExpired, match=r"echo .*:d\] task expired"):
        _ = ended.value


def test_task_that_waits_for_a_long_one_is_not_forgotten(
    broker: Broker, clock: ManualClock
) -> None:
    argument = call(broker.queue().give, "a", result_timeout=1)
    dependent = call(broker.queue().echo, "b", argument, result_timeout=1)
    queued = call(broker.queue().give, "c", 3, result_timeout=1)
    task = take(broker)
    for _ in range(1_000):
        clock.advance(60_000)
        assert broker.heartbeat(task)
    broker.set_result(task, "at last")
    clock.advance(1_000_000)
    work(broker)
    assert dependent.value == (("at last",), {})
    assert queued.value == 3


@pytest.mark.spec("RUN-7")
def test_outcome_of_a_lost_claim_is_dropped_and_logged(
    broker: Broker, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    deferred = call(broker.queue().give, "a", "late", heartrate=1)
    task = take(broker)
    clock.advance(7_000)
    again = call(broker.queue().give, "a", "new")
    assert broker.set_result(task, "late") is False
    assert f"give [{broker.name}:a]" in caplog.text
    assert again.status == "enqueued"
    with pytest.raises(TaskExpired):
        _ = deferred.value
    work(broker)
    assert again.value == "new"


@pytest.mark.spec("RUN-7")
def test_failure_of_a_task_with_ignore_result_is_logged(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    Task(broker.queue().give, id="a", ignore_result=True)(TaskFailure("f", "q", "1", "it"))
    assert work(broker) == 1
    assert "nobody is told of it: f [q:1] it" in caplog.text


@pytest.mark.spec("RUN-7")
def test_task_with_ignore_result_and_starts_left_ends_with_its_first_outcome(
    broker: Broker,
) -> None:
    Task(broker.queue().give, id="a", ignore_result=True, attempts=2)(1)
    task = take(broker)
    assert broker.set_result(task, 1) is True
    assert work(broker) == 0


def test_failure_that_goes_to_a_dependent_is_logged(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    argument = call(broker.queue().boom, "a")
    Task(broker.queue().echo, id="b", ignore_result=True)(argument)
    work(broker)
    assert f"its failure went to 'b': boom [{broker.name}:a]" in caplog.text


def test_outcome_may_be_returned_instead_of_stored(broker: Broker) -> None:
    deferred = call(broker.queue().give, "a", 1)
    task = take(broker)
    assert broker.invoke(task, return_result=True) == 1
    assert deferred.status == "processing"
    assert broker.set_result(task, 2) is True
    assert deferred.value == 2


# The broker's own operations.


@pytest.mark.spec("BRK-1")
def test_pop_result_returns_the_result_once(broker: Broker) -> None:
    deferred = call(broker.queue().give, "a", 1)
    work(broker)
    assert broker.pop_result(deferred) == 1
    with pytest.raises(TaskExpired, match=":a] task expired"):
        broker.pop_result(deferred)


@pytest.mark.spec("BRK-1")
def test_pop_result_returns_a_failure(broker: Broker) -> None:
    deferred = call(broker.queue().boom, "a")
    work(broker)
    failure = broker.pop_result(deferred)
    assert type(failure) is TaskFailure
    assert failure.error == "ValueError: boom"


@pytest.mark.spec("BRK-1")
def test_pop_result_returns_task_expired_that_a_task_returned(broker: Broker) -> None:
    deferred = call(broker.queue().give, "a", TaskExpired("f", "q", "1", "it"))
    work(broker)
    assert str(broker.pop_result(deferred)) == "f [q:1] it"


@pytest.mark.spec("BRK-1")
def test_pop_result_has_no_key_if_there_is_no_result_yet_or_it_is_reserved(broker: Broker) -> None:
    deferred = call(broker.queue().give, "a", 1)
    with pytest.raises(KeyError, match=r"give .*:a\] there is no outcome yet"):
        broker.pop_result(deferred)
    call(broker.queue().give, "b", deferred)
    with pytest.raises(KeyError, match=r"give .*:a\] .* was passed to another task"):
        broker.pop_result(deferred)


@pytest.mark.spec("BRK-2")
@pytest.mark.parametrize("is_running", [False, True])
def test_task_failed_cancels(broker: Broker, *, is_running: bool) -> None:
    deferred = call(broker.queue().give, "a", 1)
    task = take(broker) if is_running else None
    broker.task_failed(deferred)
    if task is not None:
        assert broker.set_result(task, 1) is False
    assert work(broker) == 0
    with pytest.raises(TaskExpired):
        _ = deferred.value


@pytest.mark.spec("BRK-2")
def test_task_failed_of_a_task_that_is_not_there_changes_nothing(broker: Broker) -> None:
    broker.task_failed(broker.deferred("a"))
    assert len(broker) == 0


@pytest.mark.spec("BRK-2")
def test_task_failed_takes_a_result_back(broker: Broker) -> None:
    deferred = call(broker.queue().give, "a", 1)
    work(broker)
    broker.task_failed(deferred)
    with pytest.raises(TaskExpired):
        _ = deferred.value


@pytest.mark.spec("BRK-2")
def test_task_failed_does_not_touch_the_next_task_of_that_id(broker: Broker) -> None:
    old = call(broker.queue().give, "a")
    broker.task_failed(old)
    new = call(broker.queue().give, "a", 1)
    broker.task_failed(old)
    work(broker)
    assert new.value == 1


@pytest.mark.spec("BRK-3")
def test_discarding_pending_tasks_drops_what_waits(broker: Broker) -> None:
    running = call(broker.queue().give, "a")
    task = take(broker)
    queued = call(broker.queue().give, "b")
    call(broker.queue().give, "c", running)
    assert (len(broker), len(broker.queue())) == (2, 2)
    broker.discard_pending_tasks()
    assert (len(broker), len(broker.queue())) == (0, 0)
    assert (broker.status(running), broker.status(queued)) == ("processing", None)
    broker.set_result(task, 1)
    assert running.value == 1


@pytest.mark.spec("BRK-3")
def test_deleting_all_of_a_queue_purges_it(broker: Broker) -> None:
    q = broker.queue()
    q.give()
    del q[:]
    assert len(q) == 0


@pytest.mark.spec("BRK-3")
def test_status_is_that_of_the_incarnation(broker: Broker) -> None:
    old = call(broker.queue().give, "a")
    broker.task_failed(old)
    new = call(broker.queue().give, "a")
    assert (broker.status(old), broker.status(new)) == (None, "enqueued")
    assert broker.status(broker.deferred("a")) == "enqueued"


@pytest.mark.spec("BRK-4")
def test_heartbeat_moves_the_lease(broker: Broker, clock: ManualClock) -> None:
    deferred = call(broker.queue().give, "a", heartrate=1)
    task = take(broker)
    clock.advance(6_999)
    assert broker.heartbeat(task) is True
    clock.advance(6_999)
    assert broker.status(deferred) == "processing"
    clock.advance(1)
    assert broker.heartbeat(task) is False
    assert broker.status(deferred) is None


def test_next_task_has_its_arguments_and_its_options(broker: Broker) -> None:
    argument = call(broker.queue().give, "a", [1])
    work(broker)
    Task(
        broker.queue().echo,
        id="b",
        heartrate=1.5,
        attempts=2,
        result_timeout=float("inf"),
        time_limit=60,
    )(argument, key="value")
    task = take(broker)
    assert (task.name, task.id, task.args, task.kw) == ("echo", "b", ([1],), {"key": "value"})
    assert (task.heartrate, task.attempts, task.result_timeout) == (1.5, 2, float("inf"))
    assert task.time_limit == 60
    assert task.token.start == 1
    broker.set_result(task, None)


@pytest.mark.spec("ENV-WAIT-1")
def test_next_task_of_an_empty_queue_is_none(broker: Broker) -> None:
    assert broker.next_task(0) is None


# Messages that others write.


@pytest.mark.spec("ENV-SER-2")
def test_deserialize_loads_the_arguments_of_a_task(broker: Broker) -> None:
    argument = call(broker.queue().give, "a", [1])
    failed = call(broker.queue().boom, "b")
    gone = call(broker.queue().give, "c")
    message = broker.serialize({"all": (argument, failed, gone)}, deferred=True)
    call(broker.queue().echo, "d", argument, failed, gone, on_error=Task.PASS)
    broker.task_failed(gone)
    broker.invoke(take(broker))
    broker.invoke(take(broker))
    value, failure, expired = broker.deserialize(message, "d")["all"]
    assert value == [1]
    assert str(failure) == f"boom [{broker.name}:b] ValueError: boom"
    assert type(expired) is TaskExpired
    with pytest.raises(ValueError, match=r"argument give .*:a\] cannot be read"):
        broker.deserialize(message, "e")


class Json:
    """A serializer that knows nothing of pickle, nor of worq."""

    def dumps(self, value: object, encode: Encode) -> bytes:
        def default(obj: object) -> Any:
            if isinstance(obj, bytes):
                return {"__bytes__": base64.b64encode(obj).decode()}
            stand_in = encode(obj)
            if stand_in is None:
                raise TypeError(f"JSON has no {type(obj).__name__}")
            return {"__worq__": stand_in}

        return json.dumps(value, default=default).encode()

    def loads(self, message: bytes, decode: Decode) -> object:
        def hook(obj: dict[str, Any]) -> Any:
            if "__bytes__" in obj:
                return base64.b64decode(obj["__bytes__"])
            return decode(obj["__worq__"]) if "__worq__" in obj else obj

        return json.loads(message, object_hook=hook)


@pytest.mark.spec("ENV-SER-1")
def test_another_serializer_takes_the_place_of_pickle(queue: AbstractTaskQueue) -> None:
    broker = Broker(queue, serializer=Json())
    for task in (echo, give, boom):
        broker.expose(task)
    value = call(broker.queue().give, "a", [1])
    failed = call(broker.queue().boom, "b")
    result = call(broker.queue().echo, "c", value, {"x": failed}, on_error=Task.PASS)
    work(broker)
    ((first, second), _) = result.value
    assert first == [1]
    assert str(second["x"]) == f"boom [{broker.name}:b] ValueError: boom"
    again = call(broker.queue().give, "d", [result])
    work(broker)
    assert again.value[0][0][0] == [1]


@pytest.mark.spec("ENV-SER-1", "RUN-4")
def test_what_another_serializer_refuses_is_handled_as_with_pickle(
    queue: AbstractTaskQueue,
) -> None:
    broker = Broker(queue, serializer=Json())

    @broker.expose
    def opaque() -> complex:
        return 1j

    with pytest.raises(TypeError, match="JSON has no complex"):
        call(broker.queue().opaque, "a", 1j)
    deferred = call(broker.queue().opaque, "b")
    work(broker)
    with pytest.raises(TaskFailure, match="result cannot be serialized: TypeError: JSON has no"):
        _ = deferred.value
