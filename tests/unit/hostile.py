"""Messages as somebody writes them who means harm, and what shows whether one was executed."""

import pickle
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

EXECUTED: list[object] = []
"""What bombs have left: code of theirs has run."""


def explode(mark: object) -> object:
    EXECUTED.append(mark)
    return mark


class Bomb:
    """A pickle of it calls a function when it is read."""

    def __init__(self, mark: object = None) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return explode, (self.mark,)


def bomb(mark: object = None, protocol: int | None = None) -> bytes:
    """A pickle that runs code."""
    return pickle.dumps(Bomb(mark), protocol)


def nested(shape: str, depth: int) -> Any:
    """Lists, or dicts, within one another, so many."""
    value: Any = [] if shape == "list" else {}
    for _ in range(depth - 1):
        value = [value] if shape == "list" else {"a": value}
    return value


# Python itself says what it is about to do; a hook stays for ever, so it does nothing most of the time.
_RUNS = ("pickle.", "exec", "import", "os.", "subprocess.", "ctypes.", "open", "socket.", "shutil.")
_watched = threading.local()


def _hear(event: str, args: tuple[object, ...]) -> None:
    heard: list[str] | None = getattr(_watched, "heard", None)
    if heard is not None and event.startswith(_RUNS):
        heard.append(f"{event} {args!r:.200}")


@contextmanager
def nothing_executed() -> Generator[None]:
    """Fail if this thread reads a pickle's global, imports, compiles, runs, or opens anything in the block."""
    if not hasattr(_watched, "is_there"):
        sys.addaudithook(_hear)
    _watched.is_there = True
    _watched.heard = []
    try:
        yield
        heard = list(_watched.heard)
    finally:
        _watched.heard = None
    assert heard == []
    assert EXECUTED == []
