"""Queues on Redis that say what they were asked and told: each process writes that to a file of its own.

A call is written down before it is sent, and its answer when it has come, each by one write, so that nothing of it is
lost when the process is killed. What the server did, it says itself: in the journal of `worq.testing.journal`, under
the label that the file has too.
"""

import marshal
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from worq.backend import Ending, Ticket
from worq.clock import Clock
from worq.const import DEFAULT, MESSAGE_BYTES_MAX, Sentinel, State
from worq.errors import BackendUnavailable, QueueClosed
from worq.introspection import Sign
from worq.testing.journal import JournalQueue, label
from worq.values import Claim, Finished, Outcome, Submitted, Token
from worq_model import operations as ops
from worq_model import values

R = TypeVar("R")

LENGTH_BYTES: Final = 4


UNASKED: Final = "unasked"
"""Of a claim in advance that was not made: it has no answer."""


class Said(NamedTuple):
    """One operation of one process. `ended`: it answered, or was `closed`, `not_sent` or `unknown`; empty: killed."""

    process: str
    number: int
    queue: str
    called_ns: int
    act: tuple[Any, ...]
    returned_ns: int = 0
    ended: str = ""
    reply: Any = None

    @property
    def label(self) -> str:
        return f"{self.process}/{self.number}"


class Log:
    """The file of one process. Thread-safe: a line is one write."""

    def __init__(self, folder: Path, process: str, first: int) -> None:
        self.process = process
        self._file = os.open(
            folder / f"{process}.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600
        )
        self._numbers = count(first)
        self._lock = threading.Lock()

    def ask(self, queue: str, act: tuple[Any, ...], call: Callable[[], R]) -> R:
        return self.ask_many(queue, [act], call, lambda answer: [answer])

    def ask_many(
        self,
        queue: str,
        acts: Sequence[tuple[Any, ...]],
        call: Callable[[], R],
        answers_of: Callable[[R], Sequence[object]],
    ) -> R:
        """Operations in bulk, each with a number of its own; the label says how many there are."""
        with self._lock:
            numbers = [next(self._numbers) for _ in acts]
        called_ns = time.monotonic_ns()
        self._write(*((n, queue, called_ns, act) for n, act in zip(numbers, acts, strict=True)))
        label.text = f"{self.process}/{numbers[0]}" + (f"+{len(acts)}" if len(acts) > 1 else "")
        try:
            answer = call()
        except QueueClosed:
            self._ended(numbers, "closed")
            raise
        except BackendUnavailable as error:
            self._ended(numbers, error.outcome)
            raise
        finally:
            label.text = ""
        self._ended(numbers, "answered", answers_of(answer))
        return answer

    def _ended(self, numbers: Sequence[int], how: str, answers: Sequence[object] = ()) -> None:
        now_ns = time.monotonic_ns()
        replies = answers or [None] * len(numbers)
        self._write(
            *(
                (n, now_ns, UNASKED if each == UNASKED else how, plain(each))
                for n, each in zip(numbers, replies, strict=True)
            )
        )

    def _write(self, *records: tuple[Any, ...]) -> None:
        lines = map(marshal.dumps, records)
        os.write(self._file, b"".join(len(data).to_bytes(LENGTH_BYTES) + data for data in lines))

    def close(self) -> None:
        os.close(self._file)


class Here:
    """The log of this process, for queue objects that pools make."""

    log: Log


class Logs:
    """The files of all processes of a round. `said`: queue → label → what was asked and told, as far as it was read."""

    def __init__(self, folder: Path) -> None:
        self.said: defaultdict[str, dict[str, Said]] = defaultdict(dict)
        self._folder = folder
        self._read: Counter[Path] = Counter()
        self._queues: dict[str, str] = {}

    def look(self) -> None:
        """Read on."""
        for path in sorted(self._folder.glob("*.log")):
            process = path.stem
            with path.open("rb") as file:
                file.seek(self._read[path])
                data = file.read()
            at = 0
            while at + LENGTH_BYTES <= len(data):
                begin = at + LENGTH_BYTES
                at = begin + int.from_bytes(data[at:begin])
                self._note(process, *marshal.loads(data[begin:at]))  # noqa: S302 (it is our own)
            self._read[path] += at

    def _note(self, process: str, number: int, *more: Any) -> None:
        label = f"{process}/{number}"
        if isinstance(more[0], str):  # a call: its queue comes first
            self._queues[label] = more[0]
            self.said[more[0]][label] = Said(process, number, *more)
        else:
            of_queue = self.said[self._queues.pop(label)]
            of_queue[label] = Said(*of_queue[label][:5], *more)


class WitnessQueue(JournalQueue):
    """Says what it is asked and told, to the log of this process."""

    def __init__(
        self,
        url: str,
        name: str = DEFAULT,
        *,
        clock: Clock | None = None,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
    ) -> None:
        del clock, message_bytes_max  # of pools, which say again what is the default
        super().__init__(url, name)

    def _submit(
        self,
        task: Ticket,
        message: bytes,
        args: Mapping[str, bytes | None],
        outcome: Outcome | None,
    ) -> Submitted:
        options = (
            task.ignore_result,
            task.passes_errors,
            task.lease_ms,
            task.retention_ms,
            task.attempts,
        )
        act = ("submit", task.id, task.incarnation, message, tuple(sorted(args.items())), options)
        submit = super()._submit
        return self._ask(act, lambda: submit(task, message, args, outcome))

    def _claim_many(self, limit: int, timeout_ms: int | None) -> list[Claim]:
        """Of single claims too."""
        claim_many = super()._claim_many
        return Here.log.ask_many(
            self.name,
            [("claim", timeout_ms), *[("claim", 0)] * (limit - 1)],
            lambda: claim_many(limit, timeout_ms),
            lambda claims: _claimed(claims, limit),
        )

    def _finish_many(
        self, endings: Sequence[Ending], claims: int
    ) -> tuple[list[Finished], list[Claim]]:
        acts = [
            (
                "finish",
                each.task_id,
                each.outcome.kind,
                each.outcome.message,
                each.retention_ms,
                _plain(each.token),
            )
            for each in endings
        ]
        finish_many = super()._finish_many
        return Here.log.ask_many(
            self.name,
            [*acts, *[("claim", 0)] * claims],
            lambda: finish_many(endings, claims),
            lambda answers: [*answers[0], *_claimed(answers[1], claims)],
        )

    def _finish(
        self, task_id: str, outcome: Outcome, retention_ms: int | None, token: Token | None
    ) -> Finished:
        act = ("finish", task_id, outcome.kind, outcome.message, retention_ms, _plain(token))
        finish = super()._finish
        return self._ask(act, lambda: finish(task_id, outcome, retention_ms, token))

    def _heartbeat(self, task_id: str, lease_ms: int, token: Token | None) -> bool:
        heartbeat = super()._heartbeat
        act = ("heartbeat", task_id, lease_ms, _plain(token))
        return self._ask(act, lambda: heartbeat(task_id, lease_ms, token))

    def _release(self, task_id: str, token: Token | None, *, begun: bool) -> bool:
        release = super()._release
        act = ("release" if begun else "give back", task_id, _plain(token))
        return self._ask(act, lambda: release(task_id, token, begun=begun))

    def _pop(
        self, task_id: str, timeout_ms: int | None, incarnation: bytes | None
    ) -> Outcome | Sentinel | None:
        pop = super()._pop
        act = ("pop", task_id, timeout_ms, incarnation)
        return self._ask(act, lambda: pop(task_id, timeout_ms, incarnation))

    def _discard(self, task_id: str, incarnation: bytes | None) -> bool:
        discard = super()._discard
        return self._ask(("discard", task_id, incarnation), lambda: discard(task_id, incarnation))

    def _purge(self) -> int:
        return self._ask(("purge",), super()._purge)

    def _size(self) -> int:
        return self._ask(("size",), super()._size)

    def _status(self, task_id: str, incarnation: bytes | None) -> State | None:
        status = super()._status
        return self._ask(("status", task_id, incarnation), lambda: status(task_id, incarnation))

    def sign(self, sign: Sign, ttl_ms: int) -> None:
        label.text = ""
        super().sign(sign, ttl_ms)

    def sign_off(self, sign_id: str) -> None:
        label.text = ""
        super().sign_off(sign_id)

    def _ask(self, act: tuple[Any, ...], call: Callable[[], R]) -> R:
        return Here.log.ask(self.name, act, call)


def _claimed(claims: Sequence[Claim], limit: int) -> list[object]:
    """The answers of so many claims. Those in advance may not have been made. [ENV-BULK-3]"""
    first = [None] if limit and not claims else []
    return [*first, *claims, *[UNASKED] * (limit - len(first) - len(claims))]


def _plain(token: Token | None) -> tuple[bytes, int] | None:
    return None if token is None else (token.incarnation, token.start)


def plain(answer: object) -> Any:
    """As tuples, for the file."""
    match answer:
        case Claim():
            arguments = tuple(sorted((key, tuple(each)) for key, each in answer.arguments.items()))
            return (answer.id, tuple(answer.token), answer.message, arguments)
        case Submitted():
            return (answer.status, answer.argument_id, answer.outcome and tuple(answer.outcome))
        case tuple():
            return tuple(answer)
        case Sentinel():
            return answer.name
        case _:
            return answer


# As the model has it.


def operation(act: tuple[Any, ...]) -> tuple[ops.Operation, int | None]:
    """The operation, and for how long it waits, in ms; None for ever."""
    match act:
        case ("submit", task_id, incarnation, message, args, options):
            return ops.Submit(
                task_id, incarnation, message, args, None, values.Options(*options)
            ), 0
        case ("claim", timeout_ms):
            return ops.Claim(), timeout_ms
        case ("finish", task_id, kind, message, retention_ms, token):
            return ops.Finish(
                task_id, values.Outcome(kind, message), retention_ms, _token(token)
            ), 0
        case ("heartbeat", task_id, lease_ms, token):
            return ops.Heartbeat(task_id, lease_ms, _token(token)), 0
        case ("release" | "give back" as how, task_id, token):
            return ops.Release(task_id, _token(token), begun=how == "release"), 0
        case ("pop", task_id, timeout_ms, incarnation):
            return ops.Pop(task_id, incarnation), timeout_ms
        case ("discard", task_id, incarnation):
            return ops.Discard(task_id, incarnation), 0
        case ("status", task_id, incarnation):
            return ops.Status(task_id, incarnation), 0
        case ("purge",):
            return ops.Purge(), 0
        case ("size",):
            return ops.Size(), 0
        case _:
            raise AssertionError(act)


def reply_of(act: tuple[Any, ...], reply: Any) -> ops.Reply:
    """The answer in the model's values."""
    match act[0], reply:
        case "submit", (status, argument_id, outcome):
            return ops.Submitted(status, argument_id, outcome and values.Outcome(*outcome))
        case "claim", (task_id, token, message, arguments):
            outcomes = tuple((key, values.Outcome(*each)) for key, each in arguments)
            return ops.Claimed(task_id, values.Token(*token), message, outcomes)
        case "finish", (accepted, dependent_id):
            return ops.Finished(accepted, dependent_id)
        case "pop", (kind, message, source_id):
            return values.Outcome(kind, message, source_id)
        case _:
            answer: ops.Reply = reply
            return answer


def _token(token: tuple[bytes, int] | None) -> values.Token | None:
    return None if token is None else values.Token(*token)
