"""Names, handles and options, before anything reaches a queue."""

import copy
import inspect
import pickle
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from math import inf, nan
from typing import Any

import pytest

import worq
from tests.backends.brokers import pickled
from worq import (
    BackendUnavailable,
    Broker,
    DuplicateTask,
    Queue,
    QueueClosed,
    Task,
    TaskExpired,
    TaskFailure,
    TaskSpace,
    WorqError,
)
from worq.failures import CAUSES_MAX, ERROR_CHARS_MAX, describe, shorten


@pytest.fixture
def broker() -> Iterator[Broker]:
    with worq.get_broker("memory://unit") as broker:
        yield broker
        broker.discard_pending_tasks()


@pytest.fixture
def q(broker: Broker) -> Queue:
    return broker.queue()


# Failures.


@pytest.mark.spec("ENV-API-1")
def test_failure_has_its_four_attributes_and_shows_them() -> None:
    failure = TaskFailure("foo.bar", "default", "ID", "ValueError: no")
    assert failure.task_name == "foo.bar"
    assert failure.queue == "default"
    assert failure.task_id == "ID"
    assert failure.error == "ValueError: no"
    assert str(failure) == "foo.bar [default:ID] ValueError: no"


@pytest.mark.spec("ENV-API-1")
def test_errors_derive_from_one_another() -> None:
    assert issubclass(TaskExpired, TaskFailure)
    assert issubclass(DuplicateTask, TaskFailure)
    assert issubclass(TaskFailure, WorqError)
    assert issubclass(QueueClosed, WorqError)
    assert issubclass(BackendUnavailable, WorqError)
    assert issubclass(BackendUnavailable, ConnectionError)


@pytest.mark.spec("ENV-API-1")
@pytest.mark.parametrize("cls", [TaskFailure, TaskExpired, DuplicateTask])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_failure_is_pickled_with_its_cause(cls: type[TaskFailure], protocol: int) -> None:
    failure = cls("f", "q", "1", "it")
    failure.__cause__ = TaskExpired("g", "q", "2", "task expired")
    copied = pickled(failure, protocol)
    assert type(copied) is cls
    assert str(copied) == str(failure)
    assert type(copied.__cause__) is TaskExpired
    assert str(copied.__cause__) == "g [q:2] task expired"
    assert traceback.format_exception(copied) == traceback.format_exception(failure)


@pytest.mark.spec("ENV-API-1")
def test_an_expiry_says_in_a_note_what_it_may_mean() -> None:
    class OwnExpired(TaskExpired):
        pass

    for cls in (TaskExpired, OwnExpired):
        failure = cls("f", "q", "1", "task expired")
        assert str(failure) == "f [q:1] task expired"
        assert str(cls("", "q", "1", "task expired")) == "[q:1] task expired"
        (note,) = failure.__notes__
        assert "its worker died" in note
        assert note in "".join(traceback.format_exception(failure))
        assert copy.copy(failure).__notes__ == [note]


@pytest.mark.spec("ENV-API-1")
def test_failure_that_is_its_own_cause_can_be_pickled() -> None:
    failure = TaskFailure("f", "q", "1", "it")
    failure.__cause__ = failure
    copied: BaseException | None = pickled(failure)
    depth = 0
    while copied is not None:
        copied, depth = copied.__cause__, depth + 1
    assert depth == CAUSES_MAX


class OwnFailure(TaskFailure):
    pass


def test_failure_of_an_own_class_keeps_it() -> None:
    assert type(pickled(OwnFailure("f", "q", "1", "it"))) is OwnFailure


class Mute(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


@pytest.mark.spec("RUN-2")
def test_exception_that_has_no_text_is_described_by_its_type() -> None:
    assert describe(Mute()) == "Mute: (its text can't be had: SystemExit)"


@pytest.mark.spec("RUN-2")
def test_text_of_an_exception_is_bounded() -> None:
    text = describe(ValueError("x" * (ERROR_CHARS_MAX + 1)))
    assert text.startswith("ValueError: xxx")
    assert text.endswith("xxx... (1 more characters)")
    assert len(text) < ERROR_CHARS_MAX + 100


@pytest.mark.spec("RUN-2")
def test_text_that_is_cut_again_says_once_what_it_lacks() -> None:
    first = describe(ValueError("x" * (ERROR_CHARS_MAX + 1_000)))
    again = describe(TaskFailure("f", "q", "a", first))
    total = len("f [q:a] ValueError: ") + ERROR_CHARS_MAX + 1_000
    assert again.endswith(f"xxx... ({total - ERROR_CHARS_MAX} more characters)")
    assert again.count("more characters") == 1
    assert shorten(again, 100).endswith(
        f"... ({len('TaskFailure: ') + total - 100} more characters)"
    )


@pytest.mark.spec("RUN-2")
@pytest.mark.parametrize(
    "text", ["... (5 more characters)", "x... (5 more characters)", "... (5 more characters) x"]
)
def test_text_that_fits_stays_as_it_is(text: str) -> None:
    assert shorten(text, len(text)) == text


# Queues.


@pytest.mark.spec("ENV-API-2")
def test_queue_shows_its_target_and_its_name(q: Queue) -> None:
    assert repr(q.foo) == "<Queue foo [default]>"
    assert repr(q.foo.bar) == "<Queue foo.bar [default]>"
    assert repr(q) == "<Queue [default]>"
    assert str(q.foo.bar) == "foo.bar"
    assert str(q) == ""


@pytest.mark.spec("ENV-API-2")
def test_task_shows_its_name(q: Queue) -> None:
    task = Task(q.foo.bar)
    assert repr(task) == "<Task foo.bar [default]>"
    assert task.name == "foo.bar"


@pytest.mark.spec("ENV-API-2")
def test_queue_begins_with_a_target(broker: Broker) -> None:
    assert str(broker.queue("foo").bar) == "foo.bar"
    assert str(Queue(broker, "foo.bar")) == "foo.bar"


@pytest.mark.spec("ENV-API-3")
def test_empty_queue_is_true(q: Queue) -> None:
    assert len(q) == 0
    assert bool(q) is True


@pytest.mark.spec("ENV-API-3")
def test_queues_of_one_broker_are_equal(broker: Broker) -> None:
    with worq.get_broker("memory://unit") as other:
        assert broker.queue().foo == broker.queue().bar
        assert len({broker.queue().foo, broker.queue().bar}) == 1
        assert broker.queue() != other.queue()
        assert broker.queue() != "foo"


@pytest.mark.spec("ENV-API-3")
@pytest.mark.parametrize("name", ["__wrapped__", "__array__", "__iter__", "__name__"])
def test_dunder_name_is_no_task(q: Queue, name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(q.foo, name)


@pytest.mark.parametrize("name", ["items", "name", "broker", "_private", "__half", "copy"])
def test_plain_name_is_a_task(q: Queue, name: str) -> None:
    assert str(getattr(q, name)) == name


@pytest.mark.spec("ENV-API-3")
@pytest.mark.parametrize("key", [0, slice(1), slice(None, None, 2), "foo", None])
def test_only_the_whole_queue_can_be_deleted(q: Queue, key: Any) -> None:
    q.f()
    with pytest.raises(ValueError, match="del queue"):
        del q[key]
    assert len(q) == 1


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copying_a_queue_calls_no_task(q: Queue, copied: Callable[[Queue], Queue]) -> None:
    other = copied(q.foo)
    assert other == q
    assert str(other.bar) == "foo.bar"
    assert len(q) == 0


def test_queue_is_not_pickled(q: Queue) -> None:
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(q.foo)
    assert len(q) == 0


def test_queue_that_was_not_made_has_no_attributes() -> None:
    with pytest.raises(AttributeError):
        _ = Queue.__new__(Queue).foo


def test_queue_without_a_target_is_no_task(q: Queue) -> None:
    with pytest.raises(ValueError, match=r"target: .* call a task as queue\.NAME\("):
        q(1)
    assert len(q) == 0


def test_queue_is_no_container(q: Queue) -> None:
    anything: Any = q
    with pytest.raises(TypeError):
        iter(anything)
    with pytest.raises(TypeError):
        "foo" in anything  # noqa: B015


# Options.


@pytest.mark.spec("ENV-API-5", "ENV-BAD-4", "ENV-BAD-5")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("on_error", "raise"),
        ("on_error", None),
        ("ignore_result", "no"),
        ("ignore_result", 1),
        ("result_timeout", "soon"),
        ("result_timeout", 0),
        ("result_timeout", -1),
        ("result_timeout", nan),
        ("result_timeout", None),
        ("heartrate", 0),
        ("heartrate", -0.1),
        ("heartrate", inf),
        ("heartrate", nan),
        ("heartrate", "30"),
        ("attempts", 0),
        ("attempts", 1.0),
        ("attempts", True),
        ("attempts", 1_000_001),
        ("time_limit", 0),
        ("time_limit", -1),
        ("time_limit", nan),
        ("time_limit", "10"),
        ("time_limit", True),
        ("id", ""),
        ("id", "\ud800"),
    ],
)
def test_option_that_makes_no_sense_is_refused_with_name_and_value(
    broker: Broker, name: str, value: Any
) -> None:
    for make in (
        partial(Task, broker.queue().f),
        partial(Queue, broker, "f"),
        partial(broker.queue, "f"),
        lambda **options: Task(broker.queue().f).with_options(options),
    ):
        with pytest.raises(ValueError, match=name) as caught:
            make(**{name: value})
        assert repr(value) in str(caught.value)


@pytest.mark.spec("ENV-API-5", "ENV-BAD-1")
def test_id_that_is_no_string_is_a_type_error(q: Queue) -> None:
    with pytest.raises(TypeError, match="id: a string is needed, not 5"):
        Task(q.f, id=5)  # type: ignore[arg-type]


@pytest.mark.spec("ENV-API-5")
def test_unknown_option_is_refused_with_name_and_value(broker: Broker) -> None:
    with pytest.raises(TypeError, match=r"retries=3.*heartrate"):
        Task(broker.queue().f, retries=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="retries=3"):
        Queue(broker, retries=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="retries=3"):
        Task(broker.queue().f).with_options({"retries": 3})  # type: ignore[typeddict-unknown-key]


@pytest.mark.spec("ENV-API-5")
def test_task_of_something_else_than_a_queue_is_refused() -> None:
    with pytest.raises(TypeError, match="queue: a Queue is needed, not 'foo'"):
        Task("foo")  # type: ignore[arg-type]


def test_task_has_its_options_as_attributes(q: Queue) -> None:
    task = Task(q.f, "a", Task.PASS, True, inf, 0.5, 3, 10)
    assert task.queue is not None
    assert task.id == "a"
    assert task.on_error == Task.PASS == "pass"
    assert task.ignore_result is True
    assert task.result_timeout == inf
    assert task.heartrate == 0.5
    assert task.attempts == 3
    assert task.time_limit == 10
    assert Task(q.f, time_limit=inf).time_limit == inf
    assert Task(Queue(q.__target__.broker, "f", time_limit=10), time_limit=None).time_limit is None


def test_options_have_the_defaults_of_the_reference(q: Queue) -> None:
    task = Task(q.f)
    assert task.id is None
    assert task.on_error == Task.FAIL == "fail"
    assert task.ignore_result is False
    assert task.result_timeout == 3600
    assert task.heartrate == 30
    assert task.attempts == 1
    assert task.time_limit is None


def test_signature_of_task_shows_the_defaults() -> None:
    shown = {name: p.default for name, p in inspect.signature(Task).parameters.items()}
    assert shown["on_error"] == "fail"
    assert shown["ignore_result"] == False  # noqa: E712 - it compares as that, and is not that
    assert repr(shown["result_timeout"]) == "3600"
    assert {shown["heartrate"]: 1} == {30: 1}


def test_task_takes_what_it_is_not_given_from_its_queue(broker: Broker) -> None:
    q = broker.queue(on_error=Task.PASS, heartrate=5, id="a")
    task = Task(q.f, on_error=Task.FAIL, result_timeout=1)
    assert task.on_error == "fail"
    assert task.heartrate == 5
    assert task.result_timeout == 1
    assert task.id == "a"


def test_with_options_changes_a_copy(q: Queue) -> None:
    task = Task(q.f, id="a", heartrate=5)
    other = task.with_options({"on_error": Task.PASS, "id": "b"})
    assert (other.id, other.on_error, other.heartrate) == ("b", "pass", 5)
    assert (task.id, task.on_error, task.heartrate) == ("a", "fail", 5)


@pytest.mark.spec("ENV-API-5")
def test_id_may_be_a_function_of_the_arguments(q: Queue) -> None:
    deferred = Task(q.f, id=lambda x, y: f"{x}-{y}")(1, y=2)
    assert deferred is not None
    assert deferred.id == "1-2"


@pytest.mark.spec("ENV-API-5", "ENV-BAD-1")
@pytest.mark.parametrize("given", [None, 5, b"a", ""])
def test_function_that_gives_no_id_is_refused_at_the_call(q: Queue, given: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="id: "):
        Task(q.f, id=lambda: given)()
    assert len(q) == 0


def test_each_call_has_an_id_of_its_own(q: Queue) -> None:
    one, two = q.f(), q.f()
    assert one is not None
    assert two is not None
    assert one.id != two.id


def test_arguments_may_have_any_name(q: Queue) -> None:
    assert q.f(self=1, queue=2, id=3, options=4) is not None
    assert Task(q.f)(self=1, queue=2, id=3, options=4) is not None


# Task spaces.


def double(x: int) -> int:
    return 2 * x


@pytest.mark.spec("ENV-API-4")
def test_task_space_is_a_decorator_and_joins_names() -> None:
    space = TaskSpace("foo")
    assert space.task(double) is double
    assert space.task(double, "twice") is double
    assert space.tasks == {"foo.double": double, "foo.twice": double}


@pytest.mark.spec("ENV-API-4")
def test_task_space_may_have_no_name() -> None:
    space = TaskSpace()
    space.task(double)
    assert space.tasks == {"double": double}


@pytest.mark.spec("ENV-API-4")
def test_name_that_is_there_is_refused() -> None:
    space = TaskSpace("foo")
    space.task(double)
    with pytest.raises(ValueError, match=r"'foo\.double'"):
        space.task(print, "double")
    assert space.tasks == {"foo.double": double}


@pytest.mark.parametrize("nameless", [lambda: None, partial(double, 1)])
def test_callable_without_a_name_needs_one(nameless: Callable[..., Any]) -> None:
    space = TaskSpace("foo")
    with pytest.raises(ValueError, match="name: it has none of its own"):
        space.task(nameless)
    space.task(nameless, "named")
    assert list(space.tasks) == ["foo.named"]


def test_what_is_not_callable_is_no_task() -> None:
    with pytest.raises(TypeError, match="callable: a function or method is needed, not 5"):
        TaskSpace("foo").task(5)  # type: ignore[type-var]


def test_method_goes_by_its_name() -> None:
    space = TaskSpace()
    space.task("a b".split)
    assert list(space.tasks) == ["split"]


def test_task_space_shows_its_tasks() -> None:
    space = TaskSpace("foo")
    space.task(double)
    assert repr(space) == "<TaskSpace foo [foo.double]>"


@pytest.mark.parametrize("name", [5, None])
def test_name_of_a_task_space_is_a_string(name: Any) -> None:
    with pytest.raises(TypeError, match="name: a string is needed"):
        TaskSpace(name)
