"""The README does what it says: each block of Python in it is run here."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from hypothesis import settings

README = Path(__file__).parents[2] / "README.md"
# One that is added is missed here at once.
QUEUE, PRODUCER, WORKER, CONFORMANCE = re.findall(
    r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)
REDIS = "redis://localhost:6379/0"


def run(block: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(block, "README.md", "exec"), names)  # noqa: S102 - to run it is the test
    return names


def test_a_queue_takes_fifteen_lines(capsys: pytest.CaptureFixture[str]) -> None:
    run(QUEUE)
    assert len(QUEUE.splitlines()) == 15
    assert capsys.readouterr().out == "7\n"


def test_a_worker_of_another_process_does_what_a_producer_asks_for(
    redis_url: str, tmp_path: Path
) -> None:
    run(PRODUCER.replace(REDIS, redis_url))
    (tmp_path / "mail.py").write_text(WORKER.replace(REDIS, redis_url))
    command = [sys.executable, "-u", "-c", "from worq.cli import main; main()"]
    command += ["worker", "mail:broker", "--threads", "4"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=PIPE, stderr=PIPE, text=True) as worker:
        assert worker.stdout is not None
        line = worker.stdout.readline()
        worker.send_signal(signal.SIGINT)
        worker.communicate()
    assert line == "to ada@example.org: Hello\n"
    assert worker.returncode == 0


@pytest.fixture
def few_examples() -> Iterator[None]:
    """Leave the many to tests/stateful."""
    before = settings.get_current_profile_name()
    settings.register_profile("readme", settings.get_profile(before), max_examples=10)
    settings.load_profile("readme")
    yield
    settings.load_profile(before)


@pytest.mark.usefixtures("few_examples")
def test_the_queue_in_memory_holds_against_the_model() -> None:
    run(CONFORMANCE)["test_random_histories_give_what_the_model_gives"]()
