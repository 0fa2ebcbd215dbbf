"""The README does what it says: each block of Python in it is run here."""

import os
import re
import signal
import subprocess
import sys
import unittest
from operator import add
from pathlib import Path
from subprocess import PIPE
from typing import Any
from unittest import TestCase

import pytest

from worq import get_broker
from worq.pool.thread import WorkerPool

README = Path(__file__).parents[2] / "README.md"
# One that is added is missed here at once.
QUEUE, MANY, PRODUCER, WORKER, EMBEDDED, PROCESSES, CONFORMANCE, SANDBOX = re.findall(
    r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)
REDIS = "redis://localhost:6379/0"


def run(block: str, **given: Any) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "readme", **given}
    exec(compile(block, "README.md", "exec"), names)  # noqa: S102 - to run it is the test
    return names


def test_a_queue_takes_fifteen_lines(capsys: pytest.CaptureFixture[str]) -> None:
    run(QUEUE)
    assert len(QUEUE.splitlines()) == 15
    assert capsys.readouterr().out == "7\n"


def test_many_are_called_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    broker = get_broker("memory://")
    broker.expose(add)
    with broker, WorkerPool(broker):
        run(MANY, queue=broker.queue())
    printed = sorted(map(int, capsys.readouterr().out.split()))
    assert printed == list(range(0, 2_000, 2))


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


# One that says when it runs, and ends when it is told that it may.
HELD = """
@broker.expose
def hold(gate):
    print("holds")
    open(gate).close()
    print("let go")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_embedded_pool_lets_what_runs_end(tmp_path: Path, number: signal.Signals) -> None:
    os.mkfifo(gate := tmp_path / "gate")
    url = f"sqlite:///{tmp_path}/jobs.db"
    (tmp_path / "mail.py").write_text(WORKER.replace(REDIS, url) + HELD)
    (tmp_path / "embedded.py").write_text(EMBEDDED)
    command = [sys.executable, "-u", "embedded.py"]
    with (
        get_broker(url, "mail") as broker,
        subprocess.Popen(command, cwd=tmp_path, stdout=PIPE, stderr=PIPE, text=True) as process,
    ):
        held = broker.queue().hold(str(gate))
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        process.send_signal(number)
        opened = os.open(gate, os.O_RDWR)  # waits for no reader
        try:
            assert process.communicate(timeout=60) == ("let go\n", "")
        finally:
            process.kill()
            os.close(opened)
        assert held.status == "success"
    assert process.returncode == 0


def test_processes_run_tasks(tmp_path: Path) -> None:
    (tmp_path / "powers.py").write_text(PROCESSES)
    command = [sys.executable, "powers.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[0, 1, 4, 9, 16]\n"
    assert done.stderr == ""


def test_the_queue_in_memory_conforms() -> None:
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(run(CONFORMANCE)["TestMine"])
    smoke = [test for test in suite if isinstance(test, TestCase) and "smoke" in test.id()]
    result = unittest.TestSuite(smoke).run(unittest.TestResult())
    assert result.testsRun == len(smoke) > 30
    assert result.wasSuccessful(), result.failures


def test_a_graph_of_tasks_is_tested_like_a_function(capsys: pytest.CaptureFixture[str]) -> None:
    run(SANDBOX)["test_a_worker_that_dies_costs_one_start"]()
    assert capsys.readouterr().out == "hello\n"
