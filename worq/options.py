"""What can be said of a task when it is called. [ENV-API-5] [ENV-BAD-4]"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Self, TypedDict, TypeVar, cast

from worq import checks
from worq.const import FAIL, OnError

T = TypeVar("T")

IdOption = str | Callable[..., str] | None
"""A task's id, or a function of the arguments that gives it, or None: one is made for each call."""


class CallOptions(TypedDict, total=False):
    """Those that leave it a Deferred what a call returns."""

    id: IdOption
    on_error: OnError
    result_timeout: float
    heartrate: float
    attempts: int
    time_limit: float | None


class Options(CallOptions, total=False):
    """The options of a task by name, as `Queue` takes them."""

    ignore_result: bool


class TaskOptions(NamedTuple):
    """The options that travel with a task; times in seconds."""

    on_error: OnError = FAIL
    ignore_result: bool = False
    result_timeout: float = 3600
    heartrate: float = 30
    attempts: int = 1
    time_limit: float | None = None

    def changed(self, given: Mapping[str, object]) -> Self:
        """These options with others in their place.

        Raises ValueError for what makes no sense, TypeError for an unknown name.
        """
        for name, value in given.items():
            check(name, value)
        return self._replace(**{k: v for k, v in given.items() if k != "id"})  # type: ignore[arg-type]  # checked


class HasOptions:
    """The options, as attributes."""

    __slots__ = ()
    options: TaskOptions

    @property
    def on_error(self) -> OnError:
        return self.options.on_error

    @property
    def ignore_result(self) -> bool:
        return self.options.ignore_result

    @property
    def result_timeout(self) -> float:
        return self.options.result_timeout

    @property
    def heartrate(self) -> float:
        return self.options.heartrate

    @property
    def attempts(self) -> int:
        return self.options.attempts

    @property
    def time_limit(self) -> float | None:
        return self.options.time_limit


def check(name: str, value: object) -> None:
    """Raise what says the name and the value."""
    if name == "id":
        _check_id(value)
    elif name in _CHECKS:
        try:
            _CHECKS[name](name, value)
        except TypeError as error:
            raise ValueError(str(error)) from None
    else:
        known = ", ".join(("id", *_CHECKS))
        raise TypeError(f"{name}: there is no such option: {name}={value!r}; there are {known}")


def _check_id(value: object) -> None:
    if value is not None and not callable(value):
        checks.name("id", value)


def _check_flag(argument: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{argument}: True or False is needed, not {value!r}")


_CHECKS: dict[str, Callable[[str, object], object]] = {
    "on_error": checks.on_error,
    "ignore_result": _check_flag,
    "result_timeout": checks.retention,
    "heartrate": checks.positive_seconds,
    "attempts": checks.attempts,
    "time_limit": checks.limit,
}


class Default:
    """The default of an option that a caller did not give; it shows and compares as that value."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return bool(self.value == (other.value if isinstance(other, Default) else other))

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return repr(self.value)


def default(value: T) -> T:
    """A `Default` for a signature."""
    return cast("T", Default(value))
