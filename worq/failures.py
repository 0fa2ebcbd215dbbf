"""How a task that ends badly looks to an application. Source: SPEC.md, section 8."""

import re
from collections.abc import Sequence
from typing import Any

from worq.errors import WorqError

ERROR_CHARS_MAX = 65_536
CAUSES_MAX = 32

_CUT = re.compile(r"\.\.\. \((\d{1,18}) more characters\)\Z", re.ASCII)
_CUT_CHARS_MAX = 42

NO_SUCH_TASK = "no such task"
NOT_AVAILABLE = "result is not available"
NOT_YET = "there is no outcome yet"
PASSED_ON = f"{NOT_AVAILABLE}: it was passed to another task"
EXPIRED_ERROR = "task expired"
EXPIRED_MEANS = (
    "It is not in the queue, and no outcome will come. One of these has happened, and nothing is kept that "
    "says which: its worker died in it or was not heard of for longer than its lease (the logs of the workers "
    "tell), it was cancelled or purged, its outcome was fetched by another handle or went to another task, "
    "nobody fetched it within its result_timeout, or a task that it takes the result of expired."
)
DUPLICATE_ERROR = "a task with this id is in the queue"


class TaskFailure(WorqError):
    """A task failed: which one, in which queue, and why. [ENV-API-1]

    `error` is `TypeName: text` where an exception was raised. `__cause__` is the failure of another
    task, if that was the reason [DEF-4]; it is kept when a failure is pickled.
    """

    def __init__(self, task_name: str, queue: str, task_id: str, error: str) -> None:
        super().__init__(task_name, queue, task_id, error)
        self.task_name = task_name
        self.queue = queue
        self.task_id = task_id
        self.error = error

    def __str__(self) -> str:
        place = f"[{self.queue}:{self.task_id}] {self.error}"
        return f"{self.task_name} {place}" if self.task_name else place

    def __reduce__(self) -> str | tuple[Any, ...]:
        if type(self) in KNOWN_FAILURES:
            return from_plain, (to_plain(self),)
        return super().__reduce__()


class TaskExpired(TaskFailure):
    """A task has no outcome: its lease or retention passed, or it was discarded or purged.

    A note says so where a traceback is shown. [ENV-API-1]
    """

    def __init__(self, task_name: str, queue: str, task_id: str, error: str) -> None:
        super().__init__(task_name, queue, task_id, error)
        self.add_note(EXPIRED_MEANS)


class DuplicateTask(TaskFailure):
    """A task with that id is in the queue already; nothing was changed. [CALL-4]"""


class TasksRefused(ExceptionGroup[TaskFailure], WorqError):
    """Some of many tasks were refused; the others are in the queue. [ENV-MANY-2]

    `deferreds`: what would have been returned, with None for those that were refused.
    """

    def derive(self, excs: Sequence[Any], /) -> "TasksRefused":  # type: ignore[override]  # for `except*`
        part = TasksRefused(self.message, excs)
        part.deferreds = self.deferreds
        return part


KNOWN_FAILURES = (TaskFailure, TaskExpired, DuplicateTask)
_CLASSES = {cls.__name__: cls for cls in KNOWN_FAILURES}


def describe(error: BaseException) -> str:
    """`TypeName: text`, whatever the exception does when it is asked for its text. [RUN-2]"""
    name = type(error).__name__
    try:
        text = str(error)
    except BaseException as broken:  # noqa: BLE001 - it is code of the application
        text = f"(its text can't be had: {type(broken).__name__})"
    return f"{name}: {shorten(text)}"


def shorten(text: str, chars_max: int = ERROR_CHARS_MAX) -> str:
    """The text, or the beginning of it and how many characters more there were. [RUN-2]

    A text that was cut before, as that of a failure which a task raises again, is cut as if it had
    been whole: it says once what it lacks.
    """
    cut = _CUT.search(text, max(0, len(text) - _CUT_CHARS_MAX))
    there, left_out = (text, 0) if cut is None else (text[: cut.start()], int(cut[1]))
    if len(there) <= chars_max:
        return text
    return f"{there[:chars_max]}... ({left_out + len(there) - chars_max} more characters)"


def to_plain(failure: TaskFailure) -> list[list[str]]:
    """The failure and those that caused it, each as its class's name and its four attributes."""
    plain: list[list[str]] = []
    cause: BaseException | None = failure
    while isinstance(cause, TaskFailure) and len(plain) < CAUSES_MAX:
        plain.append([_class_name(cause), *map(_text, _attributes(cause))])
        cause = cause.__cause__
    return plain


def from_plain(plain: Sequence[Sequence[str]]) -> TaskFailure:
    """What `to_plain` was given; a subclass from elsewhere has become its base.

    Raises for anything else.
    """
    if len(plain) > CAUSES_MAX:
        raise ValueError(f"plain: at most {CAUSES_MAX} failures are read, not {len(plain)}")
    cause: TaskFailure | None = None
    for class_name, task_name, queue, task_id, error in reversed(plain):
        failure = _CLASSES[class_name](task_name, queue, task_id, error)
        failure.__cause__ = cause
        cause = failure
    if cause is None:
        raise ValueError(f"plain: a failure has at least its own line: {plain!r}")
    return cause


def _attributes(failure: TaskFailure) -> tuple[object, ...]:
    return (failure.task_name, failure.queue, failure.task_id, failure.error)


def _class_name(failure: TaskFailure) -> str:
    return next(cls.__name__ for cls in type(failure).__mro__ if cls in KNOWN_FAILURES)


def _text(value: object) -> str:
    # A subclass of str is code of the application too.
    return str.__str__(value) if isinstance(value, str) else repr(value)
