"""Files to count, and a queue on each backend."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import worq
from tests.cli.workers import APPLICATION
from worq.cli.app import worq as command

Run = Callable[..., Result]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis), "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/queues.db"
    return "memory://" if request.param == "memory" else request.getfixturevalue("redis_url")


@pytest.fixture
def broker(url: str) -> Iterator[worq.Broker]:
    with worq.get_broker(url, "demo") as broker:
        yield broker


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files of Python in which `spam` stands four times, `egg` twice and `ham` once; and another file."""
    (tmp_path / "below").mkdir()
    (tmp_path / "first.py").write_text("spam = spam + egg  # egg\n")
    (tmp_path / "below/second.py").write_text("def spam(egg):\n    return ham if spam else 'egg'\n")
    (tmp_path / "other.txt").write_text("ham\n")
    return tmp_path


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `worq demo` with these arguments."""
    monkeypatch.delenv("WORQ_URL", raising=False)
    return lambda *args, **env: CliRunner().invoke(command, ["demo", *map(str, args)], env=env)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with an application in it, `app.py`, and a gate that nobody has opened."""
    (tmp_path / "app.py").write_text(APPLICATION)
    os.mkfifo(tmp_path / "gate")
    return tmp_path


@pytest.fixture
def first(redis_url: str) -> Iterator[worq.Broker]:
    """The queue that the application serves by itself. Nothing is left in it afterwards."""
    with worq.get_broker(redis_url, "first") as broker:
        yield broker
        broker.discard_pending_tasks()


@pytest.fixture
def worker(app: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs `worq worker` with these arguments in this process, where it only says something."""
    for option in (
        "URL",
        "QUEUE",
        "THREADS",
        "PROCESSES",
        "TIME_LIMIT",
        "DRAIN_TIMEOUT",
        "LOG_LEVEL",
    ):
        monkeypatch.delenv(f"WORQ_{option}", raising=False)
    monkeypatch.setenv("NO_CHAIN", "1")
    monkeypatch.chdir(app)
    monkeypatch.syspath_prepend(str(app))
    logger = logging.getLogger("worq")
    before = logger.handlers, logger.propagate, logger.level
    yield lambda *args: CliRunner().invoke(command, ["worker", *map(str, args)])
    logger.handlers, logger.propagate, level = before
    logger.setLevel(level)
    if "app" in sys.modules:
        sys.modules.pop("app").chain.close()
