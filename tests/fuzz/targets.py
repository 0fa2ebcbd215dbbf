"""What is fuzzed, by Hypothesis in each run of the tests and by atheris with `make fuzz`.

A target reads bytes as a task's message, as the body of one, as an outcome and as a value, as workers
and clients do. It says whether anything of it could be read, and fails if anything but the documented
errors is raised, or if code is run.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial

import worq
from tests.unit.hostile import bomb, nothing_executed
from worq import MessageRefused, TaskExpired, TaskFailure
from worq.messages import (
    Address,
    Codec,
    Unreadable,
    read_outcome,
    read_task,
    read_value,
    write_outcome,
    write_task,
    write_value,
)
from worq.serializer import Json, MsgPack, Pickle, Serializer, Signed
from worq.task import FunctionTask
from worq.values import Claim, Outcome, Token

Seeds = Sequence[bytes]

KEY = "only for tests, never elsewhere"
QUEUE = "q"
TOKEN = Token(b"1" * 16)
LIMIT = 1 << 20

TASK = FunctionTask("f", "a", TOKEN, (1, [b"\xff", {"!": "ä"}]), {"k": (None, 2.5)})
FAILURE = TaskFailure("f", QUEUE, "a", "ValueError: it")
FAILURE.__cause__ = TaskExpired("g", QUEUE, "b", "task expired")

SERIALIZERS: dict[str, Serializer] = {
    "json": Json(),
    "msgpack": MsgPack(),
    "signed+pickle": Signed(Pickle(), KEY),
    "signed+json": Signed(Json(), KEY),
    "signed+msgpack": Signed(MsgPack(), KEY),
}


def codec_of(name: str) -> Codec:
    return Codec(SERIALIZERS[name], QUEUE, LIMIT)


def _reads_as_task(codec: Codec, message: bytes) -> bool:
    argument = Outcome("result", message)
    try:
        read_task(codec, Claim("a", TOKEN, message, {"b": argument, "c": argument}))
    except Unreadable:
        return False
    return True


def _reads_as_outcome(codec: Codec, message: bytes) -> bool:
    read = False
    for outcome in (Outcome("result", message), Outcome("failure", message)):
        for token in (None, TOKEN):
            try:
                read_outcome(codec, outcome, Address("f", QUEUE, "a"), token)
                read = True
            except MessageRefused:
                pass
            except (ValueError, TypeError, LookupError):
                # Data that is no failure of worq's, or has a stand-in that there is not.
                assert codec.sealing is None, "it was signed, so it is as it was written"
    return read


def _reads_as_value(codec: Codec, message: bytes) -> bool:
    try:
        read_value(codec, message)
    except MessageRefused:
        return False
    except (ValueError, TypeError, LookupError):
        assert codec.sealing is None
        return False
    return True


def _reads_by_itself(codec: Codec, message: bytes) -> bool:
    """The serializer alone, with stand-ins that are taken as they are: then nothing but a refusal is allowed."""
    try:
        codec.loads(message, lambda stand_in: stand_in)
    except MessageRefused:
        return False
    return True


def check(name: str, message: bytes) -> bool:
    codec = codec_of(name)
    reads = [_reads_as_task, _reads_as_outcome, _reads_as_value]
    if codec.sealing is None:
        reads.append(_reads_by_itself)
    with nothing_executed():
        were_read = [read(codec, message) for read in reads]
    is_read = any(were_read)
    assert codec.sealing is None or not is_read or message in seeds_of(name), (
        "a signature was forged"
    )
    return is_read


TARGETS: dict[str, Callable[[bytes], bool]] = {name: partial(check, name) for name in SERIALIZERS}


@cache
def seeds_of(name: str) -> Seeds:
    """Messages as worq writes them, and hostile ones."""
    codec = codec_of(name)
    task, _ = write_task(codec, TASK)
    with worq.get_broker("memory://fuzz", QUEUE, serializer=codec.serializer) as broker:
        deferreds = [broker.deferred("b", "g", token) for token in (None, TOKEN)]
    args = (deferreds, *deferreds)
    given = FunctionTask(TASK.name, TASK.id, TASK.token, args, TASK.kw, TASK.options)
    with_arguments, _ = write_task(codec, given)
    outcomes = [write_outcome(codec, value, TASK)[0] for value in ({"k": [1, b"\xff"]}, FAILURE)]
    value = write_value(codec, [FAILURE], deferred=False)
    return [task, with_arguments, *outcomes, value, bomb()]
