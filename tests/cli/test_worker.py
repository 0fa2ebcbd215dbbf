"""`worq worker` as a process of its own: it starts, works, and ends."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pexpect
import pytest

import worq
from tests.cli.conftest import Run
from tests.cli.workers import APPLICATION, PROGRAM, SECONDS, open_gate, running, spawn
from worq.testing.servers import RedisServer

READY = "the tasks of"
POOLS = pytest.mark.parametrize("pool", ["--threads", "--processes"])


@POOLS
def test_it_runs_tasks_until_it_is_told_to_stop(
    app: Path, redis_url: str, first: worq.Broker, pool: str
) -> None:
    with running(app, "app:make", "--url", redis_url, pool, 2) as worker:
        worker.until(READY)
        results = [first.queue().say(text) for text in ("one", "two")]
        assert [result.wait(SECONDS) and result.value for result in results] == ["one", "two"]
        worker.kill(signal.SIGTERM)
        assert worker.end() == 0
    assert "SIGTERM: stopping, what runs has 25 s" in worker.said
    assert "stopped: all that had begun was finished" in worker.said


@POOLS
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_what_runs_end_and_claims_nothing_more(
    app: Path, redis_url: str, first: worq.Broker, pool: str, number: signal.Signals
) -> None:
    held = first.queue().hold(str(app / "gate"))
    with running(app, "app:make", "--url", redis_url, pool, 1) as worker:
        worker.until("holds")
        worker.kill(number)
        worker.until("stopping")
        after = first.queue().say("after")
        open_gate(app / "gate")
        assert worker.end() == 0
    assert held.wait(SECONDS)
    assert held.value == "held"
    assert after.status == "enqueued"


def test_a_signal_that_comes_twice_at_once_is_one(
    app: Path, redis_url: str, first: worq.Broker
) -> None:
    """As from GNU timeout, which signals its child, and then its group."""
    held = first.queue().hold(str(app / "gate"))
    with running(app, "app:make", "--url", redis_url) as worker:
        worker.until("holds")
        for _ in range(2):
            worker.kill(signal.SIGTERM)
        worker.until("stopping")
        worker.kill(signal.SIGTERM)
        open_gate(app / "gate")
        assert worker.end() == 0
    assert held.wait(SECONDS)
    assert held.value == "held"
    assert "again" not in worker.said


@POOLS
def test_nothing_is_cut_short_if_nothing_runs(app: Path, redis_url: str, pool: str) -> None:
    with running(app, "app:make", "--url", redis_url, pool, 2, "--drain-timeout", 0) as worker:
        worker.until(READY)
        worker.kill(signal.SIGTERM)
        worker.kill(signal.SIGINT)
        assert worker.end() == 0
    assert "stopped: all that had begun was finished" in worker.said
    assert "what still ran was ended" not in worker.said


@POOLS
def test_the_second_signal_ends_what_runs_at_once(
    app: Path, redis_url: str, first: worq.Broker, pool: str
) -> None:
    held = first.queue().hold(str(app / "gate"))
    again = worq.Task(first.queue().hold, attempts=2)(str(app / "gate"))
    with running(app, "app:make", "--url", redis_url, pool, 2) as worker:
        worker.until("holds")
        worker.until("holds")
        worker.kill(signal.SIGTERM)
        worker.until("stopping")
        worker.kill(signal.SIGINT)
        assert worker.end() == 4
    assert held.wait(SECONDS)
    with pytest.raises(worq.TaskExpired):
        _ = held.value
    assert again.status == "enqueued"
    assert "SIGINT again: what still ran was ended" in worker.said


@POOLS
def test_the_drain_deadline_ends_what_runs(
    app: Path, redis_url: str, first: worq.Broker, pool: str
) -> None:
    held = first.queue().hold(str(app / "gate"))
    arguments = ["app:make", "--url", redis_url, pool, 1, "--drain-timeout", 0]
    with running(app, *arguments) as worker:
        worker.until("holds")
        worker.kill(signal.SIGTERM)
        assert worker.end() == 4
    assert held.wait(SECONDS)
    assert held.status == "failed"
    assert "the drain deadline has passed" in worker.said


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_is_driven_from_a_terminal(
    app: Path, redis_url: str, first: worq.Broker, how: signal.Signals
) -> None:
    program = [*PROGRAM, "worker", "app:make", "--url", redis_url, "--processes", "1"]
    terminal = spawn(program, app)
    try:
        terminal.expect("1 process runs the tasks of .* \\[first\\]\r\n")
        said = first.queue().say("hello")
        terminal.expect("says hello\r\n")
        assert said.wait(SECONDS)
        held = first.queue().hold(str(app / "gate"))
        terminal.expect("holds\r\n")
        if how == signal.SIGINT:
            terminal.sendintr()  # as Ctrl-C does: to the workers too
        else:
            terminal.kill(how)
        terminal.expect(f"{how.name}: stopping, what runs has 25 s")
        open_gate(app / "gate")
        terminal.expect("let go\r\n")
        terminal.expect("stopped: all that had begun was finished\r\n")
        terminal.expect(pexpect.EOF)
    finally:
        terminal.close(force=True)
    assert terminal.exitstatus == 0
    assert held.wait(SECONDS)


def test_a_signal_while_workers_start_ends_them(app: Path) -> None:
    (app / "app.py").write_text(APPLICATION + SLOW_START.format(str(app / "gate")))
    with running(app, "app:chain", "--processes", 1) as worker:
        worker.until("starts")
        worker.kill(signal.SIGTERM)
        assert worker.end() == 0
    assert "adds" not in worker.said


SLOW_START = """
if __import__("multiprocessing").parent_process():
    tell("starts")
    hold({!r})
"""


# Ends by itself.


@pytest.mark.parametrize("pool", [(), ("--threads", 3), ("--processes", 2)])
def test_a_burst_ends_when_nothing_is_ready_and_nothing_runs(
    app: Path, pool: tuple[object, ...]
) -> None:
    with running(app, "app:chain", "--burst", *pool) as worker:
        assert worker.end() == 0
    assert [line for line in worker.lines if line.startswith("adds")] == [
        "adds 0 1\n",
        "adds 1 1\n",
        "adds 2 1\n",
    ]


def test_a_burst_on_an_empty_queue_ends_at_once(app: Path, redis_url: str) -> None:
    with running(app, "app:make", "--burst", WORQ_URL=redis_url) as worker:
        assert worker.end() == 0


@POOLS
def test_it_ends_after_so_many_tasks_and_leaves_the_others(
    app: Path, redis_url: str, first: worq.Broker, pool: str
) -> None:
    for number in range(5):
        worq.Task(first.queue().say, ignore_result=True)(number)
    with running(app, "app:make", "--url", redis_url, pool, 3, "--max-tasks", 2) as worker:
        assert worker.end() == 0
    assert sorted(line for line in worker.lines if line.startswith("says")) == [
        "says 0\n",
        "says 1\n",
    ]
    assert len(first) == 3


def test_a_process_is_replaced_after_so_many_tasks(
    app: Path, redis_url: str, first: worq.Broker
) -> None:
    for number in range(3):
        worq.Task(first.queue().say, ignore_result=True)(number)
    arguments = ["--processes", 1, "--max-worker-tasks", 1, "--burst"]
    with running(app, "app:make", "--url", redis_url, *arguments) as worker:
        assert worker.end() == 0
    assert worker.said.count("says") == 3


def test_a_task_that_runs_too_long_fails(app: Path, redis_url: str, first: worq.Broker) -> None:
    held = first.queue().hold(str(app / "gate"))
    arguments = ["--processes", 1, "--time-limit", 0.1, "--max-tasks", 1]
    arguments += ["--queue", "second", "--queue", "first"]
    with running(app, "app:make", "--url", redis_url, *arguments) as worker:
        assert worker.end() == 0
    assert held.wait(SECONDS)
    with pytest.raises(worq.TaskFailure, match=r"\[first:.*time limit of 0.1 s passed"):
        _ = held.value


# Several queues.


@POOLS
def test_queues_are_served_in_strict_rotation(
    app: Path, redis_url: str, first: worq.Broker, pool: str
) -> None:
    with (
        worq.get_broker(redis_url, "second") as second,
        worq.get_broker(redis_url, "third") as third,
    ):
        for broker, texts in ((first, "a b c d"), (second, "e"), (third, "f g")):
            for text in texts.split():
                worq.Task(broker.queue().say, ignore_result=True)(text)
        names = ["--queue", "third", "--queue", "first", "--queue", "second"]
        with running(app, "app:make", "--url", redis_url, pool, 1, "--burst", *names) as worker:
            assert worker.end() == 0
    said = [line.split()[1] for line in worker.lines if line.startswith("says")]
    assert "".join(said) == "faegbcd"


@POOLS
def test_whichever_queue_has_a_task_is_served(
    app: Path, redis_url: str, first: worq.Broker, pool: str
) -> None:
    with worq.get_broker(redis_url, "second") as second:
        names = ["--queue", "first", "--queue", "second"]
        with running(app, "app:make", "--url", redis_url, pool, 1, *names) as worker:
            worker.until("[first, second]")
            for broker in (second, first, second, second, first):
                result = broker.queue().say(broker.name)
                assert result.wait(SECONDS)
                assert result.value == broker.name
            worker.kill(signal.SIGTERM)
            assert worker.end() == 0


@POOLS
def test_a_failure_names_the_queue_of_its_task(app: Path, redis_url: str, pool: str) -> None:
    with worq.get_broker(redis_url, "second") as second:
        unknown = second.queue().unknown()
        held = second.queue().hold(str(app / "nowhere"))
        names = ["--queue", "first", "--queue", "second", "--burst"]
        with running(app, "app:make", "--url", redis_url, pool, 1, *names) as worker:
            assert worker.end() == 0
        for deferred, error in ((unknown, "no such task"), (held, "FileNotFoundError: ")):
            assert deferred.wait(SECONDS)
            with pytest.raises(worq.TaskFailure, match=f"\\[second:.*{error}"):
                _ = deferred.value


# Several servers.


@POOLS
@pytest.mark.spec("ENV-POOL-24")
def test_queues_of_several_servers_are_served_in_turn(
    app: Path, redis_url: str, first: worq.Broker, pool: str
) -> None:
    """Of one name, as they often are; and each outcome goes to where its task came from."""
    with RedisServer() as server, worq.get_broker(server.url, "first") as other:
        results = [each.queue().say(text) for text in "abc" for each in (first, other)]
        urls = ["--url", redis_url, "--url", server.url, "--url", redis_url]
        with running(app, "app:make", *urls, pool, 1, "--burst") as worker:
            assert worker.end() == 0
        assert f"of {redis_url} [first], {server.url} [first]\n" in worker.said
        said = [line.split()[1] for line in worker.lines if line.startswith("says")]
        assert said == list("aabbcc")
        for result, text in zip(results, "aabbcc", strict=True):
            assert result.wait(SECONDS)
            assert result.value == text


@pytest.mark.spec("ENV-POOL-25")
def test_a_server_that_is_gone_keeps_no_task_of_another(
    app: Path, redis_url: str, first: worq.Broker
) -> None:
    with RedisServer() as server, worq.get_broker(server.url, "first") as other:
        urls = f"{server.url} {redis_url}"
        with running(app, "app:make", WORQ_URL=urls) as worker:
            assert urls.split()[1] in worker.until("1 thread runs")
            result = other.queue().say("one")
            assert result.wait(SECONDS)
            assert result.value == "one"
            # An outcome whose answer is lost holds its worker: it has this one's when it runs another task.
            assert first.queue().say("idle").wait(SECONDS)
            server.kill()
            for text in ("two", "three"):
                result = first.queue().say(text)
                assert result.wait(SECONDS)
                assert result.value == text
            server.start()
            result = other.queue().say("four")
            assert result.wait(SECONDS)
            assert result.value == "four"
            worker.kill(signal.SIGTERM)
            assert worker.end() == 0


def test_one_of_several_urls_that_makes_no_sense_is_named(app: Path, redis_url: str) -> None:
    urls = ["--url", redis_url, "--url", "redis://host:port"]
    with running(app, "app:make", *urls) as worker:
        assert worker.end() == 2
    assert "port: a number from 1 to 65535 is needed: 'redis://host:port'" in worker.said


def test_a_server_that_is_gone_is_blamed_on_who_named_it(app: Path) -> None:
    (app / "own.py").write_text(
        "import worq\n"
        "broker = worq.get_broker('redis://127.0.0.1:1', retry_deadline_s=0)\n"
        "broker.expose(print)\n"
    )
    named = {
        "MODULE:OBJECT: the URL of 'own:broker': redis://127.0.0.1:1 [default]: ": [],
        "--url: redis://127.0.0.1:1 [default]: ": ["--url", "redis://127.0.0.1:1"],
    }
    for error, url in named.items():
        for check in ([], ["--check"]):
            with running(app, "own:broker", *url, *check) as worker:
                assert worker.end() == 3
            assert f"Error: {error}" in worker.said


# Starting again.


def test_hup_drains_and_starts_again_with_the_same_process_id(
    app: Path, redis_url: str, first: worq.Broker
) -> None:
    with running(app, "app:make", "--url", redis_url) as worker:
        worker.until(READY)
        (app / "app.py").write_text((app / "app.py").read_text().replace("says", "now says"))
        worker.kill(signal.SIGHUP)
        worker.until("SIGHUP: reloading")
        assert f"[{worker.pid}]" in worker.until(READY)
        said = first.queue().say("hello")
        worker.until("now says hello")
        assert said.wait(SECONDS)
        worker.kill(signal.SIGTERM)
        assert worker.end() == 0


def test_hup_again_while_it_starts_again_does_not_end_it(
    app: Path, redis_url: str, first: worq.Broker
) -> None:
    over = threading.Event()
    with running(app, "app:make", "--url", redis_url) as worker:

        def hang_up() -> None:  # again and again, wherever it is
            while not over.wait(0.005):
                worker.kill(signal.SIGHUP)

        worker.until(READY)
        hanging_up = threading.Thread(target=hang_up)
        hanging_up.start()
        try:
            worker.until(READY)
        finally:
            over.set()
            hanging_up.join()
        assert first.queue().say("hello").wait(SECONDS)
        assert worker.process.poll() is None


def test_a_file_that_changes_reloads_it_even_if_it_could_not_be_loaded(
    app: Path, redis_url: str
) -> None:
    source = (app / "app.py").read_text()
    with running(app, "app:make", "--url", redis_url, "--reload") as worker:
        worker.until(READY)
        (app / "app.py").write_text("planted(")
        worker.until("app.py has changed: reloading")
        worker.until("importing app failed: SyntaxError")
        (app / "app.py").write_text(source)
        worker.until(READY)
        worker.kill(signal.SIGTERM)
        assert worker.end() == 0


def test_without_its_extra_reload_says_what_to_install(app: Path) -> None:
    program = "import sys; sys.modules['watchfiles'] = None; from worq.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "worker", "app:chain", "--reload"],
        cwd=app,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--reload needs the package watchfiles: install worq-spec[watch]" in done.stderr


# Defaults from the environment.


def test_variables_are_defaults_for_its_options(app: Path, redis_url: str) -> None:
    variables = {"URL": redis_url, "QUEUE": "second third", "THREADS": "3", "LOG_LEVEL": "info"}
    variables |= {"DRAIN_TIMEOUT": "7"}
    with running(app, "app:make", **{f"WORQ_{k}": v for k, v in variables.items()}) as worker:
        assert "3 threads run the tasks of" in worker.until("[second, third]")
        worker.kill(signal.SIGTERM)
        worker.until("stopping, what runs has 7 s")
        assert worker.end() == 0


def test_what_is_typed_beats_variables(app: Path) -> None:
    arguments = ["app:chain", "--processes", 1, "--drain-timeout", 3, "--burst"]
    variables = {"WORQ_THREADS": "3", "WORQ_TIME_LIMIT": "60", "WORQ_DRAIN_TIMEOUT": "soon"}
    with running(app, *arguments, **variables) as worker:
        worker.until("1 process runs the tasks of")
        assert worker.end() == 0


def test_a_variable_that_makes_no_sense_is_one_clear_line(app: Path) -> None:
    with running(app, "app:chain", WORQ_DRAIN_TIMEOUT="soon") as worker:
        assert worker.end() == 2
    assert "'soon' is not a number of seconds" in worker.said


# Looking only.


def test_check_connects_and_lists_the_tasks(app: Path, redis_url: str, first: worq.Broker) -> None:
    waits = first.queue().say("later")
    with running(app, "app:make", "--check", "--queue", "first", WORQ_URL=redis_url) as worker:
        assert worker.end() == 0
    assert worker.lines == [
        f"{redis_url} [first]: 1 waiting\n",
        "tasks:\n",
        "  hold\n",
        "  say\n",
    ]
    assert waits.status == "enqueued"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["app"], "MODULE:OBJECT: something like app:broker is needed, not 'app'"),
        ([":make"], "not ':make'"),
        (["nowhere:make"], "MODULE:OBJECT: there is no module 'nowhere': 'nowhere:make'"),
        (["app.nowhere:make"], "there is no module 'app.nowhere'"),
        (["app:missing.too"], "MODULE:OBJECT: app has no missing.too: 'app:missing.too'"),
        (["app:worq"], "a Broker, or a function that makes one, not 'app:worq'"),
        (["app:make"], "--url (or WORQ_URL): the function 'app:make' needs the URL"),
        (["app:make", "--url", "amqp://here"], "--url: url: one of memory://, redis://"),
        (["app:chain", "--url", "amqp://here"], "--url: url: one of memory://, redis://"),
        (["app:chain", "--queue", ""], "--queue: name: a name must not be empty: ''"),
        (["app:nothing", "--url", "memory://"], "'app:nothing' must return a Broker, not 7"),
        (
            ["app:add", "--url", "memory://"],
            "'app:add' is a task, not a Broker; app:chain exposes it",
        ),
        (["app:spaced", "--url", "memory://"], "'app:spaced' is a task, not a Broker; app:space"),
        (
            ["app:two", "--url", "memory://"],
            "'app:two' must take the URL and nothing else, not (x, y)",
        ),
        (["app:empty", "--url", "memory://"], "'app:empty' exposes no tasks"),
        (["app:chain", "--threads", "0"], "0 is not in the range"),
        (["app:chain", "--threads", "1", "--processes", "1"], "exclude one another"),
        (["app:chain", "--time-limit", "2"], "--time-limit 2 needs --processes"),
        (["app:chain", "--time-limit", "0"], "'0': more than 0 seconds are needed"),
        (["app:chain", "--max-worker-tasks", "2"], "--max-worker-tasks 2 needs --processes"),
        (["app:chain", "--drain-timeout", "soon"], "'soon' is not a number of seconds"),
        (["app:chain", "--drain-timeout", "-1"], "'-1': 0 seconds or more are needed"),
    ],
)
def test_bad_input_is_one_clear_line(
    worker: Run, app: Path, arguments: list[str], error: str
) -> None:
    result = worker(*arguments)
    assert result.exit_code == 2
    assert error in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_broken_application_shows_where(worker: Run, app: Path) -> None:
    result = worker("app:broken", "--url", "memory://")
    assert result.exit_code == 2
    assert 'raise RuntimeError(f"planted for {url}")' in result.stderr
    assert result.stderr.splitlines()[-1] == (
        "Error: MODULE:OBJECT: the function 'app:broken' failed: "
        "RuntimeError: planted for memory://"
    )


def test_a_server_that_cannot_be_reached_is_one_clear_line(worker: Run, app: Path) -> None:
    for more in ((), ("--check",)):
        result = worker("app:make", "--url", f"unix://:secret@{app}/redis.sock", *more)
        assert result.exit_code == 3
        *before, last = result.stderr.splitlines()
        assert last.startswith(f"Error: --url: unix://:***@{app}/redis.sock [first]")
        assert len(before) == (0 if more else 1)  # while it tries
        assert all("contact lost, trying again" in line for line in before)


def test_a_worker_process_that_cannot_start_says_why(app: Path) -> None:
    arguments = ["app:chain", "--processes", 1]
    (app / "app.py").write_text(
        APPLICATION
        + "\nif __import__('multiprocessing').parent_process(): raise RuntimeError('planted')\n"
    )
    with running(app, *arguments) as worker:
        assert worker.end() == 1
    assert "Error: no worker process: init_func failed" in worker.said
    assert "RuntimeError: planted" in worker.said


@POOLS
@pytest.mark.spec("ENV-SER-6", "ENV-SER-7")
def test_it_refuses_what_was_not_signed_and_says_how_often(
    app: Path, redis_url: str, first: worq.Broker, monkeypatch: pytest.MonkeyPatch, pool: str
) -> None:
    secret = {"WORQ_SECRET": "the-key-of-these-tests"}
    monkeypatch.setenv("WORQ_SECRET", secret["WORQ_SECRET"])
    url = f"{redis_url}?serializer=signed+json"
    with (
        worq.get_broker(url, "first") as signed,
        running(app, "app:make", "--url", url, pool, 1, **secret) as worker,
    ):
        worker.until(f"the tasks of {url} [first]")
        forged = first.queue().say("forged")
        good = signed.queue().say("good")
        assert good.wait(SECONDS)
        assert good.value == "good"
        failed = signed.deferred(forged.id, "say", forged.token)
        assert failed.wait(SECONDS)
        with pytest.raises(worq.TaskFailure, match="MessageRefused: it is not signed"):
            _ = failed.value
        worker.kill(signal.SIGTERM)
        assert worker.end() == 0
    assert "not started, the 1. that was refused: ? [first:" in worker.said
    assert "messages that were refused: 1" in worker.said
    assert "says forged" not in worker.said
