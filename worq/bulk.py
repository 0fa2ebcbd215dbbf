"""Many operations in one call: where an error cuts them off, it says what is done. SPEC.md, section 5."""

from collections.abc import Callable, Generator, Sequence
from typing import Final, TypeVar, cast

from worq import checks
from worq.errors import WorqError

LOOK_S: Final = 0.05
"""How long a wait for several outcomes pauses, where a backend knows only that for one."""

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


def in_turn(items: Sequence[ItemT], act: Callable[[ItemT], AnswerT]) -> list[AnswerT]:
    """The answers of single operations."""
    answers: list[AnswerT] = []
    with saying_what_is_done(answers, len(items)):
        answers.extend(map(act, items))
    return answers


class saying_what_is_done:  # noqa: N801 - a context manager
    """Have an error carry the answers that there are by then, of `count` operations. [ENV-BULK-6]"""

    # No generator: workers finish their tasks within one.
    __slots__ = ("_answers", "_count")

    def __init__(self, answers: Sequence[object], count: int) -> None:
        self._answers = answers
        self._count = count

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, WorqError):
            error.answers = tuple(self._answers)
            error.add_note(f"of {self._count} operations {len(self._answers)} are known to be done")


def returned(steps: Generator[object, ItemT, AnswerT], last: ItemT) -> AnswerT:
    """What steps return that are sent the last thing they ask for."""
    try:
        steps.send(last)
    except StopIteration as end:
        return cast("AnswerT", end.value)
    raise AssertionError(f"there are more steps: {steps!r}")


def checked(argument: str, items: object, check: Callable[[ItemT], AnswerT]) -> list[AnswerT]:
    """What `check` makes of each; its errors say which one is wrong. [ENV-BULK-2]"""
    is_list = type(items) is list  # as nearly always
    if not is_list and (not isinstance(items, Sequence) or isinstance(items, (str, bytes))):
        raise TypeError(f"{argument}: a sequence is needed, not {checks.shown(items)}")
    answers: list[AnswerT] = []
    for item in cast("Sequence[ItemT]", items):
        try:
            answers.append(check(item))
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            text = f"{error}" if f"{error}".startswith(":") else f".{error}"
            raise kind(f"{argument}[{len(answers)}]{text}") from error.__cause__
    return answers
