"""What a queue consists of: immutable values, and nothing else. Read this first. SPEC.md, sections 2 to 4.

Times are whole milliseconds. An id is a string; incarnations and messages are opaque: anything hashable.
"""

from collections.abc import Hashable
from typing import Final, Literal, NamedTuple

ABSENT: Final = "absent"
PENDING: Final = "pending"
ENQUEUED: Final = "enqueued"
PROCESSING: Final = "processing"
COMPLETED: Final = "completed"
STATES: Final = (ABSENT, PENDING, ENQUEUED, PROCESSING, COMPLETED)

RESERVED: Final = "RESERVED"
TASK_EXPIRED: Final = "TASK_EXPIRED"
REFUSED: Final = "REFUSED"
"""The answer where SPEC.md asks for a ValueError. [UND-1]"""


class Token(NamedTuple):
    """Names an incarnation and, with `start` > 0, a claim of it. [TOK-1]"""

    incarnation: Hashable
    start: int


class Outcome(NamedTuple):
    """How a task ended; `source_id` is the argument that it came from, None for the task itself. [OUT-3]"""

    kind: Literal["result", "failure", "expired"]
    message: Hashable = None
    source_id: str | None = None


EXPIRED: Final = Outcome("expired")


class Options(NamedTuple):
    """What the producer asked for. `retention_ms` is None for ever; `lease_ms` is 2·heartrate + 5 s."""

    ignore_result: bool = False
    passes_errors: bool = False
    lease_ms: int = 65_000
    retention_ms: int | None = 3_600_000
    attempts: int = 1


class Argument(NamedTuple):
    """One argument of a task. It is missing while `held` is None.

    `answer` is what `reserve_argument` says when it is asked again [RSV-1]: `refused` if it was never
    reserved, `promised` if it was reserved before it was there, `given` if it was there. `incarnation` is
    the one that was reserved.
    """

    id: str
    held: Outcome | None = None
    answer: Literal["refused", "promised", "given"] = "refused"
    incarnation: Hashable = None


class Task(NamedTuple):
    """One incarnation. `deadline_ms` is its lease or its retention; `outcome` is there once it is COMPLETED.

    `start` numbers its claims; `given_back` counts those that were given back, which cost it no start. [REL-3]
    """

    id: str
    incarnation: Hashable
    state: str
    message: Hashable
    options: Options
    arguments: tuple[Argument, ...] = ()  # in the order of ids
    start: int = 0
    given_back: int = 0
    dependent_id: str | None = None
    deadline_ms: int | None = None
    outcome: Outcome | None = None

    @property
    def token(self) -> Token:
        return Token(self.incarnation, self.start)

    @property
    def starts_left(self) -> int:
        return self.options.attempts + self.given_back - self.start


class LastStart(NamedTuple):
    """The arguments of an `ignore_result` task that was claimed for the last time, until its lease. [GAR-3]

    `latest`: no other task of that id was claimed for the last time since.
    """

    id: str
    token: Token
    arguments: tuple[Argument, ...]
    deadline_ms: int
    latest: bool = True


class State(NamedTuple):
    """A whole queue. The order of `tasks` is that in which they were accepted, oldest first [TOK-4]."""

    tasks: tuple[Task, ...] = ()
    ready: tuple[str, ...] = ()  # the ids of the ENQUEUED tasks, longest first [CLM-1]
    last_starts: tuple[LastStart, ...] = ()  # in the order of their claims


EMPTY: Final = State()


def find(
    state: State, task_id: str, incarnation: Hashable = None, start: int | None = None
) -> Task | None:
    """The task that an id and a token name; None if that is absent. [TOK-1]

    None for a part of the token: whatever is there. [TOK-2]
    """
    for task in state.tasks:
        if task.id == task_id:
            stale = incarnation is not None and task.incarnation != incarnation
            return None if stale or (start is not None and task.start != start) else task
    return None


def misses(task: Task) -> bool:
    return any(argument.held is None for argument in task.arguments)


def argument_of(task: Task, argument_id: str) -> Argument | None:
    return next((argument for argument in task.arguments if argument.id == argument_id), None)


def is_older(state: State, one: Task, other: Task) -> bool:
    return state.tasks.index(one) < state.tasks.index(other)
