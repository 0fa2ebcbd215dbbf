"""How a task that ends badly looks to an application. Source: SPEC.md, section 8."""

from collections.abc import Sequence
from typing import Any

from worq.errors import WorqError

ERROR_CHARS_MAX = 65_536
CAUSES_MAX = 32

NO_SUCH_TASK = "no such task"
NOT_AVAILABLE = "result is not available"
EXPIRED_ERROR = "task expired"
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
        return f"{self.task_name} [{self.queue}:{self.task_id}] {self.error}"

    def __reduce__(self) -> str | tuple[Any, ...]:
        if type(self) in KNOWN_FAILURES:
            return from_plain, (to_plain(self),)
        return super().__reduce__()


class TaskExpired(TaskFailure):
    """A task has no outcome: its lease or retention passed, or it was discarded or purged."""


class DuplicateTask(TaskFailure):
    """A task with that id is in the queue already; nothing was changed. [CALL-4]"""


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
    """The text, or the beginning of it and how much there was."""
    if len(text) <= chars_max:
        return text
    return f"{text[:chars_max]}... ({len(text)} characters)"


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
