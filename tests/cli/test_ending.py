"""How `worq demo` ends when something is wrong: clearly, and with nothing left in the queue."""

import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.cli.conftest import Run
from worq.cli import wordcount
from worq.cli.run import Step, count_with_tasks, plan
from worq.cli.stopping import Stopped, stopping
from worq.cli.wordcount import Tally
from worq.const import State
from worq.core import Broker
from worq.testing.servers import RedisServer


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["nowhere.py"], "Path 'nowhere.py' does not exist"),
        ([""], "Path '' does not exist"),
        (["--url", "amqp://here"], "url: one of memory://, redis://"),
        (["--url", "here"], "not 'here'"),
        (["--url", "redis://here:port"], "url: "),
        (["--workers", "0"], "'--workers': 0 is not in the range"),
        (["--workers", "many"], "'many' is not a valid integer"),
        (["--fast"], "--fast"),
    ],
)
def test_bad_input_is_refused_with_the_argument_and_the_value(
    demo: Run, arguments: list[str], error: str
) -> None:
    result = demo(*arguments)
    assert result.exit_code == 2
    assert error in result.stderr
    assert result.stdout == ""


def test_a_folder_without_python_files_is_refused(demo: Run, tmp_path: Path) -> None:
    result = demo(tmp_path)
    assert result.exit_code == 2
    assert f"there are no Python files (*.py) in '{tmp_path}'" in result.stderr


def test_the_url_may_come_from_the_environment(demo: Run, folder: Path) -> None:
    result = demo(folder, WORQ_URL="amqp://here")
    assert result.exit_code == 2
    assert "not 'amqp://here'" in result.stderr


def test_a_redis_that_cannot_be_reached_is_one_clear_line(
    demo: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worq.cli.demo.RETRY_SECONDS", 0.2)
    result = demo(folder, "--url", f"unix://:secret@{tmp_path}/redis.sock")
    assert result.exit_code == 3
    assert result.stderr.startswith(f"Error: --url: unix://:***@{tmp_path}/redis.sock [demo-")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_server_that_goes_away_is_one_clear_line(
    demo: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("worq.cli.demo.RETRY_SECONDS", 0.2)
    monkeypatch.setattr("worq.cli.run.DRAIN_SECONDS", 0)
    with RedisServer() as server:

        def kill(path: str) -> Tally:
            server.kill()
            return Tally(Counter([path]), 1, ())

        monkeypatch.setitem(wordcount.tasks.tasks, "wordcount.count", kill)
        result = demo(folder / "first.py", "--url", server.url)
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1].startswith("Error: unix://")
    assert "; tasks may be left in the queue demo-" in result.stderr
    assert caplog.records == []


def test_a_task_that_fails_ends_it_and_leaves_nothing(
    demo: Run, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: str) -> Tally:
        raise RuntimeError(f"planted for {path}")

    monkeypatch.setitem(wordcount.tasks.tasks, "wordcount.count", broken)
    result = demo(folder, "--url", url)
    assert result.exit_code == 1
    assert "Error: a task failed: wordcount.merge [demo-" in result.stderr
    assert "RuntimeError: planted for" in result.stderr


def test_a_different_count_is_shown_and_exits_with_one(
    demo: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = Tally(Counter(spam=5), 1, ())
    monkeypatch.setattr(wordcount, "count", lambda path: planted)
    result = demo(folder)
    assert result.exit_code == 1
    assert "NOT THE SAME" in result.stdout
    assert "  spam: 4 by tasks, 10 without" in result.stdout
    assert "  egg: 2 by tasks, 0 without" in result.stdout


# Stopped from outside.


def test_stopped_while_it_submits_it_leaves_nothing(broker: Broker) -> None:
    steps = plan([__file__] * 20)

    def watch(what: str, done: int, of: int) -> None:
        if done == len(steps) - 1:
            raise Stopped(signal.SIGINT)

    with pytest.raises(Stopped):
        count_with_tasks(broker, steps, workers=2, watch=watch)
    assert states(broker, steps) == {None}
    assert len(broker) == 0


def test_stopped_while_tasks_run_it_leaves_nothing(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = threading.Event()

    def slow(path: str) -> Tally:
        stopped.wait()
        return Tally(Counter([path]), 1, ())

    def watch(what: str, done: int, of: int) -> None:
        if what == "tasks started":
            stopped.set()
            raise Stopped(signal.SIGINT)

    monkeypatch.setitem(wordcount.tasks.tasks, "wordcount.count", slow)
    steps = plan([__file__] * 20)
    with pytest.raises(Stopped):
        count_with_tasks(broker, steps, workers=2, watch=watch)
    assert states(broker, steps) == {None}
    assert len(broker) == 0


def states(broker: Broker, steps: list[Step]) -> set[State | None]:
    return {broker.status(broker.deferred(step.id)) for step in steps}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_it_with_an_exit_code_of_its_own(
    redis_url: str, number: signal.Signals, code: int
) -> None:
    # The standard library takes long enough to be interrupted.
    program = [sys.executable, "-c", "from worq.cli import main; main()", "demo"]
    with subprocess.Popen(
        [*program, "--url", redis_url], stdout=PIPE, stderr=PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "tasks submitted" in process.stderr.readline()
        process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == code
    assert err.splitlines()[-1].startswith("worq: stopped; no task is left in the queue demo-")
    assert out == ""


def test_a_second_signal_stops_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopping():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_where_signals_cannot_be_noticed_it_runs_all_the_same(demo: Run, folder: Path) -> None:
    with ThreadPoolExecutor() as executor:
        assert executor.submit(demo, folder).result().exit_code == 0
