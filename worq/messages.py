"""What the bytes in a queue mean: tasks on their way out, outcomes on their way back.

A task's message is an envelope around a body, each serialized by itself: where the arguments can't
be read, the name and the options still can. [RUN-5]
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, cast

from worq import checks
from worq.const import FAIL
from worq.deferred import Deferred, Held
from worq.failures import (
    EXPIRED_ERROR,
    KNOWN_FAILURES,
    NOT_AVAILABLE,
    TaskExpired,
    TaskFailure,
    describe,
    from_plain,
    shorten,
    to_plain,
)
from worq.options import TaskOptions
from worq.serializer import Serializer, StandIn
from worq.task import DEFAULTS, FunctionTask
from worq.values import EXPIRED, Claim, Outcome

FORMAT = 1
UNKNOWN_NAME = "?"
OPTIONS_MAX = 256

# Kinds of stand-ins.
DEFERRED, VALUE, FAILURE = "deferred", "value", "failure"

# What of an error's text is kept, in turn, until a failure fits into a message.
_SHORTER = (10_000, 1_000, 100, 0)


class Address(NamedTuple):
    """The first three attributes of a TaskFailure."""

    task_name: str
    queue: str
    task_id: str


class Unreadable(Exception):
    """A task's message can't be read, nor its arguments: what is known of it, and the reason."""

    def __init__(self, task: FunctionTask, reason: str) -> None:
        super().__init__(task, reason)
        self.task = task
        self.reason = reason


class Passed:
    """The Deferreds among the arguments of a call, found while it is serialized.

    One that holds a result, or a failure, stands for that from here on; `awaited` are the others.
    """

    def __init__(self, serializer: Serializer) -> None:
        self._serializer = serializer
        self.awaited: list[Deferred] = []
        self.failed: list[Deferred] = []

    def encode(self, value: object) -> StandIn | None:
        if not isinstance(value, Deferred):
            return encode_failure(value)
        if value.held is None:
            self.awaited.append(value)
            return [DEFERRED, value.id, value.name]
        if value.held.failure is not None:
            self.failed.append(value)
        return [VALUE, self._serializer.dumps(value.held.value, refuse_deferreds)]

    def outcome(self, task: FunctionTask) -> Outcome | None:
        """With what the task ends at once, if it does. [CALL-3]"""
        if task.on_error != FAIL or not self.failed:
            return None
        first = min(self.failed, key=lambda deferred: deferred.id)
        held = cast("Held", first.held)
        if held.kind == "expired":
            return EXPIRED
        message = write_failure(self._serializer, held.origin)
        return Outcome("failure", message, held.source_id or first.id)

    def note(self, address: Address) -> None:
        """The awaited are arguments of that task now, which is good to know when they are passed again."""
        for deferred in self.awaited:
            deferred.passed_to = "{} [{}:{}]".format(*address)

    def why_unavailable(self, argument_id: str) -> str:
        """The error for an argument that is not available, as far as it is known here. [CALL-5]"""
        for deferred in self.awaited:
            if deferred.id == argument_id and deferred.passed_to is not None:
                return f"{NOT_AVAILABLE}: it was passed to {deferred.passed_to} already"
        return NOT_AVAILABLE


def refuse_deferreds(value: object) -> StandIn | None:
    """TypeError for a Deferred, which is not touched. [ENV-SER-2] [RUN-4]"""
    if isinstance(value, Deferred):
        raise TypeError(f"a Deferred can't be part of it: {value!r}")
    return encode_failure(value)


def encode_failure(value: object) -> StandIn | None:
    # A failure of a class that worq doesn't know is left to the serializer.
    known = type(value) in KNOWN_FAILURES
    return [FAILURE, to_plain(cast("TaskFailure", value))] if known else None


Load = Callable[[str, str], object]
"""Asked for the value of the argument with that id and name."""


def decoder(serializer: Serializer, load: Load) -> Callable[[StandIn], object]:
    """What gives the objects for stand-ins; the same one for each argument."""
    loaded: dict[str, object] = {}

    def decode(stand_in: StandIn) -> object:
        match stand_in:
            case [str(kind), str(task_id), str(name)] if kind == DEFERRED:
                if task_id not in loaded:
                    loaded[task_id] = load(task_id, name)
                return loaded[task_id]
            case [str(kind), bytes(message)] if kind == VALUE:
                return serializer.loads(message, decode)
            case [str(kind), plain] if kind == FAILURE:
                return from_plain(plain)
            case _:
                raise ValueError(f"a stand-in of an unknown kind: {stand_in!r:.200}")

    return decode


def no_arguments(task_id: str, name: str) -> object:
    """For what can't have arguments."""
    raise ValueError(f"it contains a Deferred, {name!r} with the id {task_id!r}: task_id is needed")


# Tasks.


def write_task(serializer: Serializer, task: FunctionTask, bytes_max: int) -> tuple[bytes, Passed]:
    """The task as a message, and the Deferreds in it.

    TypeError for an argument that can't be serialized [ENV-BAD-8], ValueError for a message over
    the limit [ENV-BAD-3].
    """
    passed = Passed(serializer)
    try:
        body = serializer.dumps([list(task.args), task.kw], passed.encode)
    except Exception as error:
        raise TypeError(
            f"{_unserializable(serializer, task)}, of the task {task.name!r}, "
            f"can't be serialized: {describe(error)}"
        ) from error
    message = serializer.dumps([FORMAT, task.name, *task.options, body], refuse_deferreds)
    return checks.message(f"message of the task {task.name!r}", message, bytes_max), passed


def _unserializable(serializer: Serializer, task: FunctionTask) -> str:
    """The first argument that can't be serialized by itself, and its value."""
    named = {f"args[{i}]": value for i, value in enumerate(task.args)} | task.kw
    for name, value in named.items():
        alone: list[object] = [[value], {}]
        try:
            serializer.dumps(alone, Passed(serializer).encode)
        except Exception:  # noqa: BLE001 - serializing runs code of the application
            return f"{name}: {checks.shown(value)}"
    return "args"


def read_task(serializer: Serializer, queue: str, claim: Claim) -> FunctionTask:
    """The task of a claim, with its arguments. [RUN-5]

    Raises Unreadable, which has as much of the task as could be read.
    """
    name, options = UNKNOWN_NAME, DEFAULTS
    load = loader(serializer, queue, claim.arguments)
    try:
        name, options, body = _read_envelope(serializer, claim.message)
        args, kw = cast("tuple[Any, Any]", serializer.loads(body, decoder(serializer, load)))
        return FunctionTask(name, claim.id, claim.token, tuple(args), dict(kw), options)
    except BaseException as error:  # reading runs code of the application
        task = FunctionTask(name, claim.id, claim.token, (), {}, options)
        is_argument = isinstance(error, UnreadableArgument)
        reason = str(error) if is_argument else f"message cannot be read: {describe(error)}"
        raise Unreadable(task, reason) from error


def read_head(serializer: Serializer, claim: Claim) -> FunctionTask:
    """The task of a claim without its arguments; what can't be read has no name and no options."""
    try:
        name, options, _ = _read_envelope(serializer, claim.message)
    except BaseException:  # noqa: BLE001 - reading runs code of the application; who runs it says why
        return FunctionTask(UNKNOWN_NAME, claim.id, claim.token, (), {})
    return FunctionTask(name, claim.id, claim.token, (), {}, options)


def _read_envelope(serializer: Serializer, message: bytes) -> tuple[str, TaskOptions, bytes]:
    envelope = cast("Any", serializer.loads(message, decoder(serializer, no_arguments)))
    if (found := envelope[0]) != FORMAT:
        raise ValueError(f"it has format {found!r}, and this worq reads {FORMAT}")
    _, name, *options, body = envelope
    return checks.name("name", name), _read_options(*options), body


@lru_cache(maxsize=OPTIONS_MAX, typed=True)  # the same for nearly all tasks of a program
def _read_options(*options: object) -> TaskOptions:
    given = dict(zip(TaskOptions._fields, options, strict=True))
    return TaskOptions().changed(given)


def loader(serializer: Serializer, queue: str, arguments: Mapping[str, Outcome]) -> Load:
    def load(task_id: str, name: str) -> object:
        address = Address(name, queue, task_id)
        try:
            return read_outcome(serializer, arguments[task_id], address).value
        except BaseException as error:
            reason = f"argument {name} [{queue}:{task_id}] cannot be read: {describe(error)}"
            raise UnreadableArgument(reason) from error

    return load


# Outcomes.


def write_outcome(
    serializer: Serializer, result: object, address: Address, bytes_max: int
) -> tuple[bytes, bool]:
    """What a task returned as a message, and whether it is a failure. [RUN-1] [RUN-4]

    A failure always fits, shortened if it must be.
    """
    try:
        message = serializer.dumps(result, refuse_deferreds)
        return checks.message("result", message, bytes_max), isinstance(result, TaskFailure)
    except BaseException as error:  # noqa: BLE001 - serializing runs code of the application
        reason = f"result cannot be serialized: {describe(error)}"
    failure = result if isinstance(result, TaskFailure) else TaskFailure(*address, reason)
    return _write_shortened(serializer, failure, bytes_max), True


def write_failure(serializer: Serializer, failure: TaskFailure) -> bytes:
    """The failure as the message of an outcome."""
    return serializer.dumps(failure, refuse_deferreds)


def read_outcome(serializer: Serializer, outcome: Outcome, address: Address) -> Held:
    """What an outcome means to whoever has that address. Raises what the serializer raises.

    A failure of another task becomes one of this address, with that failure as its cause [DEF-4];
    an expiry a TaskExpired of this address [DEF-5].
    """
    if outcome.kind == "expired" or outcome.message is None:
        return Held("expired", TaskExpired(*address, EXPIRED_ERROR))
    value = read_value(serializer, outcome.message)
    if outcome.kind == "result":
        return Held("result", value)
    if not isinstance(value, TaskFailure):
        raise TypeError(f"a failure is needed, not {type(value).__name__}")
    if outcome.source_id is None:
        return Held("failure", value)
    failure = TaskFailure(*address, f"argument failed: {value}")
    failure.__cause__ = value
    return Held("failure", failure, outcome.source_id)


def read_value(serializer: Serializer, message: bytes, load: Load = no_arguments) -> object:
    """The value of a message. Raises what the serializer raises."""
    return serializer.loads(message, decoder(serializer, load))


def _write_shortened(serializer: Serializer, failure: TaskFailure, bytes_max: int) -> bytes:
    """The failure without its causes, and with as much of its text as fits.

    If nothing does, the empty message: whoever fetches it learns that there was a failure. [DEF-8]
    """
    class_name, task_name, queue, task_id, error = to_plain(failure)[0]
    for chars_max in _SHORTER:
        plain = [class_name, task_name, queue, task_id, shorten(error, chars_max)]
        message = write_failure(serializer, from_plain([plain]))
        if len(message) <= bytes_max:
            return message
    return b""


class UnreadableArgument(ValueError):
    """The outcome of an argument can't be read; the text says which, and why."""
