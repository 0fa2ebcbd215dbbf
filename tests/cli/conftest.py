"""Files to count, and a queue on either backend."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import worq
from worq.cli.app import worq as command

Run = Callable[..., Result]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def url(request: pytest.FixtureRequest) -> str:
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
