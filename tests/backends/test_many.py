"""Many calls and many outcomes at once: SPEC.md, section 8."""

import threading
from collections.abc import Callable, Sequence
from string import ascii_lowercase
from typing import Any, Literal

import pytest

import worq
from tests.backends.brokers import broker_of, call, pickled, take, work
from tests.backends.conftest import MakeQueue, Start
from worq import (
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    BackendUnavailable,
    Broker,
    Deferred,
    DuplicateTask,
    QueueClosed,
    Task,
    TaskFailure,
    TasksRefused,
    WorqError,
    as_completed,
    wait,
)
from worq.backend import AbstractTaskQueue
from worq.clock import ManualClock
from worq.queue.memory import taskqueue as memory
from worq.queue.redis import many
from worq.queue.sqlite import queue as sqlite
from worq.task import FunctionTask
from worq.values import Token


@pytest.fixture
def broker(queue: AbstractTaskQueue) -> Broker:
    return broker_of(queue)


def prepared(broker: Broker, task_id: str, *args: Any, **options: Any) -> FunctionTask:
    return Task(broker.queue().give, id=task_id, **options).prepare(*args)


def deferreds_of(broker: Broker, ids: str, **options: Any) -> list[Deferred]:
    return [call(broker.queue().give, task_id, task_id, **options) for task_id in ids]


def ids_of(deferreds: Any) -> str:
    return "".join(deferred.id for deferred in deferreds)


def tokens_of(deferreds: Sequence[Deferred | None]) -> list[Token | None]:
    return [None if deferred is None else deferred.token for deferred in deferreds]


def run(broker: Broker, tasks: int) -> None:
    for _ in range(tasks):
        broker.invoke(take(broker))


# Calls.


@pytest.mark.spec("ENV-MANY-1")
def test_many_calls_are_enqueued_in_their_order(broker: Broker) -> None:
    given = [prepared(broker, task_id, task_id) for task_id in "abc"]
    forgotten = prepared(broker, "d", ignore_result=True)
    *deferreds, nothing = broker.enqueue_many([*given, forgotten])
    assert nothing is None
    assert tokens_of(deferreds) == [t.token for t in given]
    assert len(broker) == 4
    assert [take(broker).id for _ in range(4)] == ["a", "b", "c", "d"]


@pytest.mark.spec("ENV-MANY-1")
def test_no_calls_are_nothing(broker: Broker) -> None:
    assert broker.enqueue_many(iter(())) == []
    assert len(broker) == 0


@pytest.mark.spec("ENV-MANY-1", "ENV-MANY-4")
def test_a_call_takes_the_result_of_one_before_it(broker: Broker) -> None:
    first = prepared(broker, "a", 7)
    second = prepared(broker, "b", [broker.deferred(first.id, first.name, first.token)])
    _, deferred = broker.enqueue_many([first, second])
    assert deferred is not None
    assert work(broker) == 2
    assert deferred.wait(0)
    assert deferred.value == [7]


@pytest.mark.spec("ENV-MANY-1")
def test_the_same_calls_again_are_the_same_calls(broker: Broker) -> None:
    given = [prepared(broker, task_id) for task_id in "abc"]
    broker.enqueue_many(given)
    again = broker.enqueue_many(given)
    assert tokens_of(again) == [t.token for t in given]
    assert work(broker) == 3


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Has each backend submit two tasks at a time, and this done between the first two and the others."""

    def cut_by(act: Callable[[], object]) -> None:
        def following(items: Sequence[Any], answers: Sequence[object]) -> Sequence[Any]:
            if answers:
                act()
            return items[len(answers) : len(answers) + 2]

        for module in (memory, many, sqlite):
            monkeypatch.setattr(module, "_next", following)

    return cut_by


def lose(outcome: Literal["not_sent", "unknown"]) -> None:
    raise BackendUnavailable("nobody there", outcome)


@pytest.mark.parametrize("how", ["lost", "closed"])
@pytest.mark.spec("ENV-MANY-8", "ENV-MANY-1", "ENV-BULK-6")
def test_who_was_cut_off_goes_on_and_nothing_runs_twice(
    make_queue: MakeQueue, cut: Any, how: str
) -> None:
    queue = make_queue()
    broker, other = broker_of(queue), broker_of(make_queue(queue.name))
    tasks = [prepared(broker, each, ignore_result=each != "a") for each in "abcde"]
    cut(queue.close if how == "closed" else lambda: lose("not_sent"))
    with pytest.raises((BackendUnavailable, QueueClosed)) as caught:
        broker.enqueue_many(tasks)
    first, forgotten = caught.value.deferreds
    assert (first.token, forgotten) == (tasks[0].token, None)
    assert caught.value.__notes__ == ["of 5 operations 2 are known to be done"]
    assert work(other) == 2
    assert other.pop_result(first) is None
    cut(lambda: None)
    assert other.enqueue_many(tasks[len(caught.value.deferreds) :]) == [None] * 3
    assert ids_of(take(other) for _ in range(3)) == "cde"


@pytest.mark.spec("ENV-MANY-1", "ENV-MANY-8")
def test_one_that_is_gone_is_enqueued_again_and_one_that_is_there_is_not(broker: Broker) -> None:
    tasks = [prepared(broker, "a", ignore_result=True), prepared(broker, "b")]
    broker.enqueue_many(tasks)
    assert work(broker) == 2
    broker.enqueue_many(tasks)
    assert [take(broker).id, broker.next_task(0)] == ["a", None]


@pytest.mark.spec("ENV-MANY-8", "ENV-MANY-2")
def test_what_was_refused_before_the_cut_is_counted(
    broker: Broker, make_queue: MakeQueue, cut: Any
) -> None:
    (foreign,) = deferreds_of(broker_of(make_queue()), "z")
    call(broker.queue().give, "b")
    tasks = [
        prepared(broker, "a", foreign),
        prepared(broker, "b"),
        prepared(broker, "c"),
        prepared(broker, "d", foreign),
        prepared(broker, "e"),
    ]
    cut(lambda: lose("unknown"))
    with pytest.raises(BackendUnavailable) as caught:
        broker.enqueue_many(tasks)
    assert tokens_of(caught.value.deferreds) == [None, None, tasks[2].token, None]
    assert "of 4 tasks 3 were refused" in caught.value.__notes__
    assert ids_of([take(broker), take(broker)]) == "bc"


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda b: ["x"], TypeError, r"^tasks\[1\]: a FunctionTask is needed, not 'x'"),
        (
            lambda b: [prepared(b, "b", threading.Lock())],
            TypeError,
            r"^tasks\[1\]\.args\[0\]: .*, of the task 'give', can't be serialized: ",
        ),
        (
            lambda b: [prepared(b, "b", b"x" * 2_000)],
            ValueError,
            r"^tasks\[1\]\.message of the task 'give': .* are more than message_bytes_max, 1000",
        ),
    ],
)
@pytest.mark.spec("ENV-MANY-1", "ENV-BAD-5")
def test_what_makes_no_sense_is_said_before_anything_is_enqueued(
    make_queue: MakeQueue,
    make: Callable[[Broker], list[Any]],
    error: type[Exception],
    text: str,
) -> None:
    broker = broker_of(make_queue(message_bytes_max=1_000))
    with pytest.raises(error, match=text):
        broker.enqueue_many([prepared(broker, "a"), *make(broker)])
    assert len(broker) == 0


@pytest.mark.spec("ENV-MANY-1", "ENV-BAD-8")
def test_the_cause_is_what_the_serializer_raised(broker: Broker) -> None:
    with pytest.raises(TypeError, match="args") as caught:
        broker.enqueue_many([prepared(broker, "a", threading.Lock())])
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("tasks", [None, 7])
@pytest.mark.spec("ENV-BAD-5")
def test_tasks_are_an_iterable(broker: Broker, tasks: Any) -> None:
    with pytest.raises(TypeError, match=f"tasks: an iterable is needed, not {tasks!r}"):
        broker.enqueue_many(tasks)


@pytest.mark.spec("ENV-MANY-2", "CALL-2", "CALL-4", "CALL-5")
def test_refusals_do_not_keep_the_others_from_being_enqueued(
    broker: Broker, make_queue: MakeQueue
) -> None:
    (foreign,) = deferreds_of(broker_of(make_queue()), "z")
    gone = broker.deferred("x", "f")
    call(broker.queue().give, "a")
    tasks = [
        prepared(broker, "a"),
        prepared(broker, "b"),
        prepared(broker, "c", foreign),
        prepared(broker, "d", gone),
        prepared(broker, "e"),
    ]
    with pytest.raises(TasksRefused) as caught:
        broker.enqueue_many(tasks)
    refused = caught.value
    assert str(refused) == "3 of 5 tasks were refused (3 sub-exceptions)"
    duplicate, unreachable, unavailable = refused.exceptions
    assert isinstance(duplicate, DuplicateTask)
    assert "it belongs to" in str(unreachable)
    assert str(unavailable) == f"f [{broker.name}:x] result is not available"
    there = [None if deferred is None else deferred.id for deferred in refused.deferreds]
    assert there == [None, "b", None, None, "e"]
    assert isinstance(refused, WorqError)
    assert [take(broker).id for _ in range(3)] == ["a", "b", "e"]


@pytest.mark.spec("ENV-MANY-2")
def test_refusals_can_be_told_apart(broker: Broker) -> None:
    call(broker.queue().give, "a")
    with pytest.raises(TasksRefused) as caught:
        broker.enqueue_many([prepared(broker, "a"), prepared(broker, "b", broker.deferred("x"))])
    duplicates, others = caught.value.split(DuplicateTask)
    assert isinstance(duplicates, TasksRefused)
    assert isinstance(others, TasksRefused)
    assert [type(each) for each in others.exceptions] == [TaskFailure]
    assert others.deferreds == caught.value.deferreds == [None, None]


@pytest.mark.spec("ENV-MANY-2", "CALL-5")
def test_a_result_passed_twice_goes_to_the_first(broker: Broker) -> None:
    (argument,) = deferreds_of(broker, "a")
    tasks = [prepared(broker, task_id, argument) for task_id in "bc"]
    with pytest.raises(TasksRefused) as caught:
        broker.enqueue_many(tasks)
    (refusal,) = caught.value.exceptions
    assert f"it was passed to give [{broker.name}:b] already" in str(refusal)


@pytest.mark.spec("ENV-MANY-3")
def test_map_calls_the_task_with_each_item(broker: Broker) -> None:
    task = Task(broker.queue().echo, id=lambda *args: ascii_lowercase[args[0]], attempts=3)
    deferreds = task.map(range(3), iter("xyzzy"))
    assert ids_of(deferreds) == "abc"
    work(broker)
    assert wait(deferreds, 0).not_done == set()
    assert [d.value for d in deferreds] == [((0, "x"), {}), ((1, "y"), {}), ((2, "z"), {})]
    assert Task(broker.queue().give, ignore_result=True).map("ab") == [None, None]
    assert work(broker) == 2


@pytest.mark.spec("ENV-MANY-3")
def test_map_gives_its_keywords_to_each_call(broker: Broker) -> None:
    first = broker.queue().give("x")
    deferreds = Task(broker.queue().echo, on_error="pass").map("ab", given=7)
    (kept,) = Task(broker.queue().echo).map([1], given=first)
    work(broker)
    assert wait([*deferreds, kept], 0).not_done == set()
    assert [d.value for d in deferreds] == [(("a",), {"given": 7}), (("b",), {"given": 7})]
    assert kept.value == ((1,), {"given": "x"})


@pytest.mark.spec("ENV-MANY-3", "ENV-BAD-5")
def test_map_needs_iterables(broker: Broker) -> None:
    with pytest.raises(TypeError, match="iterables: at least one is needed"):
        Task(broker.queue().give).map()
    with pytest.raises(TypeError, match=r"iterables\[1\]: an iterable is needed, not 7"):
        Task(broker.queue().give).map("a", 7)  # type: ignore[arg-type]
    with pytest.raises(TasksRefused):
        Task(broker.queue().give, id="a").map("ab")
    assert len(broker) == 1


# Outcomes.


@pytest.mark.spec("ENV-MANY-4")
def test_wait_waits_for_all(broker: Broker, start: Start) -> None:
    deferreds = deferreds_of(broker, "abc")
    waiting = start(lambda: wait(iter(deferreds)))
    work(broker)
    done, not_done = waiting.answer()
    assert (done, not_done) == (set(deferreds), set())
    assert [deferred.has_value() for deferred in deferreds] == [True] * 3
    assert [deferred.value for deferred in deferreds] == ["a", "b", "c"]
    assert wait(deferreds, 0).done == set(deferreds)


@pytest.mark.parametrize("return_when", ["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"])
@pytest.mark.spec("ENV-MANY-4")
def test_timeout_of_nothing_looks_once(broker: Broker, return_when: Any) -> None:
    deferreds = deferreds_of(broker, "abc")
    run(broker, 2)
    done, not_done = wait(deferreds, 0, return_when)
    assert (done, not_done) == (set(deferreds[:2]), set(deferreds[2:]))
    assert wait([], 0, return_when) == (set(), set())


@pytest.mark.parametrize("return_when", ["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"])
@pytest.mark.spec("ENV-MANY-4", "ENV-WAIT-8")
def test_timeout_passes_by_the_clock_of_the_queue(
    broker: Broker, clock: ManualClock, start: Start, return_when: Any
) -> None:
    deferreds = deferreds_of(broker, "ab")
    waiting = start(lambda: wait(deferreds, 0.5, return_when))
    assert waiting.sleeps()
    clock.advance(499)
    assert waiting.sleeps()
    clock.advance(1)
    assert waiting.answer() == (set(), set(deferreds))


@pytest.mark.spec("ENV-MANY-4")
def test_wait_ends_with_the_first_outcome(broker: Broker, start: Start) -> None:
    deferreds = deferreds_of(broker, "abc")
    waiting = start(lambda: wait(deferreds, None, FIRST_COMPLETED))
    assert waiting.sleeps()
    run(broker, 1)
    assert waiting.answer() == (set(deferreds[:1]), set(deferreds[1:]))
    assert wait(deferreds, None, FIRST_COMPLETED) == (set(deferreds[:1]), set(deferreds[1:]))


@pytest.mark.spec("ENV-MANY-4")
def test_wait_ends_with_the_first_failure(broker: Broker, start: Start) -> None:
    deferreds = [
        call(broker.queue().give, "a"),
        call(broker.queue().boom, "b"),
        call(broker.queue().give, "c"),
    ]
    waiting = start(lambda: wait(deferreds, None, FIRST_EXCEPTION))
    assert waiting.sleeps()
    run(broker, 1)
    assert waiting.sleeps()
    run(broker, 1)
    assert waiting.answer() == (set(deferreds[:2]), set(deferreds[2:]))
    assert wait(deferreds, None, FIRST_EXCEPTION) == (set(deferreds[:2]), set(deferreds[2:]))
    expiry = call(broker.queue().give, "d")
    broker.task_failed(expiry)
    assert wait([deferreds[2], expiry], None, FIRST_EXCEPTION).done == {expiry}
    run(broker, 1)
    assert wait(deferreds[2:], None, FIRST_EXCEPTION).done == set(deferreds[2:])


@pytest.mark.parametrize("return_when", ["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"])
@pytest.mark.spec("ENV-MANY-4", "POP-3")
def test_a_result_that_is_passed_on_is_not_waited_for(broker: Broker, return_when: Any) -> None:
    arguments = deferreds_of(broker, "ab")
    dependent = call(broker.queue().give, "c", arguments)
    assert wait(arguments, None, return_when) == (set(), set(arguments))
    assert list(as_completed(arguments)) == []
    with pytest.raises(AttributeError, match="it was passed to another task"):
        _ = arguments[0].value
    broker.task_failed(dependent)
    assert wait([*arguments, dependent], None, FIRST_COMPLETED).done == {dependent}


@pytest.mark.spec("ENV-MANY-5")
def test_deferreds_come_as_they_are_completed(broker: Broker, start: Start) -> None:
    held, *others = deferreds_of(broker, "abc")
    run(broker, 1)
    assert held.wait(0)
    coming = as_completed([*others, held, held])
    assert next(coming) is held
    broker.task_failed(others[1])
    assert next(coming) is others[1]
    assert isinstance(others[1].held and others[1].held.failure, worq.TaskExpired)
    following = start(lambda: next(coming))
    assert following.sleeps()
    work(broker)
    assert following.answer() is others[0]
    assert list(coming) == []


@pytest.mark.spec("ENV-MANY-5")
def test_timeout_of_as_completed_begins_with_the_call(broker: Broker, clock: ManualClock) -> None:
    deferreds = deferreds_of(broker, "abc")
    coming = as_completed(deferreds, 0.5)
    clock.advance(499)
    run(broker, 1)
    assert next(coming) is deferreds[0]
    clock.advance(1)
    run(broker, 1)
    assert next(coming) is deferreds[1]
    with pytest.raises(TimeoutError, match=r"1 \(of 3\) outcomes are not there"):
        next(coming)


@pytest.mark.parametrize("collect", [wait, lambda *args: list(as_completed(*args))])
@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (([None],), TypeError, r"deferreds\[0\]: a Deferred is needed, not None"),
        ((7,), TypeError, "deferreds: an iterable is needed, not 7"),
        (([], -1), ValueError, "timeout: .* not -1"),
        (([], "soon"), TypeError, "timeout: .* not 'soon'"),
    ],
)
@pytest.mark.spec("ENV-BAD-2", "ENV-BAD-5")
def test_what_is_waited_for_is_checked(
    collect: Any, arguments: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        collect(*arguments)


@pytest.mark.spec("ENV-BAD-5")
def test_when_to_return_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="return_when: a constant of worq is needed, not 'soon'"):
        wait([], 0, "soon")  # type: ignore[arg-type]


@pytest.fixture
def queues(make_queue: MakeQueue, clock: ManualClock) -> list[AbstractTaskQueue]:
    """Several; of one of them there are two queue objects."""
    one, two = make_queue(clock=clock), make_queue(clock=clock)
    return [one, two, make_queue(one.name, clock)]


@pytest.fixture
def brokers(queues: list[AbstractTaskQueue]) -> list[Broker]:
    return [broker_of(queue) for queue in queues]


def one_each(brokers: Sequence[Broker]) -> list[Deferred]:
    return [
        call(broker.queue().give, task_id, task_id)
        for task_id, broker in zip("abc", brokers, strict=True)
    ]


@pytest.mark.spec("ENV-MANY-6")
def test_wait_is_for_several_queues(brokers: list[Broker], start: Start) -> None:
    deferreds = one_each(brokers)
    waiting = start(lambda: wait(deferreds))
    assert waiting.sleeps()
    work(brokers[1])
    assert waiting.sleeps()
    work(brokers[0])
    assert waiting.answer() == (set(deferreds), set())


@pytest.mark.spec("ENV-MANY-6", "ENV-MANY-5")
def test_deferreds_of_several_queues_come_as_they_are_completed(
    brokers: list[Broker], start: Start
) -> None:
    deferreds = one_each(brokers)
    coming = as_completed(deferreds)
    for index, worker in ((1, 1), (0, 0), (2, 0)):
        following = start(lambda: next(coming))
        assert following.sleeps()
        run(brokers[worker], 1)
        assert following.answer() is deferreds[index]
    assert list(coming) == []


@pytest.mark.spec("ENV-MANY-6", "ENV-WAIT-7")
def test_who_waits_for_several_queues_is_told_that_one_is_closed(
    brokers: list[Broker], queues: list[AbstractTaskQueue], start: Start
) -> None:
    deferreds = one_each(brokers)
    following = start(lambda: next(as_completed(deferreds)))
    assert following.sleeps()
    queues[0].close()
    assert isinstance(following.error(), QueueClosed)


@pytest.mark.spec("ENV-MANY-6")
def test_several_queues_and_a_timeout(
    brokers: list[Broker], clock: ManualClock, start: Start
) -> None:
    deferreds = one_each(brokers)
    waiting = start(lambda: wait(deferreds, 0.5, FIRST_COMPLETED))
    assert waiting.sleeps()
    clock.advance(500)
    assert waiting.answer() == (set(), set(deferreds))


class Counted(Broker):
    """Counts the operations that fetch."""

    operations = 0

    def fetch_many(self, tasks: Any, timeout: float | None) -> Any:
        self.operations += 1
        return super().fetch_many(tasks, timeout)


@pytest.mark.parametrize("comes", ["late", "early"])
@pytest.mark.spec("ENV-MANY-6")
def test_outcomes_are_fetched_together(queue: AbstractTaskQueue, start: Start, comes: str) -> None:
    broker = Counted(queue)
    broker.expose(abs)
    deferreds = Task(broker.queue().abs).map(range(1_000))
    waiting = start(lambda: wait(deferreds)) if comes == "early" else None
    assert waiting is None or waiting.sleeps()
    work(broker)
    waited = wait(deferreds) if waiting is None else waiting.answer()
    assert waited.done == set(deferreds)
    assert [deferred.value for deferred in deferreds] == list(range(1_000))
    assert broker.operations <= 13


@pytest.mark.spec("ENV-MANY-6")
def test_outcomes_that_come_in_another_order_are_fetched_too(
    queue: AbstractTaskQueue, start: Start
) -> None:
    broker = Counted(queue)
    broker.expose(abs)
    deferreds = Task(broker.queue().abs).map(range(600))
    waiting = start(lambda: wait(deferreds[::-1]))
    work(broker)
    assert waiting.answer().done == set(deferreds)


class Rude:
    """A value that interrupts whoever reads it for the first time."""

    interrupts = True

    def __reduce__(self) -> tuple[Any, ...]:
        return rude, ()


def rude() -> Rude:
    if Rude.interrupts:
        Rude.interrupts = False
        raise KeyboardInterrupt
    return Rude()


@pytest.mark.parametrize("collect", [wait, lambda each: list(as_completed(each))])
@pytest.mark.spec("ENV-MANY-7", "ENV-API-12")
def test_what_was_fetched_is_kept_when_reading_it_is_interrupted(
    broker: Broker, collect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rude, "interrupts", True)
    broker.expose(Rude)
    deferreds = [
        *deferreds_of(broker, "a"),
        call(broker.queue().Rude, "b"),
        *deferreds_of(broker, "c"),
    ]
    work(broker)
    with pytest.raises(KeyboardInterrupt):
        collect(deferreds)
    assert [broker.status(deferred) for deferred in deferreds] == [None] * 3
    assert wait(deferreds, 0).done == set(deferreds)
    assert [type(deferred.value) for deferred in deferreds] == [str, Rude, str]


class CutOff(Broker):
    """The connection is lost when some outcomes were fetched."""

    def fetch_many(self, tasks: Any, timeout: float | None) -> Any:
        error = BackendUnavailable("nobody there", "unknown")
        error.answers = super().fetch_many(tasks[:2], timeout)
        raise error


@pytest.mark.spec("ENV-MANY-7", "ENV-BULK-6")
def test_what_was_fetched_is_kept_when_the_operation_is_cut_off(queue: AbstractTaskQueue) -> None:
    broker = CutOff(queue)
    deferreds = deferreds_of(broker, "abc")
    work(broker_of(queue))
    with pytest.raises(BackendUnavailable):
        wait(deferreds, 0)
    assert [deferred.held is not None for deferred in deferreds] == [True, True, False]
    assert deferreds[2].wait(0)


@pytest.mark.parametrize("collect", [wait, lambda deferreds: list(as_completed(deferreds))])
@pytest.mark.spec("ENV-MANY-4", "ENV-MANY-5", "POP-5")
def test_of_two_deferreds_of_one_task_one_gets_the_outcome(
    broker: Broker, collect: Callable[[list[Deferred]], object]
) -> None:
    (deferred,) = deferreds_of(broker, "a")
    both = [deferred, broker.deferred("a", deferred.name, deferred.token)]
    work(broker)
    collect(both)
    helds = [each.held for each in both]
    assert sorted(held.kind for held in helds if held is not None) == ["expired", "result"]


@pytest.mark.spec("ENV-MANY-4", "ENV-API-6")
def test_deferreds_out_of_pickles_are_waited_for(make_queue: MakeQueue) -> None:
    queue = make_queue()
    deferreds = [pickled(deferred) for deferred in deferreds_of(Broker(queue), "ab")]
    work(broker_of(queue))
    assert wait(deferreds).done == set(deferreds)
