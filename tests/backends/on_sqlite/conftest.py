"""Files of SQLite, and queues in them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backends.conftest import Start, start
from worq.queue.sqlite import TaskQueue, bell, database

__all__ = ["start"]

Open = Callable[..., TaskQueue]


@pytest.fixture(autouse=True)
def _no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wake-up that is lost would be made up for: here nobody looks again by themselves."""
    monkeypatch.setattr(bell, "SLEEP_S_MAX", 1000.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queues.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}?synchronous=normal"


@pytest.fixture
def open_queue(url: str, start: Start) -> Iterator[Open]:
    """Opens a queue object, which is closed after the test."""
    del start  # it ends after this
    opened: list[TaskQueue] = []

    def make(url: str = url, name: str = "q", **options: Any) -> TaskQueue:
        opened.append(TaskQueue(url, name, **options))
        return opened[-1]

    yield make
    for queue in opened:
        queue.close()


@pytest.fixture
def open_apart(open_queue: Open) -> Open:
    """Opens it with a connection of its own: what is done there is not told here, as by another process."""

    def make(**options: Any) -> TaskQueue:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(database, "_databases", {})
            return open_queue(**options)

    return make


@pytest.fixture
def queue(open_queue: Open) -> TaskQueue:
    return open_queue()
