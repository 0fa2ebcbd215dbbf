"""Looking at a Deferred, here and in other processes: SPEC.md, section 8."""

import copy
import dataclasses
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import worq
from tests.backends.brokers import broker_of, call, pickled, take, work
from tests.backends.conftest import MakeQueue, Start
from worq import BackendUnavailable, Broker, Deferred, QueueClosed, TaskExpired, TaskFailure
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock


@pytest.fixture
def broker(queue: AbstractTaskQueue) -> Broker:
    return broker_of(queue)


def finished(broker: Broker, *args: Any) -> Deferred:
    """A Deferred whose result is in the queue."""
    deferred = call(broker.queue().give, "a", *args)
    work(broker)
    return deferred


def failed(broker: Broker) -> Deferred:
    """A Deferred whose failure is in the queue."""
    deferred = call(broker.queue().boom, "a")
    work(broker)
    return deferred


def expired(broker: Broker) -> Deferred:
    """A Deferred of a task that has expired."""
    deferred = call(broker.queue().give, "a")
    broker.task_failed(deferred)
    return deferred


def raised(deferred: Deferred) -> TaskFailure:
    with pytest.raises(TaskFailure) as caught:
        _ = deferred.value
    return caught.value


LOOKS: dict[str, Callable[[Deferred], object]] = {
    "wait": lambda d: d.wait(0),
    "bool": bool,
    "status": lambda d: d.status,
    "value": lambda d: d.value,
}


@pytest.mark.spec("DEF-1")
@pytest.mark.parametrize("look", LOOKS)
def test_deferred_that_holds_its_outcome_leaves_the_queue_alone(
    make_queue: MakeQueue, clock: ManualClock, look: str
) -> None:
    queue = make_queue(clock=clock)
    deferred = finished(broker_of(queue), 1)
    assert LOOKS[look](deferred)
    queue.close()
    assert (deferred.wait(0), deferred.status, deferred.value) == (True, "success", 1)
    assert deferred.wait(None)


@pytest.mark.spec("DEF-2")
@pytest.mark.parametrize("make", [finished, failed, expired])
def test_wait_is_true_for_every_outcome(broker: Broker, make: Callable[[Broker], Deferred]) -> None:
    deferred = make(broker)
    assert deferred.wait(0) is True
    assert deferred.wait(0) is True


@pytest.mark.spec("DEF-2")
def test_wait_is_true_as_soon_as_there_is_an_outcome(broker: Broker, start: Start) -> None:
    deferred = call(broker.queue().give, "a", 1)
    waiting = start(lambda: deferred.wait(None))
    assert waiting.sleeps()
    work(broker)
    assert waiting.answer() is True
    assert deferred.value == 1


@pytest.mark.spec("DEF-2")
def test_wait_is_false_when_its_timeout_passes(
    broker: Broker, clock: ManualClock, start: Start
) -> None:
    deferred = call(broker.queue().give, "a")
    assert deferred.wait(0) is False
    waiting = start(lambda: deferred.wait(1.5))
    assert waiting.sleeps()
    clock.advance(1_499)
    assert waiting.sleeps()
    clock.advance(1)
    assert waiting.answer() is False


@pytest.mark.spec("DEF-2")
def test_wait_is_false_at_once_for_a_reserved_result(broker: Broker, start: Start) -> None:
    deferred = call(broker.queue().give, "a", 1)
    waiting = start(lambda: deferred.wait(None))
    assert waiting.sleeps()
    dependent = call(broker.queue().give, "b", deferred)
    assert waiting.answer() is False
    assert deferred.wait(None) is False
    broker.task_failed(dependent)
    work(broker)
    assert deferred.value == 1


@pytest.mark.spec("DEF-2")
def test_of_two_waiters_one_gets_the_result_and_the_other_is_told(
    broker: Broker, start: Start
) -> None:
    one = call(broker.queue().give, "a", 1)
    two = broker.deferred("a", "give", one.token)
    waiting = [start(lambda: one.wait(None)), start(lambda: two.wait(None))]
    assert [each.sleeps() for each in waiting] == [True, True]
    work(broker)
    assert [each.answer() for each in waiting] == [True, True]
    assert {one.status, two.status} == {"success", "failed"}


@pytest.mark.spec("DEF-2")
def test_bool_is_wait_without_waiting(broker: Broker) -> None:
    deferred = call(broker.queue().give, "a", 0)
    assert not deferred
    work(broker)
    assert deferred
    assert deferred.has_value()


@pytest.mark.spec("ENV-BAD-2", "ENV-BAD-5")
@pytest.mark.parametrize(
    ("timeout", "error"),
    [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError), (10**10, ValueError)],
)
def test_timeout_that_makes_no_sense_is_refused(
    broker: Broker, timeout: Any, error: type[Exception]
) -> None:
    deferred = finished(broker, 1)
    with pytest.raises(error, match="timeout"):
        deferred.wait(timeout)
    assert not deferred.has_value()
    assert deferred.value == 1


@pytest.mark.spec("DEF-3")
def test_value_is_the_result(broker: Broker) -> None:
    deferred = finished(broker, [1])
    assert deferred.value == [1]
    assert deferred.value is deferred.value


@pytest.mark.spec("DEF-3")
def test_value_of_what_has_no_outcome_yet_is_an_attribute_error(broker: Broker) -> None:
    deferred = call(broker.queue().give, "a")
    with pytest.raises(AttributeError, match="there is no outcome yet: <Deferred give"):
        _ = deferred.value
    assert not hasattr(deferred, "value")


@pytest.mark.spec("DEF-3")
def test_value_says_that_the_outcome_was_passed_on_as_long_as_it_is(broker: Broker) -> None:
    deferred = call(broker.queue().give, "a")
    dependent = call(broker.queue().give, "b", deferred)
    with pytest.raises(AttributeError, match="was passed to another task: <Deferred give"):
        _ = deferred.value
    broker.task_failed(dependent)
    with pytest.raises(AttributeError, match="there is no outcome yet: <Deferred give"):
        _ = deferred.value
    work(broker)
    assert deferred.value is None


@pytest.mark.spec("DEF-3")
def test_value_raises_the_failure_each_time(broker: Broker) -> None:
    deferred = failed(broker)
    first = raised(deferred)
    assert str(first) == f"boom [{broker.name}:a] ValueError: boom"
    length = len(list(_frames(first)))
    for _ in range(3):
        assert raised(deferred) is first
    assert len(list(_frames(first))) == length


def _frames(error: BaseException) -> Iterator[object]:
    trace = error.__traceback__
    while trace is not None:
        yield trace
        trace = trace.tb_next


@pytest.mark.spec("DEF-4")
def test_failure_of_an_argument_becomes_one_of_the_deferreds_own(broker: Broker) -> None:
    first = call(broker.queue().boom, "a")
    second = call(broker.queue().give, "b", first)
    third = call(broker.queue().echo, "c", second)
    work(broker)
    failure = raised(third)
    assert type(failure) is TaskFailure
    assert (failure.task_name, failure.queue, failure.task_id) == ("echo", broker.name, "c")
    assert f"boom [{broker.name}:a] ValueError: boom" in failure.error
    cause = failure.__cause__
    assert isinstance(cause, TaskFailure)
    assert str(cause) == f"boom [{broker.name}:a] ValueError: boom"
    for gone in (first, second):
        assert type(raised(gone)) is TaskExpired


@pytest.mark.spec("DEF-5")
def test_expiry_becomes_one_of_the_deferreds_own(broker: Broker) -> None:
    first = call(broker.queue().give, "a")
    second = call(broker.queue().echo, "b", first)
    broker.task_failed(first)
    failure = raised(second)
    assert type(failure) is TaskExpired
    assert str(failure) == f"echo [{broker.name}:b] task expired"
    assert failure.__cause__ is None


@pytest.mark.spec("DEF-5")
def test_task_whose_worker_dies_expires(broker: Broker, clock: ManualClock, start: Start) -> None:
    deferred = call(broker.queue().give, "a", heartrate=1)
    take(broker)
    waiting = start(lambda: deferred.wait(None))
    assert waiting.sleeps()
    clock.advance(7_000)
    assert waiting.answer() is True
    assert type(raised(deferred)) is TaskExpired


@pytest.mark.spec("DEF-6")
def test_status_is_the_state_until_there_is_an_outcome(broker: Broker) -> None:
    argument = call(broker.queue().give, "a")
    deferred = call(broker.queue().give, "b", argument)
    seen: list[object] = [argument.status, deferred.status]
    task = take(broker)
    seen += [argument.status, deferred.status]
    broker.set_result(task, 1)
    seen += [argument.status, deferred.status]
    work(broker)
    seen += [argument.status, deferred.status]
    assert seen == [
        *("enqueued", "pending"),
        *("processing", "pending"),
        *(None, "enqueued"),
        *(None, "success"),
    ]
    assert deferred.has_value()


@pytest.mark.spec("DEF-6")
def test_status_of_a_failure_is_failed(broker: Broker) -> None:
    deferred = failed(broker)
    assert deferred.status == "failed"
    assert deferred.has_value()


@pytest.mark.spec("DEF-6")
def test_status_of_an_expiry_is_failed_once_it_was_seen(broker: Broker) -> None:
    deferred = expired(broker)
    assert deferred.status is None
    assert deferred.wait(0)
    assert deferred.status == "failed"


@pytest.mark.spec("DEF-7")
def test_repr_shows_the_state_last_seen(broker: Broker) -> None:
    argument = call(broker.queue().give, "a", 1)
    deferred = call(broker.queue().give, "b", argument)

    def shown() -> str:
        text = repr(deferred)
        assert text.startswith(f"<Deferred give [{broker.name}:b] ")
        return text.removesuffix(">").rpartition(" ")[2]

    assert shown() == "incomplete"
    _ = deferred.status
    assert shown() == "pending"
    work(broker)
    assert shown() == "pending"
    _ = deferred.status
    assert shown() == "success"


@pytest.mark.spec("DEF-7")
def test_repr_and_has_value_neither_fetch_nor_raise(
    make_queue: MakeQueue, clock: ManualClock
) -> None:
    queue = make_queue(clock=clock)
    deferred = finished(broker_of(queue), 1)
    for _ in range(3):
        assert "incomplete" in repr(deferred)
        assert not deferred.has_value()
    assert queue.status("a") == "completed"
    queue.close()
    assert "incomplete" in repr(deferred)
    assert not deferred.has_value()
    again = broker_of(make_queue(queue.name, clock))
    assert again.deferred("a", "give", deferred.token).value == 1


@pytest.mark.spec("DEF-7", "ENV-API-2")
@pytest.mark.parametrize(
    ("make", "state"), [(finished, "success"), (failed, "failed"), (expired, "failed")]
)
def test_repr_of_a_held_outcome_says_how_it_went(
    broker: Broker, make: Callable[[Broker], Deferred], state: str
) -> None:
    deferred = make(broker)
    deferred.wait(0)
    assert repr(deferred) == f"<Deferred {deferred.name} [{broker.name}:a] {state}>"


@pytest.mark.spec("DEF-8")
@pytest.mark.parametrize("is_failure", [False, True])
def test_outcome_that_cannot_be_read_is_a_failure(
    broker: Broker, queue: AbstractTaskQueue, *, is_failure: bool
) -> None:
    deferred = call(broker.queue().give, "a")
    token = take(broker).token
    queue.finish("a", b"\x00 garbage", 60, token=token, failed=is_failure)
    failure = raised(deferred)
    assert type(failure) is TaskFailure
    assert str(failure).startswith(f"give [{broker.name}:a] result cannot be read: ")
    assert deferred.status == "failed"


class Stop(BaseException):
    """What no `except Exception` catches."""


class Raising:
    """It can be pickled; what loading it raises is up to it."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def __reduce__(self) -> Any:
        return _raise, (self.kind,)


def _raise(kind: type[BaseException]) -> None:
    raise kind("planted")


@pytest.mark.spec("DEF-8")
@pytest.mark.parametrize("kind", [Stop, SystemExit, GeneratorExit, RecursionError])
def test_result_may_raise_as_it_likes_when_it_is_read(
    broker: Broker, kind: type[BaseException]
) -> None:
    deferred = call(broker.queue().give, "a", 1)
    broker.set_result(take(broker), Raising(kind))
    assert f"result cannot be read: {kind.__name__}: planted" in raised(deferred).error
    assert deferred.status == "failed"


@pytest.mark.spec("DEF-8", "ENV-API-12")
def test_an_interruption_is_not_what_the_result_raises(broker: Broker) -> None:
    deferred = call(broker.queue().give, "a", 1)
    broker.set_result(take(broker), Raising(KeyboardInterrupt))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            deferred.wait(0)
    assert not deferred.has_value()


@pytest.mark.spec("DEF-8")
def test_failure_that_is_none_is_a_failure(broker: Broker, queue: AbstractTaskQueue) -> None:
    deferred = call(broker.queue().give, "a")
    queue.finish("a", broker.serialize(5), 60, token=take(broker).token, failed=True)
    assert "result cannot be read: TypeError: a failure is needed" in raised(deferred).error


@pytest.mark.spec("ENV-WAIT-7")
def test_deferred_of_a_closed_queue_is_as_it_was(
    make_queue: MakeQueue, clock: ManualClock, start: Start
) -> None:
    queue = make_queue(clock=clock)
    deferred = call(broker_of(queue).queue().give, "a", 1)
    waiting = start(lambda: deferred.wait(None))
    assert waiting.sleeps()
    queue.close()
    assert isinstance(waiting.error(), QueueClosed)
    assert not deferred.has_value()
    broker = broker_of(make_queue(queue.name, clock))
    work(broker)
    deferred.bind(broker)
    assert deferred.value == 1


@pytest.mark.spec("ENV-RETRY-2")
def test_lost_connection_passes_through_and_changes_nothing(
    queue: AbstractTaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = broker_of(queue)
    deferred = finished(broker, 1)
    with monkeypatch.context() as lost:
        lost.setattr(queue, "_pop", _unavailable)
        lost.setattr(queue, "_status", _unavailable)
        for look in LOOKS.values():
            with pytest.raises(BackendUnavailable):
                look(deferred)
    assert not deferred.has_value()
    assert deferred.value == 1


def _unavailable(*args: object) -> None:
    del args
    raise BackendUnavailable("nobody there", "not_sent")


# Deferreds elsewhere.


@pytest.mark.spec("ENV-API-7")
def test_result_is_taken_up_by_id(broker: Broker) -> None:
    deferred = finished(broker, 1)
    again = broker.deferred("a", "give", deferred.token)
    assert again.value == 1
    assert deferred.wait(0)
    assert deferred.status == "failed"


@pytest.mark.spec("ENV-API-7", "TOK-2")
def test_handle_without_a_token_means_what_is_there(broker: Broker) -> None:
    handle = broker.deferred("a")
    before = handle.status
    call(broker.queue().give, "a", 1)
    assert (before, handle.status) == (None, "enqueued")
    work(broker)
    assert handle.value == 1


@pytest.mark.spec("ENV-API-6")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_deferred_reaches_its_queue(broker: Broker, protocol: int) -> None:
    deferred = call(broker.queue().give, "a", 1)
    copied = pickled(deferred, protocol)
    assert (copied.id, copied.name, copied.token) == ("a", "give", deferred.token)
    assert repr(copied) == f"<Deferred give [{broker.name}:a] incomplete>"
    work(broker)
    copied.bind(broker)
    assert copied.value == 1
    assert deferred.wait(0)


@pytest.mark.spec("ENV-API-6")
def test_pickled_deferred_binds_when_it_first_needs_a_queue(make_queue: MakeQueue) -> None:
    broker = broker_of(make_queue())
    one, two = call(broker.queue().give, "a", 1), call(broker.queue().give, "b", 2)
    one, two = pickled([one, two])
    work(broker)
    assert (one.value, two.value) == (1, 2)


@pytest.mark.spec("ENV-API-6", "DEF-1")
@pytest.mark.parametrize(
    ("make", "state"), [(finished, "success"), (failed, "failed"), (expired, "failed")]
)
def test_pickled_deferred_has_its_outcome_with_it(
    make_queue: MakeQueue, clock: ManualClock, make: Callable[[Broker], Deferred], state: str
) -> None:
    queue = make_queue(clock=clock)
    deferred = make(broker_of(queue))
    deferred.wait(0)
    copied = pickled(deferred)
    queue.close()
    assert copied.has_value()
    assert copied.status == state
    assert copied.wait(None)


@pytest.mark.spec("ENV-API-6", "DEF-4")
def test_pickled_failure_of_an_argument_keeps_its_cause(broker: Broker) -> None:
    deferred = call(broker.queue().give, "b", failed(broker))
    deferred.wait(0)
    copied = pickled(deferred)
    assert str(raised(copied)) == str(raised(deferred))
    assert str(raised(copied).__cause__) == f"boom [{broker.name}:a] ValueError: boom"
    passed_on = call(broker.queue().give, "c", copied)
    assert str(raised(passed_on).__cause__) == f"boom [{broker.name}:a] ValueError: boom"


@pytest.mark.spec("ENV-API-6")
def test_deferred_is_not_bound_to_another_queue(
    broker: Broker, make_queue: MakeQueue, clock: ManualClock
) -> None:
    other = broker_of(make_queue(clock=clock))
    deferred = call(broker.queue().give, "a", 1)
    with pytest.raises(ValueError, match=f"broker: one of .*{broker.name}.* is needed"):
        deferred.bind(other)
    work(broker)
    assert deferred.value == 1


@pytest.mark.spec("ENV-API-6")
def test_password_is_not_in_the_pickle(
    queue: AbstractTaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "url", "redis://me:secret@host/0")
    message = pickle.dumps(Broker(queue).deferred("a", "f"))
    assert b"secret" not in message
    assert b"redis://me@host/0" in message


@pytest.mark.spec("ENV-API-6", "CALL-5")
def test_pickled_deferred_is_an_argument(broker: Broker) -> None:
    argument = pickled(call(broker.queue().give, "a", 1))
    result = call(broker.queue().give, "b", argument)
    work(broker)
    assert result.value == 1


@dataclasses.dataclass
class Job:
    result: Deferred


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda d: dataclasses.asdict(Job(d))["result"]],
    ids=["copy", "deepcopy", "asdict"],
)
def test_copied_deferred_keeps_its_broker(
    broker: Broker, copied: Callable[[Deferred], Deferred]
) -> None:
    deferred = call(broker.queue().give, "a", 1)
    other = copied(deferred)
    assert other is not deferred
    work(broker)
    assert other.value == 1
    assert not deferred.has_value()


def test_copied_deferred_of_a_pickle_is_bound_by_itself(broker: Broker) -> None:
    other = copy.copy(pickled(call(broker.queue().give, "a", 1)))
    other.bind(broker)
    work(broker)
    assert other.value == 1


@pytest.mark.spec("ENV-API-9")
def test_brokers_of_one_url_and_name_reach_one_queue(broker: Broker, clock: ManualClock) -> None:
    with worq.get_broker(broker.url, broker.name, clock=clock) as other:
        deferred = call(broker.queue().give, "a", 1)
        assert len(other) == 1
        other.tasks.update(broker.tasks)
        work(other)
        assert deferred.value == 1


INTERRUPTIONS: list[BaseException] = []


def interruptible(value: object) -> object:
    """What a pickle calls when it is read."""
    if INTERRUPTIONS:
        raise INTERRUPTIONS.pop()
    return Interruptible(value)


@dataclasses.dataclass
class Interruptible:
    """Reading it is interrupted as often as is said."""

    value: object

    def __reduce__(self) -> tuple[Any, ...]:
        return interruptible, (self.value,)


VALUE = Interruptible(7)


@pytest.fixture
def interrupted(broker: Broker) -> Iterator[Deferred]:
    """A Deferred whose outcome is not in the queue any more, and was not read to the end."""
    deferred = finished(broker, VALUE)
    INTERRUPTIONS[:] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        deferred.wait(0)
    assert broker.status(deferred) is None
    yield deferred
    INTERRUPTIONS.clear()


@pytest.mark.spec("ENV-API-12")
@pytest.mark.parametrize("look", LOOKS)
def test_outcome_whose_reading_was_interrupted_is_read_again(
    interrupted: Deferred, look: str
) -> None:
    assert LOOKS[look](interrupted) in (True, "success", VALUE)
    assert (interrupted.value, interrupted.status) == (VALUE, "success")


@pytest.mark.spec("ENV-API-12")
def test_outcome_whose_reading_was_interrupted_is_not_held_and_not_shown(
    interrupted: Deferred,
) -> None:
    assert not interrupted.has_value()
    assert repr(interrupted).endswith(" incomplete>")


@pytest.mark.spec("ENV-API-12")
def test_outcome_whose_reading_was_interrupted_is_passed_by_value(
    broker: Broker, interrupted: Deferred
) -> None:
    given = call(broker.queue().give, "b", interrupted)
    work(broker)
    assert given.value == VALUE


@pytest.mark.spec("ENV-API-12")
def test_outcome_whose_reading_was_interrupted_travels_with_the_deferred(
    interrupted: Deferred,
) -> None:
    assert pickled(interrupted).value == VALUE


@pytest.mark.spec("ENV-API-12")
def test_reading_may_be_interrupted_more_than_once(interrupted: Deferred) -> None:
    INTERRUPTIONS[:] = [KeyboardInterrupt(), KeyboardInterrupt()]
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            _ = interrupted.status
    assert interrupted.value == VALUE
