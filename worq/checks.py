"""Checks of what callers pass in: each error names the argument and shows the value. [ENV-BAD-5]"""

import math
import reprlib
from collections.abc import Collection, Iterable
from typing import TypeVar

from worq.const import (
    ARGUMENTS_MAX,
    ATTEMPTS_MAX,
    FAIL,
    INCARNATION_BYTES,
    NAME_BYTES_MAX,
    PASS,
    TIMEOUT_S_MAX,
    OnError,
)

SHOWN = reprlib.Repr()
SHOWN.maxstring = SHOWN.maxother = 100
"""Shows what may be long."""


def shown(value: object) -> str:
    """What may be long, and may have no `repr`."""
    try:
        return SHOWN.repr(value)
    except Exception:  # noqa: BLE001 - it is code of the application
        return f"<{type(value).__name__}>"


def name(argument: str, value: object) -> str:
    """A name or an id: text of at most 1,024 bytes as UTF-8. [ENV-BAD-1] [ENV-BAD-6]"""
    if type(value) is str and value.isascii() and 0 < len(value) <= NAME_BYTES_MAX:
        return value  # as nearly all are
    checked = text(argument, value)
    if (size := len(checked.encode())) > NAME_BYTES_MAX:
        shown = SHOWN.repr(checked)
        raise ValueError(
            f"{argument}: at most {NAME_BYTES_MAX} bytes of UTF-8 are allowed, not {size}: {shown}"
        )
    return checked


def text(argument: str, value: object) -> str:
    """A non-empty string that UTF-8 can encode. [ENV-BAD-1]"""
    if not isinstance(value, str):
        raise TypeError(f"{argument}: a string is needed, not {SHOWN.repr(value)}")
    if not value:
        raise ValueError(f"{argument}: a name must not be empty: {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{argument}: can't be encoded as UTF-8: {SHOWN.repr(value)}") from None
    return value


def arguments(argument: str, value: Collection[str]) -> None:
    """At most 10,000 arguments of one task. [ENV-BAD-6]"""
    if len(value) > ARGUMENTS_MAX:
        shown = SHOWN.repr(value)
        raise ValueError(
            f"{argument}: at most {ARGUMENTS_MAX} arguments are allowed, not {len(value)}: {shown}"
        )


def seconds(argument: str, value: object) -> float:
    """A finite number of seconds, 0 or more. [ENV-BAD-2]"""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{argument}: a number of seconds is needed, not {value!r}")
    if not 0 <= value <= TIMEOUT_S_MAX:  # NaN fails this too
        raise ValueError(f"{argument}: seconds from 0 to {TIMEOUT_S_MAX} are needed, not {value!r}")
    return value


def seconds_or_forever(argument: str, value: object) -> float | None:
    """As `seconds`; None for None and infinity."""
    return None if value is None or value == math.inf else seconds(argument, value)


def positive_seconds(argument: str, value: object) -> float:
    value_s = seconds(argument, value)
    if value_s == 0:
        raise ValueError(f"{argument}: more than 0 seconds are needed, not {value!r}")
    return value_s


def retention(argument: str, value: object) -> float | None:
    """How long an outcome is kept: more than 0 seconds; None for infinity. [ENV-BAD-4]"""
    return None if value == math.inf else positive_seconds(argument, value)


def limit(argument: str, value: object) -> float | None:
    """How long something may take: more than 0 seconds; None for None and infinity. [ENV-BAD-4]"""
    value_s = seconds_or_forever(argument, value)
    return None if value_s is None else positive_seconds(argument, value_s)


def milliseconds(value_s: float) -> int:
    """The nearest millisecond, but never 0 for what is more than 0."""
    return max(1, round(value_s * 1000)) if value_s > 0 else 0


def milliseconds_or_forever(value_s: float | None) -> int | None:
    return None if value_s is None else milliseconds(value_s)


T = TypeVar("T")


def iterable(argument: str, value: Iterable[T]) -> Iterable[T]:
    if not hasattr(value, "__iter__"):
        raise TypeError(f"{argument}: an iterable is needed, not {shown(value)}")
    return value


def instance(argument: str, value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{argument}: a {kind.__name__} is needed, not {value!r}")
    return value


def incarnation(argument: str, value: object, shown: object) -> None:
    """What names one life of an id: 16 bytes. `shown`: the token that it is part of."""
    if not isinstance(value, bytes) or len(value) != INCARNATION_BYTES:
        raise ValueError(
            f"{argument}: {INCARNATION_BYTES} bytes of incarnation are needed, not {shown!r}"
        )


def bytes_max(argument: str, value: object) -> int:
    """A limit for messages: at least 1 byte. [ENV-BAD-5]"""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{argument}: a number of bytes is needed, not {value!r}")
    if value < 1:
        raise ValueError(f"{argument}: at least 1 byte is needed, not {value!r}")
    return value


def whole(argument: str, value: object, minimum: int) -> int:
    """A whole number of at least so many. [ENV-BULK-2]"""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{argument}: an integer is needed, not {value!r}")
    if value < minimum:
        raise ValueError(f"{argument}: {minimum} or more is needed, not {value!r}")
    return value


def on_error(argument: str, value: object) -> OnError:
    if value == FAIL:
        return FAIL
    if value == PASS:
        return PASS
    raise ValueError(f"{argument}: {FAIL!r} or {PASS!r} is needed, not {value!r}")


def attempts(argument: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{argument}: an integer is needed, not {value!r}")
    if not 1 <= value <= ATTEMPTS_MAX:
        raise ValueError(f"{argument}: 1 to {ATTEMPTS_MAX} is needed, not {value!r}")
    return value


def message(argument: str, value: object, limit: int) -> bytes:
    """Bytes within the limit. [ENV-BAD-3]"""
    if not isinstance(value, bytes):
        raise TypeError(f"{argument}: bytes are needed, not {type(value).__name__}: {value!r:.200}")
    if len(value) > limit:
        raise ValueError(f"{argument}: {len(value)} bytes are more than message_bytes_max, {limit}")
    return value
