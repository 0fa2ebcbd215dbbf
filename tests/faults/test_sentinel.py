"""Sentinel: a primary that dies is followed by those who submit, wait and work. [ENV-REDIS-11]"""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any

import pytest

from tests.backends.calls import PATIENCE_S, Call
from tests.faults.failovers import fail_over
from tests.stateful.profile import by_profile
from worq import Deferred, TaskExpired, aio, get_broker
from worq.errors import BackendUnavailable, BackendUnsupported
from worq.pool.thread import WorkerPool
from worq.queue.redis import TaskQueue as RedisQueue
from worq.testing.journal import JournalQueue
from worq.testing.topologies import SERVICE, Watched, client_of, wait_until
from worq.values import Request

pytestmark = [pytest.mark.redis, pytest.mark.timeout(300)]

FAILOVERS = by_profile(1, 1, 20)


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    """Of which nobody dies."""
    with Watched() as watched:
        yield watched


@pytest.fixture
def mortal() -> Iterator[Watched]:
    """Whose primary may be killed."""
    with Watched() as watched:
        yield watched


@pytest.fixture
def emptied(watched: Watched) -> Iterator[None]:
    yield
    with client_of(watched.primary()) as client:
        client.flushall()


def double(number: int) -> int:
    return 2 * number


@contextmanager
def working(url: str) -> Generator[Any]:
    """A queue whose tasks run, and start again soon when a finish is lost."""
    with get_broker(url, "work") as workers, get_broker(url, "work") as broker:
        workers.expose(double)
        with WorkerPool(workers, workers=2):
            yield broker.queue(heartrate=0.5, attempts=5)


@pytest.mark.spec("ENV-REDIS-11")
def test_who_waits_and_who_works_follows_the_primary(mortal: Watched) -> None:
    with ExitStack() as stack:
        work = stack.enter_context(working(mortal.url))
        queue = stack.enter_context(closing(RedisQueue(mortal.url)))
        claiming = stack.enter_context(closing(RedisQueue(mortal.url)))
        held = work.double(4)
        for number in range(FAILOVERS):
            revive(mortal)
            queue.submit(Request("kept"), b"")
            assert queue.claim(0) is not None
            claim = Call(partial(claiming.claim, None))
            outcome = Call(partial(claiming.pop, "kept", None))
            assert claim.sleeps()
            assert outcome.sleeps()
            mortal.wait_until_replicated()
            mortal.fail_over()
            queue.submit(Request("new"), b"of the new primary")
            claimed = claim.answer()
            assert claimed is not None
            assert claimed.message == b"of the new primary"
            assert queue.finish("kept", b"outcome", 60).accepted
            assert getattr(outcome.answer(), "message", None) == b"outcome"
            assert queue.discard("new")
            assert value_of(work.double(number)) == 2 * number
        assert value_of(held) == 8


@pytest.mark.spec("ENV-REDIS-11")
def test_who_awaits_follows_the_primary_too(mortal: Watched) -> None:
    async def main() -> None:
        async with aio.get_broker(mortal.url, "work") as broker:
            queue = broker.queue()
            before = await queue.double(1)
            waits = asyncio.ensure_future(before)
            await asyncio.to_thread(mortal.wait_until_replicated)
            await asyncio.to_thread(mortal.fail_over)
            after = await queue.double(2)
            with working(mortal.url):
                assert (await waits, await after) == (2, 4)

    asyncio.run(main())


@pytest.mark.spec("ENV-REDIS-11")
def test_what_was_replicated_is_done_and_nothing_is_made_up(mortal: Watched) -> None:
    """Under load: what was accepted before has its result; what came meanwhile has it, or never was."""
    with working(mortal.url) as work:
        for _ in range(FAILOVERS):
            revive(mortal)
            before = [work.double(n) for n in range(50)]
            mortal.wait_until_replicated()
            with loading(work) as meanwhile:
                mortal.fail_over()
            assert list(map(value_of, before)) == [2 * n for n in range(50)]
            assert all(value_of(each) in (None, 2 * n) for n, each in enumerate(meanwhile))
            assert value_of(work.double(7)) == 14


def revive(watched: Watched) -> None:
    """Start whoever was killed, so that there is a replica again."""
    for server in watched.servers:
        if not server.is_running:
            server.start()
    wait_until(watched.is_whole)


@contextmanager
def loading(work: Any) -> Generator[list[Deferred]]:
    """The n-th call is of n."""
    calls: list[Deferred] = []
    is_over = threading.Event()

    def load() -> None:
        while not is_over.is_set():
            calls.append(work.double(len(calls)))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        yield calls
    finally:
        is_over.set()
        thread.join()


def value_of(call: Deferred) -> Any:
    """None if it expired."""
    assert call.wait(None)
    try:
        return call.value
    except TaskExpired:
        return None


class Replicated:
    """To the tests of failovers: the replica has all that came before."""

    def __init__(self, watched: Watched, stack: ExitStack) -> None:
        self._watched = watched
        self._stack = stack

    def queue(self, name: str, *, after: bool = False) -> JournalQueue:
        del after
        return self._stack.enter_context(closing(JournalQueue(self._watched.url, name)))

    def promote(self) -> None:
        self._watched.wait_until_replicated()

    def fail_over(self) -> None:
        self._watched.fail_over()

    def admin_of(self, name: str) -> Any:
        del name
        return self._stack.enter_context(client_of(self._watched.primary()))


@pytest.mark.spec("ENV-REDIS-11", "ENV-RETRY-1")
def test_each_operation_goes_on_at_the_new_primary(mortal: Watched) -> None:
    """In each situation, by the journal that the replica has."""
    with ExitStack() as stack:
        fail_over(Replicated(mortal, stack), lost=False)


@pytest.mark.spec("ENV-REDIS-11")
def test_a_sentinel_that_is_gone_or_silent_is_passed_over(watched: Watched) -> None:
    silent = watched.sentinels[0].pid
    url = watched.url.replace("://", "://127.0.0.1:1,")
    os.kill(silent, signal.SIGSTOP)
    try:
        with closing(RedisQueue(url, retry_deadline_s=0)) as queue:
            assert queue.size() == 0
    finally:
        os.kill(silent, signal.SIGCONT)


class Misled:
    """A sentinel that has not heard of a failover: it names the same server for ever."""

    def __init__(self, port: int) -> None:
        self._answer = b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%d\r\n" % (len(str(port)), port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.port: int = self._listener.getsockname()[1]

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                while data := connection.recv(65536):
                    if b"stop" in data:
                        return
                    answers = (
                        self._answer if b"GET-MASTER" in part else b"+OK\r\n"
                        for part in data.split(b"*")[1:]
                    )
                    connection.sendall(b"".join(answers))

    def close(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"stop")
        self._thread.join()
        self._listener.close()


@pytest.mark.spec("ENV-REDIS-11")
def test_the_url_of_a_sentinel_alone_says_what_it_takes(watched: Watched) -> None:
    url = f"redis://127.0.0.1:{watched.sentinels[0].port}"
    with (
        closing(RedisQueue(url, retry_deadline_s=1_000)) as queue,
        pytest.raises(BackendUnsupported, match=r"a sentinel.*redis\+sentinel://HOST:PORT/SERVICE"),
    ):
        queue.size()


@pytest.mark.spec("ENV-REDIS-11")
@pytest.mark.usefixtures("emptied")
def test_a_replica_is_not_taken_for_the_primary(watched: Watched) -> None:
    """Whatever a sentinel says: the next one is asked."""
    port = watched.primary().port
    replica = next(server for server in watched.servers if server.port != port)
    assert replica.port is not None
    with closing(Misled(replica.port)) as misled:
        alone = f"redis+sentinel://127.0.0.1:{misled.port}/{SERVICE}"
        with closing(RedisQueue(alone, retry_deadline_s=0)) as queue:
            with pytest.raises(BackendUnavailable, match="is not the primary of 'jobs'") as caught:
                queue.size()
            assert caught.value.outcome == "not_sent"
        both = watched.url.replace("://", f"://127.0.0.1:{misled.port},")
        with closing(RedisQueue(both, retry_deadline_s=5)) as queue:
            queue.submit(Request("a"), b"")
            assert queue.size() == 1


@pytest.mark.spec("ENV-REDIS-11")
def test_a_service_that_no_sentinel_knows_is_refused_at_once(watched: Watched) -> None:
    url = watched.url.replace(SERVICE, "jbos")
    with closing(RedisQueue(url, retry_deadline_s=PATIENCE_S)) as queue:
        with pytest.raises(BackendUnavailable, match="it knows of no 'jbos'") as caught:
            queue.size()
        assert caught.value.outcome == "not_sent"


@pytest.mark.spec("ENV-REDIS-11")
def test_the_password_of_sentinels_is_their_own(watched: Watched) -> None:
    for sentinel in watched.sentinels:
        with client_of(sentinel) as client:
            client.acl_setuser(
                "asks",
                enabled=True,
                passwords=["+s3cret"],
                commands=["+sentinel|get-master-addr-by-name"],
            )
    good = f"{watched.url}?sentinel_username=asks&sentinel_password=s3cret"
    wrong = f"{watched.url}?sentinel_username=asks&sentinel_password=wrong"
    with closing(RedisQueue(good)) as queue:
        assert queue.size() == 0
    with closing(RedisQueue(wrong, retry_deadline_s=PATIENCE_S)) as queue:
        with pytest.raises(BackendUnavailable, match="no sentinel says") as caught:
            queue.size()
        assert "wrong" not in str(caught.value)


@pytest.mark.spec("ENV-REDIS-11", "ENV-INFO-1")
@pytest.mark.usefixtures("emptied")
def test_queues_are_listed_from_the_primary_and_its_database(watched: Watched) -> None:
    url = f"{watched.url}/3"
    with closing(RedisQueue(url, "listed")) as queue:
        queue.submit(Request("a"), b"")
        assert queue.queues() == ["listed"]
        with client_of(watched.primary()) as client:
            assert client.info("keyspace").keys() == {"db3"}
