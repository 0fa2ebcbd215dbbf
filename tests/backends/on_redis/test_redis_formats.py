"""Two formats on one server: all that touches a queue of another one is refused, and says what to do."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.backends.brokers import broker_of, call
from tests.backends.calls import PATIENCE_S
from tests.backends.on_redis.cases import KEY, state, submit
from tests.cli.workers import running
from worq.cli.app import worq as command
from worq.errors import BackendUnsupported
from worq.introspection import Sign
from worq.pool import thread
from worq.queue.redis import TaskQueue
from worq.queue.redis.link import FORMAT
from worq.queue.redis.scripts import SIZE

SIGN = Sign("id", "a pool", "host", 1, 2, 3, ())
ADVICE = (
    "[default]: its data has the format '2', and this release of worq has '1': "
    "use the one that wrote it, until the queue is empty"
)

APPLICATION = """\
import worq

def make(url):
    broker = worq.get_broker(url)
    broker.expose(make)
    return broker
"""

LOOKS: dict[str, Callable[[TaskQueue], object]] = {
    "counts": lambda queue: queue.counts(),
    "workers": lambda queue: queue.workers(),
    "sign": lambda queue: queue.sign(SIGN, 1_000),
    "sign_off": lambda queue: queue.sign_off("id"),
    "a claim that waits": lambda queue: queue.claim(0.01),
    "await_ready": lambda queue: queue.await_ready(0.01),
    "a pop that waits": lambda queue: queue.pop("a", 0.01),
}


@pytest.fixture
def later(timed: TaskQueue, raw: Any) -> Iterator[TaskQueue]:
    """A queue with a task of a later release; what became of it must not be anything."""
    submit(timed, "a")
    raw.hset(KEY, "format", "2")
    before = state(raw)
    yield timed
    assert state(raw) == before
    raw.hset(KEY, "format", FORMAT)


def test_the_number_is_that_of_the_scripts() -> None:
    assert f"local FORMAT = '{FORMAT}'".encode() in SIZE.text


@pytest.mark.spec("ENV-REDIS-7")
class TestAnotherFormat:
    @pytest.mark.parametrize("look", LOOKS, ids=str)
    def test_looks_signs_and_waits_are_refused(self, look: str, later: TaskQueue) -> None:
        """All other operations: tests/backends/on_redis/test_redis_receipts.py."""
        with pytest.raises(BackendUnsupported) as caught:
            LOOKS[look](later)
        assert ADVICE in str(caught.value)

    @pytest.mark.parametrize(
        "arguments",
        [["info"], ["info", "--queue", "default"], ["purge", "--yes"], ["result", "a", "--url"]],
    )
    def test_commands_say_so_in_one_line(
        self, arguments: list[str], later: TaskQueue, redis_url: str
    ) -> None:
        done = CliRunner().invoke(command, [*arguments, redis_url])
        assert done.exit_code == 3
        assert ADVICE in done.stderr
        assert done.stderr.count("\n") == 1
        assert later.url == redis_url

    @pytest.mark.parametrize("check", [(), ("--check",)], ids=str)
    def test_a_worker_does_not_start(
        self, check: tuple[str, ...], later: TaskQueue, redis_url: str, tmp_path: Path
    ) -> None:
        del later
        (tmp_path / "app.py").write_text(APPLICATION)
        with running(tmp_path, "app:make", "--url", redis_url, *check) as worker:
            assert worker.end() == 3
        assert ADVICE in worker.said

    def test_the_queues_beside_it_go_on(self, later: TaskQueue, redis_url: str) -> None:
        assert later.queues() == ["default"]
        with closing(TaskQueue(redis_url, "other")) as other:
            submit(other, "a")
            assert other.purge() == 1

    def test_a_prefix_of_its_own_makes_it_another_queue(
        self, later: TaskQueue, redis_url: str
    ) -> None:
        assert later.name == "default"
        query = "&" if "?" in redis_url else "?"
        with closing(TaskQueue(f"{redis_url}{query}prefix=worq2:")) as new:
            submit(new, "a")
            assert new.purge() == 1


@pytest.mark.spec("ENV-REDIS-7")
def test_an_empty_queue_has_no_format(timed: TaskQueue, raw: Any) -> None:
    submit(timed, "a")
    assert raw.hget(KEY, "format") == FORMAT.encode()
    timed.purge()
    assert not raw.exists(KEY)


@pytest.mark.spec("ENV-REDIS-7", "ENV-POOL-5")
def test_a_pool_goes_on_when_the_format_is_its_own_again(
    timed: TaskQueue, raw: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broker = broker_of(timed)
    with thread.WorkerPool(broker, workers=1):
        first = call(broker.queue().give, "a", 1)
        assert first.wait(PATIENCE_S)
        assert first.value == 1
        raw.hset(KEY, "format", "2")
        raw.rpush(f"{KEY}:wake", "1")
        with caplog.at_level(logging.WARNING):
            while ADVICE not in caplog.text:
                pass
        raw.delete(KEY)
        again = call(broker.queue().give, "a", 2)
        assert again.wait(PATIENCE_S)
        assert again.value == 2
