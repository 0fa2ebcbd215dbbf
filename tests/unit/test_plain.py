"""Serializers that carry data and nothing else: what they carry, what they refuse, and that they run nothing."""

import enum
import math
import sys
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import worq
from tests.unit.hostile import nested
from worq import Deferred, MessageRefused, TaskExpired, TaskFailure
from worq.messages import Passed, decoder
from worq.serializer import Json, MsgPack, NotPlain, Serializer, StandIn
from worq.serializer.plain import DEPTH_MAX

SERIALIZERS: dict[str, Callable[[], Serializer]] = {"json": Json, "msgpack": MsgPack}
INT64 = st.integers(-(2**63), 2**64 - 1)
TEXTS = st.text()
PLAIN = st.recursive(
    st.none() | st.booleans() | INT64 | st.floats() | TEXTS | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from("!ab") | TEXTS, inner)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


@pytest.fixture(params=SERIALIZERS)
def serializer(request: pytest.FixtureRequest) -> Serializer:
    return SERIALIZERS[request.param]()


def nothing(value: object) -> StandIn | None:
    del value
    return None


def no_stand_in(stand_in: StandIn) -> object:
    raise AssertionError(stand_in)


def as_lists(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [as_lists(each) for each in value]
    if isinstance(value, dict):
        return {key: as_lists(each) for key, each in value.items()}
    return value


def kinds(value: Any) -> Any:
    """The value with the type of each part, so that 1 is not True; NaN is NaN."""
    if isinstance(value, list):
        return [kinds(each) for each in value]
    if isinstance(value, dict):
        return {key: kinds(each) for key, each in value.items()}
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return type(value), value, math.copysign(1, value) if isinstance(value, float) else None


@pytest.mark.spec("ENV-SER-4")
@pytest.mark.parametrize("name", SERIALIZERS)
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(value=PLAIN)
def test_data_comes_back_and_tuples_as_lists(name: str, value: object) -> None:
    serializer = SERIALIZERS[name]()
    found = serializer.loads(serializer.dumps(value, nothing), no_stand_in)
    assert kinds(found) == kinds(as_lists(value))


@pytest.mark.spec("ENV-SER-4")
@pytest.mark.parametrize(
    "value",
    [{"!": 1}, {"!": ["worq", []], "a": 1}, {"!": ["dict", [["!", 1]]]}, {"a": {"!": b"!"}}],
)
def test_data_that_looks_like_a_mark_is_data(serializer: Serializer, value: object) -> None:
    assert serializer.loads(serializer.dumps(value, nothing), no_stand_in) == value


@pytest.mark.spec("ENV-SER-4")
def test_json_is_readable_json() -> None:
    assert Json().dumps([1, "ä", b"f(1)", b"\xff", {"!": 2}], nothing) == (
        b'[1,"\\u00e4",{"!":["ascii","f(1)"]},{"!":["base64","/w=="]},{"!":["dict",[["!",2]]]}]'
    )


def test_msgpack_is_smaller() -> None:
    value = [list(range(100)), b"\xff" * 100]
    assert 2 * len(MsgPack().dumps(value, nothing)) < len(Json().dumps(value, nothing))


@pytest.mark.parametrize("serializer", [Json(), MsgPack()], ids=repr)
def test_they_say_what_they_are(serializer: Serializer) -> None:
    assert repr(serializer) == f"{type(serializer).__name__}()"


# Deferreds and failures in data.

PLACES: dict[str, Callable[[Any], Any]] = {
    "itself": lambda x: x,
    "tuple": lambda x: (1, x),
    "list": lambda x: [[x]],
    "dict": lambda x: {"k": {"l": x}},
    "dict that looks like a mark": lambda x: {"!": x},
}


@pytest.mark.spec("ENV-SER-4", "CALL-1")
@pytest.mark.parametrize("place", PLACES)
def test_deferred_is_found_in_data(serializer: Serializer, place: str) -> None:
    with worq.get_broker("memory://unit") as broker:
        deferred = broker.deferred("a", "f")
    passed = Passed(serializer)
    message = serializer.dumps(PLACES[place](deferred), passed.encode)
    assert passed.awaited == [deferred]
    found = serializer.loads(
        message, decoder(serializer.loads, lambda task_id, name, _: f"{name}:{task_id}")
    )
    assert found == as_lists(PLACES[place]("f:a"))


@pytest.mark.spec("ENV-SER-4")
@pytest.mark.parametrize("name", [*SERIALIZERS, "signed+json", "signed+msgpack"])
def test_failure_and_held_values_are_carried(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORQ_SECRET", "k" * 16)
    failure = TaskFailure("f", "default", "a", "it")
    failure.__cause__ = TaskExpired("g", "default", "b", "task expired")
    with worq.get_broker("memory://unit", serializer=name) as broker:
        gone = broker.deferred("a", "f")
        assert gone.wait(0)
        value = {"why": [failure], "gone": gone, "bytes": b"\xff"}
        found = broker.deserialize(broker.serialize(value, deferred=True))
    (why,) = found["why"]
    assert (type(why), str(why), str(why.__cause__)) == (
        TaskFailure,
        str(failure),
        str(failure.__cause__),
    )
    assert type(found["gone"]) is TaskExpired
    assert found["bytes"] == b"\xff"


@pytest.mark.spec("ENV-SER-2")
def test_deferred_is_refused_in_data_too(serializer: Serializer) -> None:
    with worq.get_broker("memory://unit", serializer=serializer) as broker:
        deferred = broker.deferred("a", "f")
        with pytest.raises(TypeError, match=r"<Deferred f \[default:a\] incomplete>"):
            broker.serialize([{"k": deferred}])
    assert not deferred.has_value()


# What is no data.


class Text(str):
    __slots__ = ()


class Number(enum.IntEnum):
    ONE = 1


@dataclass
class Box:
    content: int


Pair = namedtuple("Pair", "a b")  # noqa: PYI024 - it is data that we want to see refused

REFUSED: dict[str, tuple[object, str]] = {
    "set": ({1, 2}, "{1, 2}: it is a set, and only None, bool"),
    "complex": (1j, "1j: it is a complex"),
    "a subclass of str": (Text("a"), "'a': it is a Text"),
    "a subclass of int": (Number.ONE, "<Number.ONE: 1>: it is a Number"),
    "a subclass of dict": (OrderedDict(a=1), r"OrderedDict.*: it is a OrderedDict"),
    "a subclass of tuple": (Pair(1, 2), r"Pair\(a=1, b=2\): it is a Pair"),
    "a dataclass": (Box(1), r"Box\(content=1\): it is a Box"),
    "a datetime": (datetime(2020, 1, 1, tzinfo=UTC), r"datetime.*: it is a datetime"),
    "a bytearray": (bytearray(b"a"), r"bytearray\(b'a'\): it is a bytearray"),
    "a function": (len, "<built-in function len>: it is a builtin_function_or_method"),
    "a key": ({1: 2}, "1: it is a int, and the keys of a dict are str"),
    "a key that is a tuple": ({(1, 2): 2}, r"\(1, 2\): it is a tuple, and the keys"),
    "a key of a subclass": ({Text("a"): 2}, "'a': it is a Text, and the keys"),
}


@pytest.mark.spec("ENV-SER-4")
@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_data_is_refused_with_its_place(serializer: Serializer, what: str) -> None:
    value, reason = REFUSED[what]
    with pytest.raises(NotPlain, match=reason) as caught:
        serializer.dumps(value, nothing)
    assert caught.value.where() == ""
    with pytest.raises(NotPlain, match=rf"^\[1\]\['key'\]\[0\]: {reason}"):
        serializer.dumps([0, {"key": (value,)}], nothing)


@pytest.mark.spec("ENV-SER-4", "ENV-BAD-8")
@pytest.mark.parametrize("name", SERIALIZERS)
def test_a_call_says_which_part_of_which_argument_is_no_data(name: str) -> None:
    with worq.get_broker("memory://unit", serializer=name) as broker:
        with pytest.raises(TypeError) as caught:
            broker.queue().f(0, [1, {"k": {2}}])
        assert str(caught.value).startswith(
            "args[1][1]['k']: {2}, of the task 'f', can't be serialized: it is a set, and only None"
        )
        with pytest.raises(TypeError, match=r"^key\['a'\]: 1j, of the task 'f', can't be"):
            broker.queue().f(key={"a": 1j})
        assert len(broker) == 0


@pytest.mark.spec("ENV-SER-4", "RUN-4")
@pytest.mark.parametrize("name", SERIALIZERS)
def test_a_result_that_is_no_data_is_a_failure(name: str) -> None:
    with worq.get_broker("memory://unit", serializer=name) as broker:
        broker.tasks["f"] = lambda: {"k": {1}}
        deferred = broker.queue().f()
        task = broker.next_task(0)
        assert task is not None
        broker.invoke(task)
        with pytest.raises(
            TaskFailure, match=r"result cannot be serialized: NotPlain: \['k'\]: \{1\}: it is a set"
        ):
            _ = deferred.value


@pytest.mark.spec("ENV-SER-4")
@pytest.mark.parametrize("name", SERIALIZERS)
@pytest.mark.parametrize(
    "value",
    [10**5000, -(2**63) - 1, 2**64, "\ud800"],
    ids=["5000 digits", "below 64 bits", "above 64 bits", "surrogate"],
)
def test_what_the_format_has_no_room_for_is_refused_with_its_argument(
    name: str, value: object
) -> None:
    with worq.get_broker("memory://unit", serializer=name) as broker:
        if name == "json" and value != 10**5000:
            broker.queue().f(value)
            task = broker.next_task(0)
            assert task is not None
            assert task.args == (value,)
            broker.task_failed(task)
        else:
            with pytest.raises(TypeError, match=r"^args\[1\]: .*, of the task 'f', can't be"):
                broker.queue().f(0, value)


@pytest.mark.spec("ENV-SER-4")
@pytest.mark.parametrize("shape", ["list", "dict"])
def test_a_value_as_deep_as_allowed_is_carried_and_a_deeper_one_refused(
    serializer: Serializer, shape: str
) -> None:
    value = nested(shape, DEPTH_MAX)
    assert serializer.loads(serializer.dumps(value, nothing), no_stand_in) == value
    with pytest.raises(NotPlain, match="it lies more than 100 levels deep, or contains itself"):
        serializer.dumps(nested(shape, DEPTH_MAX + 1), nothing)


@pytest.mark.spec("ENV-SER-4")
def test_a_value_that_contains_itself_is_refused(serializer: Serializer) -> None:
    value: list[Any] = [1]
    value.append({"again": value})
    with pytest.raises(NotPlain, match="or contains itself") as caught:
        serializer.dumps(value, nothing)
    assert caught.value.path[:4] == [1, "again", 1, "again"]


# Bytes that others write.

BROKEN: dict[str, tuple[bytes, ...]] = {
    "json": (
        b"",
        b"\xff\xfe",
        b"[1",
        b"[1]]",
        b"nul",
        b'{"!": 1}',
        b'{"!": []}',
        b'{"!": ["ascii"]}',
        b'{"!": ["ascii", 1]}',
        b'{"!": ["ascii", "\\u00e4"]}',
        b'{"!": ["base64", "?"]}',
        b'{"!": ["base64", "a"]}',
        b'{"!": ["dict", [1]]}',
        b'{"!": ["dict", [[1, 2]]]}',
        b'{"!": ["dict", [["a", 2, 3]]]}',
        b'{"!": ["dict", {"a": 1}]}',
        b'{"!": ["worq", "deferred"]}',
        b'{"!": ["eval", "1"]}',
        b'{"!": ["ascii", "a"], "b": 1}',
        b"9" * 5000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"!":["worq",' * 100_000,
    ),
    "msgpack": (
        b"",
        b"\xc1",
        b"\x91",
        b"\x00\x00",
        b"\xa1\xff",
        b"\x81\x80\x00",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc7\x00\xff",
        b"\xd4\x02\x00",
        b"\xc7\x00\x01",
        b"\xd4\x01\xc1",
        b"\x91" * 100_000,
        b"\x81\xa1a" * 100_000,
    ),
}


@pytest.mark.spec("ENV-SER-4")
@pytest.mark.parametrize(
    ("name", "message"),
    [(name, message) for name, messages in BROKEN.items() for message in messages],
    ids=lambda value: repr(value)[:30],
)
def test_bytes_that_nobody_can_have_written_are_refused(name: str, message: bytes) -> None:
    serializer = SERIALIZERS[name]()
    with pytest.raises(MessageRefused, match=r"^it is no (JSON|MessagePack) of worq's: "):
        serializer.loads(message, no_stand_in)


@pytest.mark.spec("ENV-SER-4")
def test_memory_that_is_not_there_is_a_refusal(
    serializer: Serializer, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = serializer.dumps([Deferred], lambda _: ["x"])

    def exhausted(stand_in: StandIn) -> object:
        raise MemoryError(stand_in)

    with pytest.raises(MessageRefused, match="it needs too much memory"):
        serializer.loads(message, exhausted)


@pytest.mark.spec("ENV-SER-1")
@pytest.mark.parametrize("error", [KeyError("k"), ValueError("v"), TypeError("t")], ids=repr)
def test_what_decode_raises_passes_through(serializer: Serializer, error: Exception) -> None:
    message = serializer.dumps([Deferred], lambda _: ["x"])

    def broken(stand_in: StandIn) -> object:
        assert list(stand_in) == ["x"]
        raise error

    with pytest.raises(type(error)) as caught:
        serializer.loads(message, broken)
    assert caught.value is error


@pytest.mark.spec("ENV-SER-4")
def test_without_msgspec_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgspec", None)
    with pytest.raises(ModuleNotFoundError, match=r"the package msgspec.*worq-spec\[msgpack\]"):
        worq.get_broker("memory://unit", serializer="msgpack")
