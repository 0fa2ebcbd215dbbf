"""What the bytes in a queue mean: tasks on their way out, outcomes on their way back.

A task's message is an envelope around a body, each serialized by itself: where the arguments can't
be read, the name and the options still can. [RUN-5]
"""

import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, cast

from worq import checks
from worq.const import FAIL
from worq.deferred import Deferred, Held
from worq.errors import MessageRefused
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
from worq.serializer import (
    SIGNATURE,
    Decode,
    Encode,
    Kind,
    NotPlain,
    Place,
    Sealing,
    Serializer,
    StandIn,
)
from worq.task import DEFAULTS, FunctionTask
from worq.values import EXPIRED, Claim, Outcome, Token

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


class Refusals:
    """Counts the messages that were refused. Thread-safe."""

    def __init__(self) -> None:
        self.count: int = 0
        self._lock = threading.RLock()  # a handler may come in the midst [ENV-WAIT-9]

    def add(self) -> None:
        with self._lock:
            self.count += 1


class Codec:
    """Writes and reads the messages of one queue: seals them, if the serializer does. Thread-safe."""

    def __init__(self, serializer: Serializer, queue: str, bytes_max: int) -> None:
        """`bytes_max`: of a message."""
        self.serializer = serializer
        self.queue = queue
        self.bytes_max = bytes_max
        self.refusals: Refusals = Refusals()
        self.dumps: Callable[[object, Encode], bytes] = serializer.dumps
        is_sealing = hasattr(serializer, "seal")
        self.sealing: Sealing | None = cast("Sealing", serializer) if is_sealing else None

    def seal(self, message: bytes, kind: Kind, task_id: str, token: Token | None) -> bytes:
        """The whole message, as it goes into the queue."""
        if self.sealing is None:
            return message
        return self.sealing.seal(message, self._place(kind, task_id, token))

    def unseal(self, message: bytes, kind: Kind, task_id: str, token: Token | None) -> bytes:
        """What `seal` was given; MessageRefused if it is not for this place, or too long. [ENV-SER-6]"""
        if self.sealing is None:
            return message
        try:
            self._check_size(message)
            return self.sealing.unseal(message, self._place(kind, task_id, token))
        except MessageRefused:
            self.refusals.add()
            raise

    def loads(self, message: bytes, decode: Decode) -> object:
        """The value of a part of a message. Raises what the serializer raises."""
        try:
            return self.serializer.loads(message, decode)
        except Exception as error:
            if self.sealing is None and message.startswith(SIGNATURE):
                self.refusals.add()
                raise MessageRefused("it is signed, and this reader's serializer is not") from error
            if isinstance(error, MessageRefused):
                self.refusals.add()
            raise

    def _check_size(self, message: bytes) -> None:
        if (size := len(message)) > self.bytes_max:
            raise MessageRefused(
                f"its {size} bytes are more than message_bytes_max, {self.bytes_max}"
            )

    def _place(self, kind: Kind, task_id: str, token: Token | None) -> Place:
        return Place(kind, self.queue, task_id, None if token is None else token.incarnation)


class Unreadable(Exception):
    """A task's message can't be read, nor its arguments: what is known of it, and the reason."""

    def __init__(self, task: FunctionTask, reason: str) -> None:
        super().__init__(task, reason)
        self.task = task
        self.reason = reason

    @property
    def is_refused(self) -> bool:
        """Was a message refused, and nothing of it executed?"""
        cause = self.__cause__
        while cause is not None and not isinstance(cause, MessageRefused):
            cause = cause.__cause__
        return cause is not None


class Passed:
    """The Deferreds among the arguments of a call, found while it is serialized.

    One that holds a result, or a failure, stands for that from here on; `awaited` are the others.
    """

    __slots__ = ("_sealed", "_serializer", "awaited", "failed")

    def __init__(self, serializer: Serializer, *, sealed: bool = False) -> None:
        """`sealed`: what is awaited is named with its incarnation."""
        self._serializer = serializer
        self._sealed = sealed
        self.awaited: list[Deferred] = []
        self.failed: list[Deferred] = []

    def encode(self, value: object) -> StandIn | None:
        if not isinstance(value, Deferred):
            return encode_failure(value)
        value = cast("Deferred[object]", value)
        if value.held is None:
            self.awaited.append(value)
            stand_in: StandIn = [DEFERRED, value.id, value.name]
            if self._sealed and value.token is not None:
                stand_in.append(value.token.incarnation)
            return stand_in
        if value.held.failure is not None:
            self.failed.append(value)
        return [VALUE, self._serializer.dumps(value.held.value, refuse_deferreds)]

    def outcome(self, codec: Codec, task: FunctionTask) -> Outcome | None:
        """With what the task ends at once, if it does. [CALL-3]"""
        if task.on_error != FAIL or not self.failed:
            return None
        first = min(self.failed, key=lambda deferred: deferred.id)
        held = cast("Held", first.held)
        if held.kind == "expired":
            return EXPIRED
        source_id = held.source_id or first.id
        message = write_failure(codec, held.origin, source_id)
        return Outcome("failure", message, source_id)

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


Load = Callable[[str, str, Token | None], object]
"""Asked for the value of the argument with that id, name and, if it is known, incarnation."""


def decoder(loads: Callable[[bytes, Decode], object], load: Load) -> Decode:
    """What gives the objects for stand-ins; the same one for each argument. `loads`: for those passed by value."""
    loaded: dict[str, object] = {}

    def decode(stand_in: StandIn) -> object:
        match stand_in:
            case [str(kind), str(task_id), str(name), *more] if kind == DEFERRED:
                if task_id not in loaded:
                    loaded[task_id] = load(task_id, name, _token(more))
                return loaded[task_id]
            case [str(kind), bytes(message)] if kind == VALUE:
                return loads(message, decode_failure)
            case _:
                return decode_failure(stand_in)

    return decode


def decode_failure(stand_in: StandIn) -> object:
    """The only stand-in within a value: so none of them nests others without end."""
    match stand_in:
        case [str(kind), plain] if kind == FAILURE:
            return from_plain(plain)
        case _:
            raise ValueError(f"a stand-in of an unknown kind: {stand_in!r:.200}")


def _token(more: list[object]) -> Token | None:
    match more:
        case []:
            return None
        case [bytes(incarnation)]:
            return Token(incarnation)
        case _:
            raise ValueError(f"an incarnation is needed, not {more!r:.200}")


def no_arguments(task_id: str, name: str, token: Token | None) -> object:
    """For what can't have arguments."""
    del token
    raise ValueError(f"it contains a Deferred, {name!r} with the id {task_id!r}: task_id is needed")


# Tasks.


def write_task(codec: Codec, task: FunctionTask) -> tuple[bytes, Passed]:
    """The task as a message, and the Deferreds in it.

    TypeError for an argument that can't be serialized [ENV-BAD-8], ValueError for a message over
    the limit [ENV-BAD-3].
    """
    passed = Passed(codec.serializer, sealed=codec.sealing is not None)
    try:
        body = codec.dumps([list(task.args), task.kw], passed.encode)
    except Exception as error:
        reason = error.reason if isinstance(error, NotPlain) else describe(error)
        raise TypeError(
            f"{_unserializable(codec.serializer, task)}, of the task {task.name!r}, "
            f"can't be serialized: {reason}"
        ) from error
    message = codec.dumps([FORMAT, task.name, *task.options, body], refuse_deferreds)
    if codec.sealing is not None:
        message = codec.seal(message, "task", task.id, task.token)
    return checks.message(f"message of the task {task.name!r}", message, codec.bytes_max), passed


def _unserializable(serializer: Serializer, task: FunctionTask) -> str:
    """The first argument that can't be serialized by itself, and its value."""
    named = {f"args[{i}]": value for i, value in enumerate(task.args)} | task.kw
    for name, value in named.items():
        alone: list[object] = [[value], {}]
        try:
            serializer.dumps(alone, Passed(serializer).encode)
        except NotPlain as error:
            return f"{name}{error.where(skip=2)}: {checks.shown(error.value)}"
        except Exception:  # noqa: BLE001 - serializing runs code of the application
            return f"{name}: {checks.shown(value)}"
    return "args"


def read_task(codec: Codec, claim: Claim) -> FunctionTask:
    """The task of a claim, with its arguments. [RUN-5]

    Raises Unreadable, which has as much of the task as could be read.
    """
    name, options = UNKNOWN_NAME, DEFAULTS
    load = loader(codec, claim.arguments)
    try:
        name, options, body = _read_envelope(codec, claim)
        content: Any = codec.loads(body, decoder(codec.loads, load))
        args, kw = content
        return FunctionTask(name, claim.id, claim.token, tuple(args), dict(kw), options)
    except BaseException as error:  # reading runs code of the application
        task = FunctionTask(name, claim.id, claim.token, (), {}, options)
        is_argument = isinstance(error, UnreadableArgument)
        reason = str(error) if is_argument else f"message cannot be read: {describe(error)}"
        raise Unreadable(task, reason) from error


def read_head(codec: Codec, claim: Claim) -> FunctionTask:
    """The task of a claim without its arguments; what can't be read has no name and no options."""
    try:
        name, options, _ = _read_envelope(codec, claim)
    except BaseException:  # noqa: BLE001 - reading runs code of the application; who runs it says why
        return FunctionTask(UNKNOWN_NAME, claim.id, claim.token, (), {})
    return FunctionTask(name, claim.id, claim.token, (), {}, options)


def _read_envelope(codec: Codec, claim: Claim) -> tuple[str, TaskOptions, bytes]:
    message = codec.unseal(claim.message, "task", claim.id, claim.token)
    envelope: Any = codec.loads(message, decode_failure)
    if (found := envelope[0]) != FORMAT:
        raise ValueError(f"it has format {found!r}, and this worq reads {FORMAT}")
    _, name, *options, body = envelope
    return checks.name("name", name), _read_options(*options), body


@lru_cache(maxsize=OPTIONS_MAX, typed=True)  # the same for nearly all tasks of a program
def _read_options(*options: object) -> TaskOptions:
    given = dict(zip(TaskOptions._fields, options, strict=True))
    return TaskOptions().changed(given)


def loader(codec: Codec, arguments: Mapping[str, Outcome], kind: Kind = "result") -> Load:
    """`kind`: what the messages of results are; `outcome` where failures are among them."""

    def load(task_id: str, name: str, token: Token | None) -> object:
        address = Address(name, codec.queue, task_id)
        try:
            return read_outcome(codec, arguments[task_id], address, token, kind).value
        except BaseException as error:
            reason = f"argument {name} [{codec.queue}:{task_id}] cannot be read: {describe(error)}"
            raise UnreadableArgument(reason) from error

    return load


# Outcomes.


def write_outcome(codec: Codec, result: object, task: FunctionTask) -> tuple[bytes, bool]:
    """What a task returned as a message, and whether it is a failure. [RUN-1] [RUN-4]

    A failure always fits, shortened if it must be.
    """
    failed = isinstance(result, TaskFailure)
    try:
        value = codec.dumps(result, refuse_deferreds)
        message = codec.seal(value, "failure" if failed else "result", task.id, task.token)
        return checks.message("result", message, codec.bytes_max), failed
    except BaseException as error:  # noqa: BLE001 - serializing runs code of the application
        reason = f"result cannot be serialized: {describe(error)}"
    if not isinstance(result, TaskFailure):
        result = TaskFailure(task.name, codec.queue, task.id, reason)
    return _write_shortened(codec, result, task), True


def write_failure(
    codec: Codec, failure: TaskFailure, task_id: str, token: Token | None = None
) -> bytes:
    """The failure as the message of an outcome; `task_id`: of the task that it first happened to."""
    return codec.seal(codec.dumps(failure, refuse_deferreds), "failure", task_id, token)


def read_outcome(
    codec: Codec, outcome: Outcome, address: Address, token: Token | None, kind: Kind = "result"
) -> Held:
    """What an outcome means to whoever has that address. Raises what the serializer raises.

    A failure of another task becomes one of this address, with that failure as its cause [DEF-4];
    an expiry a TaskExpired of this address [DEF-5]. `token`: of the task, if that is known.
    """
    if outcome.kind == "expired" or outcome.message is None:
        return Held("expired", TaskExpired(*address, EXPIRED_ERROR))
    if outcome.kind == "result":
        message = codec.unseal(outcome.message, kind, address.task_id, token)
        return Held("result", codec.loads(message, decode_failure))
    if outcome.source_id is None:
        return Held("failure", _read_failure(codec, outcome.message, address.task_id, token))
    cause = _read_failure(codec, outcome.message, outcome.source_id, None)
    failure = TaskFailure(*address, f"argument failed: {cause}")
    failure.__cause__ = cause
    return Held("failure", failure, outcome.source_id)


def _read_failure(codec: Codec, message: bytes, task_id: str, token: Token | None) -> TaskFailure:
    value = codec.loads(codec.unseal(message, "failure", task_id, token), decode_failure)
    if not isinstance(value, TaskFailure):
        raise TypeError(f"a failure is needed, not {type(value).__name__}")
    return value


def _write_shortened(codec: Codec, failure: TaskFailure, task: FunctionTask) -> bytes:
    """The failure without its causes, and with as much of its text as fits.

    If nothing does, the empty message: whoever fetches it learns that there was a failure. [DEF-8]
    """
    class_name, task_name, queue, task_id, error = to_plain(failure)[0]
    for chars_max in _SHORTER:
        plain = [class_name, task_name, queue, task_id, shorten(error, chars_max)]
        message = write_failure(codec, from_plain([plain]), task.id, task.token)
        if len(message) <= codec.bytes_max:
            return message
    return b""


class UnreadableArgument(ValueError):
    """The outcome of an argument can't be read; the text says which, and why."""


# Values that are neither, for `Broker.serialize`.


def write_value(codec: Codec, value: object, *, deferred: bool) -> bytes:
    """The value as a message. `deferred`: may there be Deferreds in it?"""
    encode = Passed(codec.serializer, sealed=codec.sealing is not None).encode
    return codec.seal(
        codec.dumps(value, encode if deferred else refuse_deferreds), "value", "", None
    )


def read_value(codec: Codec, message: bytes, load: Load = no_arguments) -> object:
    """The value of a message. Raises what the serializer raises."""
    return codec.loads(codec.unseal(message, "value", "", None), decoder(codec.loads, load))
