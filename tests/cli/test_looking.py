"""`worq info`, `worq purge` and `worq result`: what they show, and how they end."""

import io
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pexpect
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

import worq
from tests.cli.workers import PROGRAM, environment, spawn
from worq.cli import info as info_command
from worq.cli.app import worq as command
from worq.introspection import Counts, Seen, Sign
from worq.pool.thread import WorkerPool

Call = Callable[..., Result]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.delenv("WORQ_URL", raising=False)
    return lambda *args, **options: CliRunner().invoke(command, [*map(str, args)], **options)


# worq purge


def test_purge_asks_first(call: Call, redis_url: str, first: worq.Broker) -> None:
    for number in range(3):
        first.queue(ignore_result=True).say(number)
    refused = call("purge", redis_url, "--queue", "first", input="n\n")
    assert refused.exit_code == 1
    assert f"Drop 3 waiting tasks of {redis_url} [first]? [y/N]: n" in refused.output
    assert len(first) == 3
    agreed = call("purge", redis_url, "--queue", "first", input="y\n")
    assert agreed.exit_code == 0
    assert agreed.stdout.splitlines()[-1] == f"3 dropped from {redis_url} [first]"
    assert len(first) == 0


def test_purge_with_yes_does_not_ask(call: Call, redis_url: str, first: worq.Broker) -> None:
    first.queue(ignore_result=True).say(1)
    done = call("purge", "--queue", "first", "--yes", "--json", env={"WORQ_URL": redis_url})
    assert json.loads(done.stdout) == {"url": redis_url, "queue": "first", "purged": 1}


@pytest.mark.parametrize("command", [("info",), ("purge",), ("result", "x"), ("demo",)])
def test_several_urls_are_for_workers(call: Call, command: tuple[str, ...]) -> None:
    refused = call(*command, env={"WORQ_URL": "redis://:secret@one redis://two"})
    assert refused.exit_code == 2
    said = " ".join(refused.output.replace("\u2502", " ").split())
    assert "several URLs: only `worq worker` takes them: 'redis://:***@one redis://two'" in said


# worq result


def test_result_says_the_state_and_takes_nothing(
    call: Call, redis_url: str, first: worq.Broker
) -> None:
    first.expose(len)
    waits = worq.Task(first.queue().len, id="mine")("abc")
    assert state(call, redis_url) == ("enqueued\n", 0)
    task = first.next_task(0)
    assert task is not None
    assert state(call, redis_url) == ("processing\n", 0)
    first.invoke(task)
    assert state(call, redis_url) == ("completed\n", 0)
    assert waits.value == 3
    assert state(call, redis_url) == (ABSENT.format(redis_url), 1)


ABSENT = "absent: no such task in {} [first]; it was fetched, has expired, or never was\n"


def state(call: Call, redis_url: str, *more: str) -> tuple[str, int]:
    done = call("result", "mine", "--url", redis_url, "--queue", "first", *more)
    return done.stdout, done.exit_code


@pytest.mark.parametrize(
    ("function", "argument", "text", "fields", "code"),
    [
        (len, "abc", "3\n", {"status": "success", "result": 3}, 0),
        (set, "a", "{'a'}\n", {"status": "success", "result": "{'a'}"}, 0),
        (
            int,
            "x",
            "failed: int [first:mine] ValueError: invalid literal for int() with base 10: 'x'\n",
            {
                "status": "failed",
                "error": "int [first:mine] ValueError: invalid literal for int() with base 10: 'x'",
            },
            1,
        ),
    ],
)
def test_result_takes_what_is_there_once(
    call: Call,
    redis_url: str,
    first: worq.Broker,
    function: Callable[..., object],
    argument: str,
    text: str,
    fields: dict[str, object],
    code: int,
) -> None:
    first.expose(function)
    for how, expected in ((("--take",), text), (("--take", "--json"), None)):
        kept = worq.Task(getattr(first.queue(), function.__name__), id="mine")(argument)
        task = first.next_task(0)
        assert task is not None
        first.invoke(task)
        said, ended = state(call, redis_url, *how)
        assert ended == code
        if expected is None:
            assert json.loads(said) == {"id": "mine", "queue": "first"} | fields
        else:
            assert said == expected
        assert kept.status is None
        assert state(call, redis_url, "--take") == (ABSENT.format(redis_url), 1)


def test_result_does_not_take_what_is_not_there_yet(
    call: Call, redis_url: str, first: worq.Broker
) -> None:
    waits = worq.Task(first.queue().say, id="mine")("abc")
    assert state(call, redis_url, "--take") == ("enqueued\n", 1)
    assert waits.status == "enqueued"


# worq info


def test_info_counts_and_shows_who_serves(call: Call, redis_url: str, first: worq.Broker) -> None:
    first.queue(ignore_result=True).say(1)
    with worq.get_broker(redis_url, "second") as second, WorkerPool(second, 2, name="[mine]"):
        while len(found := looked_at(call, redis_url)) < 2:  # it has not left its sign of life
            pass
        text = call("info", redis_url).stdout
    counts = {"pending": 0, "enqueued": 1, "processing": 0, "completed": 0}
    assert found[0] == {"name": "first", "waiting": 1, **counts, "workers": []}
    (sign,) = found[1]["workers"]
    assert (sign["name"], sign["pid"], sign["workers"]) == ("[mine]", os.getpid(), 2)
    assert ["first", "1", "0", "1", "0", "0", "0"] in [line.split() for line in text.splitlines()]
    assert "[mine]" in text
    only = json.loads(call("info", redis_url, "--json", "--queue", "first").stdout)
    assert [each["name"] for each in only["queues"]] == ["first"]


def looked_at(call: Call, redis_url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(call("info", redis_url, "--json").stdout)["queues"]
    return found


def test_info_of_an_empty_server_says_so(call: Call, redis_url: str) -> None:
    assert call("info", redis_url).stdout == "no queue has tasks or workers\n"


def test_info_shows_which_pools_are_late_and_what_they_run() -> None:
    sign = Sign("id", "mine", "here", 7, 2, 3_600_000, ("a", "b", "c", "d", "e"))
    found = info_command.Found("[x]", Counts(1, 2, 3, 4000), [Seen(sign, 30_000), Seen(sign, 1)])
    shown = io.StringIO()
    Console(file=shown, width=200).print(info_command.shown([found]))
    lines = [line.split() for line in shown.getvalue().splitlines()]
    assert ["[x]", "3", "1", "2", "3", "4,000", "2"] in lines
    row = ["[x]", "mine", "here", "7", "2", "1.0", "h", "ago"]
    runs = ["a,", "b,", "c", "and", "2", "more"]
    assert [*row, "30", "s", "ago", "late", *runs] in lines
    assert [*row, "0", "s", "ago", *runs] in lines


def test_info_looks_again_until_it_is_interrupted(redis_url: str, first: worq.Broker) -> None:
    arguments = [*PROGRAM, "info", redis_url, "--watch", "--json"]
    with subprocess.Popen(arguments, stdout=PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["queues"] == []
        first.queue(ignore_result=True).say(1)
        while not json.loads(process.stdout.readline())["queues"]:
            pass
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 0


def test_info_prints_one_look_after_another_where_there_is_no_terminal(
    redis_url: str, first: worq.Broker
) -> None:
    first.queue(ignore_result=True).say(1)
    arguments = [*PROGRAM, "info", redis_url, "--watch"]
    with subprocess.Popen(arguments, stdout=PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        for _ in range(2):
            while not re.match(" *first +1 +0 +1", process.stdout.readline()):
                pass
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 0


def test_info_stays_on_a_terminal(redis_url: str, first: worq.Broker) -> None:
    first.queue(ignore_result=True).say(1)
    terminal = spawn([*PROGRAM, "info", redis_url, "--watch"], Path.cwd())
    try:
        terminal.expect("first +1 +0 +1")
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
    finally:
        terminal.close(force=True)
    assert terminal.exitstatus == 0


# How they end.


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["purge"], "Missing argument 'URL'"),
        (["purge", "memory://"], "URL: 'memory://' means another queue in each process"),
        (["purge", "amqp://x"], "URL: url: one of memory://"),
        (["purge", "redis://x", "--queue", ""], "--queue: name: a name must not be empty: ''"),
        (["result", "a"], "Missing option '--url'"),
        (["result", "", "--url", "redis://x"], "ID: task_id: a name must not be empty: ''"),
        (["result", "a", "--url", "here"], "--url: url: one of memory://"),
        (["info", "here"], "URL: url: one of memory://"),
        (["info", "memory://x"], "URL: 'memory://x' means another queue"),
        (["info", "redis://x", "--queue", ""], "--queue: name: a name must not be empty: ''"),
    ],
)
def test_bad_input_names_the_argument_and_the_value(
    call: Call, arguments: list[str], error: str
) -> None:
    done = call(*arguments)
    assert done.exit_code == 2
    assert error in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments", [["purge", "--yes"], ["result", "a", "--url"], ["info"], ["info", "--queue", "x"]]
)
def test_a_server_that_cannot_be_reached_is_one_clear_line(
    call: Call, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worq.cli.opening.RETRY_SECONDS", 0.2)
    done = call(*arguments, f"unix://:secret@{tmp_path}/redis.sock")
    assert done.exit_code == 3
    assert f"unix://:***@{tmp_path}/redis.sock" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


# A file of SQLite


def test_looking_at_a_file(call: Call, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/queues.db"
    with worq.get_broker(url, "first") as first:
        first.expose(len)
        kept = worq.Task(first.queue().len, id="mine")("abc")
        first.queue(ignore_result=True).len("de")
        task = first.next_task(0)
        assert task is not None
        first.invoke(task)
        with WorkerPool(first, 1, name="pool"):
            shown = call("info", url, "--json")
            assert [queue["name"] for queue in json.loads(shown.stdout)["queues"]] == ["first"]
        assert state(call, url, "--take") == ("3\n", 0)
        assert kept.status is None
        first.queue(ignore_result=True).len("")
        done = call("purge", url, "--queue", "first", "--yes", "--json")
        assert json.loads(done.stdout)["purged"] == 1


@pytest.mark.parametrize("place", ["queues.db", "nowhere/queues.db", "%20.db?synchronous=normal"])
@pytest.mark.parametrize(
    "arguments", [["purge", "--yes"], ["result", "a", "--url"], ["info"], ["info", "--queue", "x"]]
)
def test_a_file_that_is_not_there_is_one_clear_line_and_is_not_made(
    call: Call, arguments: list[str], place: str, tmp_path: Path
) -> None:
    done = call(*arguments, f"sqlite:///{tmp_path}/{place}")
    assert done.exit_code == 3
    path = f"{tmp_path}/{place}".partition("?")[0]
    assert f"URL: no such file: {path!r}\n" in done.stderr.replace("--url", "URL")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


# Serializers other than pickle

SECRET = "the-key-of-these-tests"


@pytest.mark.spec("ENV-SER-7")
@pytest.mark.parametrize("name", ["json", "msgpack", "signed+pickle", "signed+json"])
def test_the_url_says_how_a_result_is_read(
    call: Call, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORQ_SECRET", SECRET)
    url = f"sqlite:///{tmp_path}/queues.db?serializer={name}"
    with worq.get_broker(url, "first") as first:
        first.expose(sorted)
        for secret in (SECRET, None):
            worq.Task(first.queue().sorted, id="mine")([2, 1])
            task = first.next_task(0)
            assert task is not None
            first.invoke(task)
            if secret:
                assert state(call, url, "--take") == ("[1, 2]\n", 0)
        monkeypatch.delenv("WORQ_SECRET")
        refused = call("result", "mine", "--url", url, "--queue", "first", "--take")
        if name.startswith("signed"):
            assert refused.exit_code == 2
            assert "--url: keys: to sign needs some, and WORQ_SECRET has none" in refused.stderr
        else:
            assert refused.stdout == "[1, 2]\n"
        first.task_failed(first.deferred("mine"))


def test_a_result_of_another_key_is_refused(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORQ_SECRET", SECRET)
    url = f"sqlite:///{tmp_path}/queues.db?serializer=signed+json"
    with worq.get_broker(url, "first") as first:
        first.expose(len)
        worq.Task(first.queue().len, id="mine")("abc")
        task = first.next_task(0)
        assert task is not None
        first.invoke(task)
    monkeypatch.setenv("WORQ_SECRET", "another-key-of-tests")
    said, code = state(call, url, "--take")
    assert "result cannot be read: MessageRefused: it is signed by an unknown key" in said
    assert code == 1


def test_a_serializer_that_there_is_not_is_one_clear_line(call: Call, tmp_path: Path) -> None:
    done = call("info", f"sqlite:///{tmp_path}/queues.db?serializer=yaml")
    assert done.exit_code == 2
    assert "URL: url: serializer: one of pickle, json, msgpack, signed+pickle" in done.stderr
