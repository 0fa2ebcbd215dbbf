"""Misuse of what applications call: each error names the argument and shows the value."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from worq import Broker, get_broker
from worq.pool.thread import WorkerPool
from worq.serializer import Encode, Pickle

pytestmark = pytest.mark.spec("ENV-BAD-5")


@pytest.fixture
def broker() -> Iterator[Broker]:
    with get_broker("memory://misuse") as opened:
        yield opened


@pytest.mark.parametrize("limit", ["x", 1.5, None, True])
def test_a_limit_that_is_no_number_is_refused(limit: object) -> None:
    with pytest.raises(TypeError, match=r"message_bytes_max: .*not "):
        get_broker("memory://misuse", message_bytes_max=limit)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_byte_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=rf"message_bytes_max: .*{limit}"):
        get_broker("memory://misuse", message_bytes_max=limit)


def test_an_option_that_the_backend_lacks_is_refused() -> None:
    with pytest.raises(TypeError, match=r"wrokers: .*5; there are .*message_bytes_max"):
        get_broker("memory://misuse", wrokers=5)


def test_a_serializer_without_dumps_and_loads_is_refused() -> None:
    with pytest.raises(TypeError, match=r"serializer: .*5"):
        get_broker("memory://misuse", serializer=5)  # type: ignore[arg-type]


def test_a_broker_needs_a_queue() -> None:
    with pytest.raises(TypeError, match=r"taskqueue: .*'x'"):
        Broker("x")  # type: ignore[arg-type]


def test_a_pool_needs_a_broker() -> None:
    with pytest.raises(TypeError, match=r"broker: .*'x'"):
        WorkerPool("x")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["status", "task_failed", "pop_result"])
def test_what_is_no_task_is_refused(broker: Broker, name: str) -> None:
    with pytest.raises(TypeError, match=r"task: .*'x'"):
        getattr(broker, name)("x")


@pytest.mark.spec("ENV-BAD-8")
@pytest.mark.parametrize("argument", [threading.Lock(), lambda: 1, json])
@pytest.mark.parametrize(
    ("name", "args", "kw"),
    [
        (r"args\[0\]", ["BAD", 2], {}),
        (r"args\[1\]", [1, "BAD"], {"key": 3}),
        ("key", [1], {"more": 2, "key": "BAD"}),
    ],
)
def test_an_argument_that_cannot_be_serialized_is_told_with_its_task(
    broker: Broker, argument: Any, name: str, args: list[Any], kw: dict[str, Any]
) -> None:
    args = [argument if value == "BAD" else value for value in args]
    kw = {key: argument if value == "BAD" else value for key, value in kw.items()}
    with pytest.raises(TypeError, match=rf"^{name}: <.*, of the task 'send', can't be") as caught:
        broker.queue().send(*args, **kw)
    cause = caught.value.__cause__
    assert cause is not None
    assert str(caught.value).endswith(f" serialized: {type(cause).__name__}: {cause}")
    assert len(broker) == 0


class Broken:
    """Nothing can be done with it."""

    def __repr__(self) -> str:
        raise OSError

    def __reduce__(self) -> str:
        raise ArithmeticError("it is broken")


@pytest.mark.spec("ENV-BAD-8")
def test_an_argument_that_cannot_even_be_shown_is_told_with_its_task(broker: Broker) -> None:
    with pytest.raises(TypeError, match=r"Broken.*ArithmeticError: it is broken") as caught:
        broker.queue().send([Broken()])
    assert str(caught.value).startswith("args[0]: ")


class Tired(Pickle):
    """It serializes nothing the first time."""

    tried = False

    def dumps(self, value: object, encode: Encode) -> bytes:
        if not self.tried:
            self.tried = True
            raise ArithmeticError("not yet")
        return super().dumps(value, encode)


@pytest.mark.spec("ENV-BAD-8")
def test_arguments_of_which_each_can_be_serialized_are_told_with_their_task() -> None:
    with get_broker("memory://misuse", serializer=Tired()) as broker:
        with pytest.raises(TypeError, match="args, of the task 'send', can't"):
            broker.queue().send(1, key=2)
        assert len(broker) == 0
