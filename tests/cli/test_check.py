"""`worq check`: what it says of a server, and that it leaves the others' queues alone."""

import json
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

import worq
from tests.sqlite import leftover_rows
from worq.cli.app import worq as command
from worq.queue.sqlite import TaskQueue
from worq.testing import scratch
from worq.testing.kit import Effort
from worq.testing.report import Report
from worq.testing.scratch import Scratch
from worq.values import Request

Call = Callable[..., Result]
LITTLE = Effort(length=1, every=500, examples=2, walks=1, programs=1, times=1)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setattr(scratch, "ON_A_SERVER", LITTLE)
    return lambda *args: CliRunner().invoke(command, ["check", *args], env={"COLUMNS": "120"})


def test_a_server_that_is_good_for_it(call: Call, redis_url: str) -> None:
    with worq.get_broker(redis_url, "mine") as broker:
        mine = broker.queue().task(1)
        done = call(redis_url)
        assert (done.exit_code, broker.status(mine)) == (0, "enqueued")
        broker.discard_pending_tasks()
    assert done.stdout.splitlines()[-1].endswith(": conforms")
    assert "claimed, and there: contract, manual clock, reference, shared, durable" in done.stdout
    assert "faults" in done.stderr


def test_json_is_one_object(call: Call, redis_url: str) -> None:
    done = call(redis_url, "--json")
    found = json.loads(done.stdout)
    assert found["conforms"] is True
    assert found["clauses"]["CLM-1"] == {"answer": "holds"}
    assert found["capabilities"]["durable"] == "holds"
    assert found["left"] == []
    assert {check["stage"] for check in found["checks"]} >= {"smoke", "faults"}


def test_a_server_that_lacks_something(call: Call, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        user = ["ACL", "SETUSER", "poor", "on", ">p", "~*", "&*", "+@all", "-evalsha", "-eval"]
        client.execute_command(*user)
        try:
            done = call(redis_url.replace("://", "://poor:p@"))
        finally:
            client.execute_command("ACL", "DELUSER", "poor")
    assert done.exit_code in (1, 3)
    assert "the user of the URL lacks +evalsha +eval" in done.output
    assert "poor:p@" not in done.output


def test_a_backend_of_this_process_is_checked_too(call: Call) -> None:
    done = call("memory://checked")
    assert done.exit_code == 0, done.output
    assert "not claimed: shared, durable" in done.stdout


def test_a_file_that_was_not_there_is_not_there_afterwards(call: Call, tmp_path: Path) -> None:
    done = call(f"sqlite:///{tmp_path}/queues.db")
    assert done.exit_code == 0, done.output
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_it_has_made_stays_if_somebody_uses_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/queues.db"
    checked = Scratch(url)
    with closing(checked.queue("first")) as queue:
        assert queue.size() == 0
    with closing(TaskQueue(url, "mine")) as mine:
        mine.submit(Request("a"), b"")
        assert checked.close() == []
        assert mine.size() == 1
    assert checked.close() == []  # nobody has it open, but there is a task in it
    with closing(TaskQueue(url, "mine")) as mine:
        assert mine.purge() == 1
    assert checked.close() == []
    assert [*tmp_path.iterdir()] == []


def test_a_file_is_checked_too(call: Call, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/queues.db?synchronous=normal"
    with worq.get_broker(url, "mine") as broker:
        mine = broker.queue().task(1)
        done = call(url)
        assert (done.exit_code, broker.status(mine)) == (0, "enqueued")
        broker.discard_pending_tasks()
    assert "claimed, and there: contract, manual clock, reference, shared, durable" in done.stdout
    assert "not claimed: retries" in done.stdout
    assert leftover_rows(url) == []


def test_bad_input_and_no_server(call: Call) -> None:
    assert call("nowhere://").exit_code == 2
    assert call("unix:///nowhere/at/all").exit_code == 3


def leaves_a_task(place: list[Scratch]) -> Callable[[object], Report]:
    """Instead of the checks: a task that nobody ends."""

    def run(kit: object) -> Report:
        del kit
        with closing(place[0].queue("left")) as queue:
            queue.submit(Request("a"), b"m")
        return Report((), {}, frozenset())

    return run


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> list[Scratch]:
    """The places that a command makes."""
    made: list[Scratch] = []
    original = Scratch.__init__

    def note(self: Scratch, url: str) -> None:
        original(self, url)
        made.append(self)

    monkeypatch.setattr(Scratch, "__init__", note)
    return made


def test_what_is_left_behind_is_told_and_removed(
    call: Call, redis_url: str, place: list[Scratch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worq.cli.check._run", leaves_a_task(place))
    done = call(redis_url)
    assert done.exit_code == 1
    assert "left behind, and removed: worq:{worq%20check%20" in done.stdout
    assert "DOES NOT CONFORM" in done.stdout


def test_who_is_interrupted_leaves_nothing(
    call: Call, redis_url: str, place: list[Scratch], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(kit: object) -> Report:
        leaves_a_task(place)(kit)
        sys.exit(130)

    monkeypatch.setattr("worq.cli.check._run", interrupted)
    assert call(redis_url).exit_code == 130
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys("worq:{worq%20check*") == []


def test_who_is_interrupted_leaves_nothing_in_a_file(
    call: Call, tmp_path: Path, place: list[Scratch], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(kit: object) -> Report:
        leaves_a_task(place)(kit)
        with closing(place[0].queue("other")) as queue:
            queue.submit(Request("a"), b"m")
            queue.submit(Request("b", ignore_result=True), b"m", {"a": None})
            assert queue.claim(0) is not None
            queue.finish("a", b"r", 10)
            assert queue.claim(0) is not None
            queue.submit(Request("c"), b"m")
        sys.exit(130)

    monkeypatch.setattr("worq.cli.check._run", interrupted)
    url = f"sqlite:///{tmp_path}/queues.db?synchronous=normal"
    with worq.get_broker(url, "mine") as broker:
        broker.queue().task(1)
        assert call(url).exit_code == 130
        assert broker.discard_pending_tasks() == 1
    assert leftover_rows(url) == []


def test_what_is_left_behind_in_a_file_is_told(
    call: Call, tmp_path: Path, place: list[Scratch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worq.cli.check._run", leaves_a_task(place))
    done = call(f"sqlite:///{tmp_path}/queues.db?synchronous=normal")
    assert done.exit_code == 1
    assert f"left behind, and removed: {place[0].name} left" in done.stdout
