"""The seam between values and messages: pickle, and what others must be able to do."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import worq
from worq import Broker, Deferred, TaskExpired, TaskFailure
from worq.messages import Passed, decoder, no_arguments, refuse_deferreds
from worq.serializer import Pickle, StandIn


def nothing(value: object) -> StandIn | None:
    del value
    return None


@pytest.fixture
def broker() -> Iterator[Broker]:
    with worq.get_broker("memory://unit") as broker:
        yield broker


@pytest.fixture
def deferred(broker: Broker) -> Deferred:
    return broker.deferred("a", "f")


@dataclass
class Box:
    content: Any


PLACES: dict[str, Callable[[Any], Any]] = {
    "itself": lambda x: x,
    "tuple": lambda x: (1, x),
    "list": lambda x: [[x]],
    "dict": lambda x: {"k": {"l": x}},
    "key": lambda x: {x: 1},
    "set": lambda x: {x},
    "dataclass": lambda x: Box(Box(x)),
    "exception": ValueError,
}


@pytest.mark.spec("ENV-SER-1")
@pytest.mark.parametrize("value", [None, 0, "a", b"b", [], {"a": (1, 2.5)}, {1, 2}, 1 << 100])
@pytest.mark.parametrize("protocol", [2, 5])
def test_pickle_gives_back_what_it_was_given(value: object, protocol: int) -> None:
    message = Pickle(protocol).dumps(value, nothing)
    assert Pickle().loads(message, decoder(Pickle().loads, no_arguments)) == value


@pytest.mark.spec("CALL-1")
@pytest.mark.parametrize("place", PLACES)
def test_deferred_is_found_wherever_it_is(place: str, deferred: Deferred) -> None:
    passed = Passed(Pickle())
    message = Pickle().dumps(PLACES[place](deferred), passed.encode)
    assert passed.awaited == [deferred]
    found = Pickle().loads(
        message, decoder(Pickle().loads, lambda task_id, name, _: f"{name}:{task_id}")
    )
    assert repr(found) == repr(PLACES[place]("f:a"))


def test_deferred_that_is_repeated_becomes_one_object(deferred: Deferred) -> None:
    passed = Passed(Pickle())
    message = Pickle().dumps([deferred, {"again": deferred}], passed.encode)
    found: Any = Pickle().loads(message, decoder(Pickle().loads, lambda *_: object()))
    assert found[0] is found[1]["again"]


def test_two_deferreds_of_one_task_become_one_object(broker: Broker, deferred: Deferred) -> None:
    passed = Passed(Pickle())
    message = Pickle().dumps([deferred, broker.deferred("a", "f")], passed.encode)
    found: Any = Pickle().loads(message, decoder(Pickle().loads, lambda *_: object()))
    assert found[0] is found[1]


@pytest.mark.spec("ENV-SER-2")
@pytest.mark.parametrize("place", PLACES)
def test_deferred_is_refused_without_being_touched(
    place: str, broker: Broker, deferred: Deferred
) -> None:
    with pytest.raises(TypeError, match=r"<Deferred f \[default:a\] incomplete>"):
        broker.serialize(PLACES[place](deferred))
    assert not deferred.has_value()


@pytest.mark.spec("ENV-SER-2")
def test_held_deferred_is_refused_too(broker: Broker, deferred: Deferred) -> None:
    assert deferred.wait(0)  # there is no such task: it has expired
    with pytest.raises(TypeError, match="a Deferred can't be part of it"):
        broker.serialize([deferred])


def test_held_deferred_stands_for_its_outcome(broker: Broker, deferred: Deferred) -> None:
    deferred.wait(0)
    (found,) = broker.deserialize(broker.serialize([deferred], deferred=True))
    assert type(found) is TaskExpired
    assert str(found) == "f [default:a] task expired"


def test_message_with_deferreds_needs_their_task(broker: Broker, deferred: Deferred) -> None:
    message = broker.serialize([deferred], deferred=True)
    with pytest.raises(ValueError, match="task_id is needed"):
        broker.deserialize(message)


def test_failure_is_a_value_like_others(broker: Broker) -> None:
    failure = TaskFailure("f", "default", "a", "it")
    failure.__cause__ = TaskExpired("g", "default", "b", "task expired")
    found = broker.deserialize(broker.serialize({"why": failure}))["why"]
    assert (type(found), str(found)) == (TaskFailure, str(failure))
    assert (type(found.__cause__), str(found.__cause__)) == (TaskExpired, str(failure.__cause__))


class Explosive:
    def __reduce__(self) -> Any:
        raise ZeroDivisionError("no")


def test_what_pickling_raises_passes_through(broker: Broker) -> None:
    with pytest.raises(ZeroDivisionError, match="no"):
        broker.serialize([Explosive()])


def test_only_worq_reads_a_message_with_stand_ins(broker: Broker, deferred: Deferred) -> None:
    message = broker.serialize(deferred, deferred=True)
    with pytest.raises(pickle.UnpicklingError, match="only worq can read"):
        pickle.loads(message)  # noqa: S301 - the pickle is our own


@pytest.mark.parametrize("stand_in", [[], ["new"], ["deferred", 1, 2], ["failure", []], 5])
def test_unknown_stand_in_is_refused(stand_in: Any) -> None:
    with pytest.raises(ValueError, match=r"stand-in|failure"):
        decoder(Pickle().loads, no_arguments)(stand_in)


def test_pickle_shows_its_protocol() -> None:
    assert repr(Pickle()) == "Pickle(protocol=5)"


def test_large_plain_values_are_pickled_without_asking_about_each() -> None:
    asked: list[object] = []

    def ask(value: object) -> StandIn | None:
        asked.append(value)
        return refuse_deferreds(value)

    Pickle().dumps([list(range(1000)), {"a": "b"}, (1.5, None, True, b"")], ask)
    assert asked == []
