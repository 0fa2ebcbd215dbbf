"""Histories as Python to paste into a test: short, and without what is the default anyway."""

from typing import Any, NamedTuple

INCARNATION_BYTES = 16


class Tick(NamedTuple):
    """Time that passes."""

    ms: int


def inc(number: int) -> bytes:
    """The incarnation of that number: 16 bytes, for programs that people read."""
    return number.to_bytes(INCARNATION_BYTES, "big")


def as_code(value: Any) -> str:
    """An expression that gives the value again, with the names of `worq_model` and `worq.testing`."""
    kind = value.__class__
    if hasattr(kind, "_fields"):
        return _tuple(value)
    if kind is tuple:
        return _plain(value)
    if isinstance(value, bytes) and len(value) == INCARNATION_BYTES:
        return f"inc({int.from_bytes(value, 'big')})"
    return repr(value)


def _plain(value: tuple[Any, ...]) -> str:
    inner = ", ".join(as_code(item) for item in value)
    return f"({inner},)" if len(value) == 1 else f"({inner})"


def _tuple(value: Any) -> str:
    """A NamedTuple: positional as long as nothing is left out, by name after that."""
    parts: list[str] = []
    positional = True
    for field, item in zip(value._fields, value, strict=True):
        if field in value._field_defaults and item == value._field_defaults[field]:
            positional = False
        else:
            parts.append(as_code(item) if positional else f"{field}={as_code(item)}")
    return f"{type(value).__name__}({', '.join(parts)})"
