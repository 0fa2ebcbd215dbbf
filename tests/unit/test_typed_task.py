"""`typed`: which task it calls, with which options. What type checkers make of it: tests/typing."""

from collections.abc import Iterator
from typing import Any

import pytest

import worq
from tests.backends.brokers import work
from worq import Broker, Deferred, TaskSpace, typed


def add(x: int, y: int = 0) -> int:
    return x + y


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def up(self, by: int) -> int:
        self.count += by
        return self.count


@pytest.fixture
def broker() -> Iterator[Broker]:
    with worq.get_broker("memory://typed") as broker:
        yield broker
        broker.discard_pending_tasks()


def spaced(name: str, function: Any) -> TaskSpace:
    space = TaskSpace(name)
    space.task(function)
    return space


@pytest.mark.spec("ENV-TYPE-1")
@pytest.mark.parametrize(
    ("space", "target"), [("", ""), ("maths", ""), ("maths", "maths"), ("a.b", "a")]
)
def test_the_name_is_that_of_the_task_exposed(broker: Broker, space: str, target: str) -> None:
    broker.expose(spaced(space, add))
    deferred = typed(broker.queue(target), add)(1, y=2)
    assert deferred.name == f"{space}.add".lstrip(".")
    assert work(broker) == 1
    assert deferred.value == 3


@pytest.mark.spec("ENV-TYPE-1")
def test_a_queue_may_stand_for_the_task_itself(broker: Broker) -> None:
    broker.expose(spaced("maths", add))
    assert typed(broker.queue().maths.add, add).task.name == "maths.add"


@pytest.mark.spec("ENV-TYPE-1")
def test_a_method_is_the_task_of_its_object(broker: Broker) -> None:
    ours, other = Counter(), Counter()
    broker.expose(ours.up)
    deferred = typed(broker.queue(), ours.up)(5)
    work(broker)
    assert (deferred.value, ours.count) == (5, 5)
    with pytest.raises(ValueError, match="exposes no task there"):
        typed(broker.queue(), other.up)


@pytest.mark.spec("ENV-TYPE-1")
def test_what_is_not_exposed_there_is_refused(broker: Broker) -> None:
    with pytest.raises(
        ValueError, match=r"func: the broker of <Queue \[default\]> exposes no task .*<function add"
    ):
        typed(broker.queue(), add)
    broker.expose(spaced("maths", add))
    for target in ("math", "maths.ad", "maths.add.more", "other"):
        with pytest.raises(ValueError, match=f"<Queue {target} "):
            typed(broker.queue(target), add)
    assert len(broker) == 0


@pytest.mark.spec("ENV-TYPE-1")
def test_several_names_are_shown_and_one_must_be_said(broker: Broker) -> None:
    broker.expose(spaced("maths", add))
    broker.expose(spaced("sums", add))
    with pytest.raises(ValueError, match=r"as maths\.add, sums\.add: say which"):
        typed(broker.queue(), add)
    assert typed(broker.queue("sums"), add).task.name == "sums.add"


@pytest.mark.spec("ENV-TYPE-2")
def test_its_options_count_before_those_of_the_queue(broker: Broker) -> None:
    broker.expose(add)
    task = typed(broker.queue(attempts=2, heartrate=7), add, attempts=3, id="ours").task
    assert (task.attempts, task.heartrate, task.id) == (3, 7, "ours")
    with pytest.raises(ValueError, match=r"attempts: .*0"):
        typed(broker.queue(), add, attempts=0)
    with pytest.raises(TypeError, match="nonsense"):
        typed(broker.queue(), add, nonsense=1)  # type: ignore[call-overload]


@pytest.mark.spec("ENV-TYPE-2")
def test_to_ignore_results_must_be_said_to_it(broker: Broker) -> None:
    broker.expose(add)
    ignoring = broker.queue(ignore_result=True)
    with pytest.raises(ValueError, match="ignore_result"):
        typed(ignoring, add)
    call: Any = typed(ignoring, add, ignore_result=True)
    assert call(1) is None
    assert isinstance(typed(ignoring, add, ignore_result=False)(1), Deferred)
    assert len(broker) == 2


def test_deferreds_are_arguments(broker: Broker) -> None:
    broker.expose(add)
    call = typed(broker.queue(), add)
    seven = call(call(1, 2), 4)
    assert work(broker) == 2
    assert seven.value == 7


def test_what_makes_no_sense_is_a_type_error(broker: Broker) -> None:
    wrong: Any = typed
    with pytest.raises(TypeError, match=r"queue: a Queue is needed, not <Broker"):
        wrong(broker, add)
    with pytest.raises(TypeError, match=r"func: a function or method is needed, not 'add'"):
        wrong(broker.queue(), "add")


@pytest.mark.spec("ENV-API-4")
def test_exposed_functions_stay_plain_functions(broker: Broker) -> None:
    space = TaskSpace("maths")
    assert space.task(add) is add
    assert broker.expose(add) is add
    assert broker.expose(space) is space
    assert add(1, 2) == 3
    assert len(broker) == 0


def test_it_shows_its_name_and_queue(broker: Broker) -> None:
    broker.expose(spaced("maths", add))
    assert repr(typed(broker.queue(), add)) == "<TypedTask maths.add [default]>"
    assert typed(broker.queue(), add).func is add


def test_a_deferred_can_be_subscripted_and_is_otherwise_the_same(broker: Broker) -> None:
    broker.expose(add)
    deferred: Deferred[int] = typed(broker.queue(), add)(1)
    assert type(deferred) is Deferred
    assert repr(Deferred[int]) == "worq.deferred.Deferred[int]"
    work(broker)
    assert deferred.wait(0)
