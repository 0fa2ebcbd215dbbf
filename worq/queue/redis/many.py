"""Many operations: as many in a script as it may, and as many scripts as it takes. SPEC.md, section 5, "In bulk"."""

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from worq import bulk
from worq.backend import Ending, Entry
from worq.errors import QueueClosed, WorqError
from worq.queue.redis import records, scripts
from worq.queue.redis.channel import Channel
from worq.queue.redis.link import Link
from worq.queue.redis.scripts import Script
from worq.queue.redis.waiting import Perform
from worq.values import Claim, Finished, Outcome, Submitted

if TYPE_CHECKING:
    from worq.const import Sentinel

OPERATIONS_MAX: Final = 256
"""In one script, which on its side takes no more than it may. docs/redis.md says how that was chosen."""
BYTES_MAX: Final = 1_048_576
"""Of arguments in one script; that of its answers is in bulk.lua."""

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")

Steps: TypeAlias = Generator[tuple[Script, Sequence[Any]], bytes, AnswerT]
"""Scripts to be done one after another, with their arguments; each is sent its reply, or the error."""


def followed(steps: Steps[AnswerT], perform: Perform) -> AnswerT:
    """What the steps return."""
    try:
        request = next(steps)
        while True:
            try:
                reply = perform(*request)
            except WorqError as error:
                request = steps.throw(error)
            else:
                request = steps.send(reply)
    except StopIteration as end:
        return cast("AnswerT", end.value)


def submit(link: Link, entries: Sequence[Entry]) -> list[Submitted]:
    return followed(submitting(entries), lambda script, arguments: link.call(script, *arguments))


def submitting(entries: Sequence[Entry]) -> Steps[list[Submitted]]:
    answers: list[Submitted] = []
    with bulk.saying_what_is_done(answers, len(entries)):
        while len(answers) < len(entries):
            rest = _next(entries, answers)
            reply = yield scripts.SUBMIT_MANY, _piece(rest, records.submitting)
            answers += [
                records.submitted(part, entry.outcome)
                for part, entry in zip(records.parts(reply), rest, strict=False)
            ]
    return answers


def finish(
    link: Link, endings: Sequence[Ending], claims: int
) -> tuple[list[Finished], list[Claim]]:
    """The claims come with the last of the finishes."""
    answers: list[Finished] = []
    with bulk.saying_what_is_done(answers, len(endings)):
        while True:
            arguments = _piece(_next(endings, answers), records.finishing)
            is_last = len(answers) + len(arguments) // records.FINISHING_FIELDS == len(endings)
            limit = min(claims, OPERATIONS_MAX) if is_last else 0
            reply = link.call(scripts.FINISH_MANY, b"%d" % limit, *arguments)
            ended, parts = int.from_bytes(reply[1:5], "big"), records.parts(reply, 5)
            answers += map(records.finished, parts[:ended])
            if is_last and reply[:1] == b"1":
                return answers, [records.claim(part) for part in parts[ended:]]


class Outcomes:
    """What a pop of many waits for: of each task the incarnation that it first saw. [ENV-WAIT-5]"""

    def __init__(self, tasks: Sequence[tuple[str, bytes | None]]) -> None:
        self.tasks: list[tuple[str, bytes]] = [
            (task_id, incarnation or b"") for task_id, incarnation in tasks
        ]
        self.answers: list[Outcome | Sentinel | None] = []

    def ask(self, perform: Perform, wait_ms: int, *, slept: bool) -> bytes:
        """N none yet | W and for how long to block | T some."""
        return followed(self.asking(wait_ms, slept=slept), perform)

    def asking(self, wait_ms: int, *, slept: bool) -> Steps[bytes]:
        """The scripts that `ask` does: it is sent their replies, and returns what that does."""
        self.answers = []
        block = b""
        with bulk.saying_what_is_done(self.answers, len(self.tasks)):
            while len(self.answers) < len(self.tasks):
                found = self._has_found
                arguments = (
                    b"%d" % (0 if found else wait_ms),
                    b"1" if slept or block else b"0",
                    b"1" if block else b"0",
                    *_piece(_next(self.tasks, self.answers), _looking),
                )
                try:
                    reply = yield scripts.POP_MANY, arguments
                except QueueClosed:
                    if not found:
                        raise
                    self._learn([b"N"] * (len(self.tasks) - len(self.answers)))  # [ENV-WAIT-7]
                    break
                block = min(filter(None, (block, reply[1:5]))) if reply[:1] == b"W" else block
                self._learn(records.parts(reply, 5 if reply[:1] == b"W" else 1))
        if self._has_found:
            return b"T"
        return b"W" + block if block else b"N"

    @property
    def _has_found(self) -> bool:
        return any(answer is not None for answer in self.answers)

    def _learn(self, parts: Sequence[bytes]) -> None:
        for part in parts:
            if part[:1] == b"N":
                n = len(self.answers)
                self.tasks[n] = (self.tasks[n][0], part[1:])
            self.answers.append(records.popped(part))

    def wait_keys(self, channel: Channel) -> Sequence[bytes]:
        return (channel.wait_key,)


def _next(items: Sequence[ItemT], answers: Sequence[object]) -> Sequence[ItemT]:
    return items[len(answers) : len(answers) + OPERATIONS_MAX]


def _piece(items: Sequence[ItemT], pack: Callable[[ItemT], tuple[bytes | str, ...]]) -> list[Any]:
    """The arguments of as many of them as go into one script; at least of one."""
    arguments: list[bytes | str] = []
    size = 0
    for item in items:
        packed = pack(item)
        size += sum(map(len, packed))
        if arguments and size > BYTES_MAX:
            break
        arguments += packed
    return arguments


def _looking(task: tuple[str, bytes]) -> tuple[str, bytes]:
    return task
