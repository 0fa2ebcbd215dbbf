"""Redis: round trips, URLs, servers, closing, forking, names."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
import redis

from tests.backends.calls import PATIENCE_S, Call
from tests.backends.proxy import Proxy
from worq.clock import ManualClock
from worq.errors import BackendUnavailable, BackendUnsupported, QueueClosed
from worq.queue.redis import TaskQueue
from worq.queue.redis.keys import keys_of, prefix
from worq.values import Request, Token

DONE = b"done"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
def queue(redis_url: str) -> Iterator[TaskQueue]:
    """For what a test prepares."""
    with closing(TaskQueue(redis_url)) as queue:
        yield queue
        queue.purge()


@pytest.fixture
def through(proxy: Proxy) -> Iterator[TaskQueue]:
    """The same queue, through the proxy."""
    with closing(TaskQueue(proxy.url, retry_deadline_s=10)) as queue:
        yield queue


def claim(queue: TaskQueue) -> Token:
    claimed = queue.claim(0)
    assert claimed is not None
    return claimed.token


@contextmanager
def costs(proxy: Proxy, scripts: int) -> Iterator[None]:
    before = proxy.scripts
    yield
    assert proxy.scripts - before == scripts


class TestRoundTrips:
    @pytest.mark.spec("ENV-REDIS-1")
    def test_every_operation_is_one(self, through: TaskQueue, proxy: Proxy) -> None:
        operations: list[Callable[[], object]] = [
            lambda: through.submit(Request("a"), b""),
            lambda: through.claim(1),
            lambda: through.heartbeat("a", 10),
            lambda: through.finish("a", DONE, 10),
            lambda: through.submit(Request("b", attempts=2), b"", {"a": None}),
            lambda: through.defer_task(Request("c"), b"", ["b", "x"]),
            lambda: through.reserve_argument("b", "c"),
            lambda: through.set_argument("c", "x", b""),
            lambda: through.get_arguments("c"),
            lambda: through.claim(None),
            lambda: through.release("b"),
            lambda: through.status("b"),
            lambda: through.size(),
            lambda: through.discard("b"),
            lambda: through.pop("b", 1),
            through.purge,
        ]
        for rehearsal in (True, False):  # the server learns the scripts
            for operation in operations:
                if rehearsal:
                    operation()
                else:
                    with costs(proxy, 1):
                        operation()

    @pytest.mark.spec("ENV-REDIS-1")
    def test_a_claim_that_waited_is_two(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy
    ) -> None:
        through.claim(0)
        before = proxy.scripts
        call = Call(lambda: through.claim(PATIENCE_S))
        proxy.wait_until(lambda proxy: proxy.scripts == before + 2)
        queue.submit(Request("a"), b"")
        assert call.answer() is not None
        assert proxy.scripts == before + 2
        queue.discard("a")

    @pytest.mark.spec("ENV-REDIS-1")
    def test_a_pop_that_waited_is_two(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy
    ) -> None:
        queue.submit(Request("a"), b"")
        claim(queue)
        through.pop("a", 0)
        before = proxy.scripts
        call = Call(lambda: through.pop("a", PATIENCE_S))
        proxy.wait_until(lambda proxy: proxy.scripts == before + 2)
        queue.finish("a", DONE, 10)
        assert call.answer() == ("result", DONE, None)
        assert proxy.scripts == before + 2

    @pytest.mark.spec("ENV-REDIS-1", "ENV-WAIT-2")
    def test_a_wait_in_vain_is_two(self, through: TaskQueue, proxy: Proxy) -> None:
        through.claim(0)
        began = time.monotonic()
        with costs(proxy, 2):
            assert through.claim(0.05) is None
        assert time.monotonic() - began >= 0.05

    @pytest.mark.spec("ENV-REDIS-1")
    def test_a_script_that_the_server_has_forgotten_is_sent_again(
        self, through: TaskQueue, proxy: Proxy, client: redis.Redis
    ) -> None:
        through.size()
        client.script_flush()
        with costs(proxy, 2):
            assert through.submit(Request("a"), b"").status == "accepted"
        assert through.size() == 1
        client.script_flush()
        assert through.claim(PATIENCE_S) is not None
        through.discard("a")

    @pytest.mark.spec("ENV-REDIS-1")
    def test_a_script_that_is_forgotten_during_a_wait_is_sent_again(
        self, queue: TaskQueue, through: TaskQueue, proxy: Proxy, client: redis.Redis
    ) -> None:
        before = proxy.scripts
        call = Call(lambda: through.claim(PATIENCE_S))
        proxy.wait_until(lambda proxy: proxy.scripts >= before + 2)
        client.script_flush()
        queue.submit(Request("a"), b"")
        assert call.answer() is not None
        queue.discard("a")


class TestUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "http://:secret@host",
            "redis://:secret@host:port/0",
            "redis://:sec#secret@host",
            "redis://me:secret@host?db=first",
            "redis://host?password=secret&nonsense=1",
            "redis://:secret@host?socket_timeout=6",
            "redis://:secret@host?socket_timeout=inf",
            "redis://:secret@host?max_connections=-1",
            "unix://me:secret@",
        ],
    )
    @pytest.mark.spec("ENV-BAD-5")
    def test_a_bad_one_is_shown_without_its_password(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"^url: .*'.*\*\*\*.*'$") as caught:
            TaskQueue(url)
        assert "secret" not in str(caught.value)
        assert caught.value.__suppress_context__

    def test_a_password_is_not_shown_by_repr(self) -> None:
        queue = TaskQueue("redis://me:secret@host:1/2", "jobs")
        assert repr(queue) == "<TaskQueue redis://me:***@host:1/2 [jobs]>"

    @pytest.mark.parametrize("deadline", [-1, float("nan"), float("inf")])
    def test_a_retry_deadline_that_makes_no_sense_is_refused(self, deadline: float) -> None:
        with pytest.raises(ValueError, match="retry_deadline_s"):
            TaskQueue("redis://host", retry_deadline_s=deadline)

    def test_the_options_of_redis_py_are_understood(
        self, redis_url: str, client: redis.Redis
    ) -> None:
        client.acl_setuser("worq", enabled=True, passwords=["+p@ss"], keys=["*"], categories=["+@all"])
        path = redis_url.removeprefix("unix://").partition("?")[0]
        url = f"unix://worq:p%40ss@{path}?db=3&client_name=worq-here&decode_responses=1"
        try:
            with (
                closing(TaskQueue(url)) as queue,
                redis.Redis.from_url(f"unix://{path}?db=3") as database_3,
            ):
                queue.submit(Request("a"), b"\xff")
                assert keys_of(database_3, "default").kept
                assert "worq-here" in [each["name"] for each in client.client_list()]
                queue.discard("a")
                database_3.flushdb()
        finally:
            client.acl_deluser("worq")

    @pytest.mark.spec("ENV-RETRY-2")
    def test_a_wrong_password_is_not_tried_again(self, redis_url: str) -> None:
        path = redis_url.removeprefix("unix://").partition("?")[0]
        with (
            closing(TaskQueue(f"unix://nobody:wrong@{path}", retry_deadline_s=PATIENCE_S)) as queue,
            pytest.raises(BackendUnavailable, match=r"nobody:\*\*\*@") as caught,
        ):
            queue.size()
        assert caught.value.outcome == "not_sent"

    def test_tcp_is_understood(self) -> None:
        with OldServer("7.0.0") as server, closing(TaskQueue(server.url)) as queue:
            assert queue.size() == 7

    def test_making_a_queue_connects_to_nothing(self) -> None:
        TaskQueue("redis://host.invalid:1").close()


class OldServer:
    """Answers INFO with a version and all else with '.7', as a reply of a script."""

    def __init__(self, version: str, *more: str) -> None:
        lines = "\r\n".join(["# Server", f"redis_version:{version}", *more, ""])
        self._info = b"$%d\r\n%b\r\n" % (len(lines), lines.encode())
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self.scripts = 0

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            while data := connection.recv(65536):
                self.scripts += data.count(b"EVAL")
                connection.sendall(self._info if b"INFO\r\n$6\r\nserver" in data else b"$2\r\n.7\r\n")

    def __enter__(self) -> "OldServer":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.close()
        self._thread.join(PATIENCE_S)


class TestServers:
    @pytest.mark.parametrize(
        ("version", "more", "shown"),
        [
            ("6.0.20", (), "Redis 6.0.20"),
            ("5.9.1", (), "Redis 5.9.1"),
            ("7.2.4", ("server_name:valkey", "valkey_version:7.1.9"), "Valkey 7.1.9"),
            ("next", (), "Redis next"),
        ],
    )
    @pytest.mark.spec("ENV-REDIS-6")
    def test_an_old_one_is_refused_at_first_use(
        self, version: str, more: tuple[str, ...], shown: str
    ) -> None:
        with OldServer(version, *more) as server, closing(TaskQueue(server.url)) as queue:
            with pytest.raises(BackendUnsupported, match=f"Valkey 7.2 .*{shown}"):
                queue.size()
            assert server.scripts == 0

    @pytest.mark.parametrize(
        ("version", "more"), [("6.2.0", ()), ("10.0.0", ()), ("7.2.4", ("valkey_version:7.2.0",))]
    )
    @pytest.mark.spec("ENV-REDIS-6")
    def test_a_newer_one_is_used(self, version: str, more: tuple[str, ...]) -> None:
        with OldServer(version, *more) as server, closing(TaskQueue(server.url)) as queue:
            assert queue.size() == 7


class TestNames:
    NAMES = ("a", "a:b", "a:session:b", "{a}", "{a}:b", "a}", "%3A", ":", "ä", "a b", "*", "A", "a\0")

    @pytest.mark.spec("ENV-REDIS-2")
    def test_awkward_ones_do_not_meet(self, redis_url: str, client: redis.Redis) -> None:
        with ExitStack() as stack:
            queues = {
                name: stack.enter_context(closing(TaskQueue(redis_url, name))) for name in self.NAMES
            }
            for count, queue in enumerate(queues.values(), 1):
                for n in range(count):
                    queue.submit(Request(f"b:{n}"), b"")
            assert [queue.size() for queue in queues.values()] == [*range(1, len(queues) + 1)]
            keys = [key for name in queues for part in keys_of(client, name) for key in part]
            assert len(keys) == len(set(keys)) == client.dbsize()
            for queue in queues.values():
                queue.purge()

    @pytest.mark.spec("ENV-REDIS-2")
    def test_the_keys_of_a_queue_share_a_hash_tag(self, queue: TaskQueue, client: redis.Redis) -> None:
        queue.submit(Request("{x}"), b"", {})
        queue.submit(Request("y"), b"", {"{x}": None})
        claim(queue)
        queue.pop("y", 0.01)
        keys = {key.decode() for key in client.keys()}
        assert {key[: len("worq:{default}")] for key in keys} == {"worq:{default}"}
        assert len(keys) >= 7
        queue.discard("{x}")

    def test_the_prefix_is_injective(self) -> None:
        assert len({prefix(name) for name in self.NAMES}) == len(self.NAMES)


class TestClosing:
    @pytest.mark.spec("ENV-WAIT-7")
    def test_it_closes_all_sockets(self, through: TaskQueue, proxy: Proxy) -> None:
        call = Call(lambda: through.claim(None))
        proxy.wait_until(lambda proxy: proxy.scripts >= 2)
        through.size()
        through.close()
        proxy.wait_until(lambda proxy: proxy.open == 0)
        assert isinstance(call.error(), QueueClosed)

    @pytest.mark.spec("ENV-WAIT-7")
    def test_a_server_that_does_not_answer_does_not_hold_it_up(
        self, through: TaskQueue, proxy: Proxy
    ) -> None:
        calls = [Call(lambda: through.claim(None)) for _ in range(3)]
        proxy.wait_until(lambda proxy: proxy.scripts >= 6)
        proxy.stall()
        began = time.monotonic()
        through.close()
        assert all(isinstance(call.error(), QueueClosed) for call in calls)
        assert time.monotonic() - began < 1  # 100 ms, on a machine with nothing else to do

    @pytest.mark.spec("ENV-WAIT-7")
    def test_no_task_is_lost_to_a_claim_that_it_ends(self, redis_url: str, queue: TaskQueue) -> None:
        for n in range(50):
            closed = TaskQueue(redis_url)
            call = Call(lambda closed=closed: closed.claim(None))
            assert call.sleeps()
            submit = Call(lambda n=n: queue.submit(Request(f"t{n}"), b""))
            closed.close()
            submit.answer()
            # Claimed and handed over, or still there.
            assert (queue.claim(0) is None) == (call.error() is None)
            queue.discard(f"t{n}")

    @pytest.mark.spec("ENV-RETRY-2")
    def test_it_ends_the_retries(self, redis_url: str) -> None:
        queue = TaskQueue(f"{redis_url.partition('?')[0]}-not-there", retry_deadline_s=PATIENCE_S)
        call = Call(queue.size)
        assert call.sleeps()
        began = time.monotonic()
        queue.close()
        assert isinstance(call.error(), QueueClosed)
        assert time.monotonic() - began < 1


class TestConnections:
    def test_those_that_wait_do_not_keep_others_out(self, proxy: Proxy, queue: TaskQueue) -> None:
        with closing(TaskQueue(f"{proxy.url}?max_connections=1")) as limited:
            calls = [Call(lambda: limited.claim(None)) for _ in range(3)]
            proxy.wait_until(lambda proxy: proxy.scripts >= 6)
            for n in range(3):
                limited.submit(Request(f"t{n}"), b"")
            assert {call.answer().id for call in calls} == {"t0", "t1", "t2"}  # type: ignore[union-attr]
        for n in range(3):
            queue.discard(f"t{n}")

    def test_the_limit_holds_for_those_that_do_not_wait(self, proxy: Proxy) -> None:
        with closing(TaskQueue(f"{proxy.url}?max_connections=1")) as limited:
            calls = [Call(limited.size) for _ in range(8)]
            assert [call.answer() for call in calls] == [0] * 8
        assert proxy.connections == 1

    def test_threads_use_connections_of_their_own(self, redis_url: str, queue: TaskQueue) -> None:
        def work(n: int) -> list[str]:
            return [
                claimed.id
                for i in range(50)
                if queue.submit(Request(f"{n}.{i}"), b"") and (claimed := queue.claim(0))
            ]

        calls = [Call(lambda n=n: work(n)) for n in range(6)]
        ids = [task_id for call in calls for task_id in call.answer()]
        assert sorted(ids) == sorted(f"{n}.{i}" for n in range(6) for i in range(50))
        for task_id in ids:
            queue.discard(task_id)

    def test_a_forked_child_begins_anew(
        self, redis_url: str, queue: TaskQueue, client: redis.Redis
    ) -> None:
        queue.submit(Request("a"), b"")
        child = os.fork()
        if child == 0:
            claimed = queue.claim(0)
            os._exit(0 if claimed is not None and claimed.id == "a" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert queue.submit(Request("b"), b"").status == "accepted"
        receipts = [key for key in client.keys() if key.count(b":session:") and b"wait" not in key]
        assert len(receipts) == 2
        queue.discard("a")

    def test_a_child_that_is_forked_while_others_wait_is_not_stuck(
        self, proxy: Proxy, queue: TaskQueue, through: TaskQueue
    ) -> None:
        call = Call(lambda: through.claim(None))
        proxy.wait_until(lambda proxy: proxy.scripts >= 2)
        child = os.fork()
        if child == 0:
            os._exit(through.size())
        assert os.waitpid(child, 0)[1] == 0
        queue.submit(Request("a"), b"")
        assert call.answer() is not None
        queue.discard("a")

    @pytest.mark.spec("ENV-RETRY-2")
    def test_a_server_that_has_ended_is_noticed_before_anything_is_sent(self, proxy: Proxy) -> None:
        with closing(TaskQueue(proxy.url, retry_deadline_s=0)) as queue:
            queue.size()
            proxy.stop()
            proxy.wait_until(lambda proxy: proxy.open == 0)
            with pytest.raises(BackendUnavailable) as caught:
                queue.submit(Request("a"), b"")
        assert caught.value.outcome == "not_sent"


class TestAlarms:
    """Of those who wait, one looks when a lease passes, and the others are told. [ENV-WAIT-4]"""

    @pytest.mark.spec("ENV-WAIT-4")
    def test_whoever_leaves_passes_the_alarm_on(self, redis_url: str, queue: TaskQueue) -> None:
        queue.submit(Request("a"), b"")
        claim(queue)
        queue.heartbeat("a", 1)
        leaves = Call(lambda: queue.pop("a", 0.3))
        assert leaves.sleeps()
        stays = Call(lambda: queue.pop("a", PATIENCE_S))
        assert leaves.answer() is None
        began = time.monotonic()
        assert repr(stays.answer()) == "TASK_EXPIRED"
        assert time.monotonic() - began < 1.5

    @pytest.mark.spec("ENV-WAIT-4")
    def test_one_that_dies_with_it_is_replaced(self, queue: TaskQueue) -> None:
        from worq.queue.redis import scripts

        queue.submit(Request("a"), b"")
        claim(queue)
        queue.heartbeat("a", 0.3)
        # It looks, is told to sleep until the lease passes, and is never heard of again.
        reply = queue._link.call(scripts.POP, "a", b"", b"-1", b"0")
        assert reply[:1] == b"W"
        began = time.monotonic()
        assert repr(queue.pop("a", PATIENCE_S)) == "TASK_EXPIRED"
        assert time.monotonic() - began < 2

    @pytest.mark.spec("ENV-WAIT-4")
    def test_a_lease_that_is_cut_short_is_noticed_by_who_waits(self, queue: TaskQueue) -> None:
        queue.submit(Request("a", attempts=2), b"")
        claim(queue)
        waits = Call(lambda: queue.claim(PATIENCE_S))
        assert waits.sleeps()
        began = time.monotonic()
        queue.heartbeat("a", 0.1)
        assert waits.answer() is not None
        assert time.monotonic() - began < 2
        queue.discard("a")

    @pytest.mark.spec("ENV-WAIT-3")
    def test_only_one_of_many_looks_early(self, proxy: Proxy, through: TaskQueue, queue: TaskQueue) -> None:
        queue.submit(Request("a"), b"")
        claim(queue)
        calls = [Call(lambda: through.claim(1)) for _ in range(5)]
        proxy.wait_until(lambda proxy: proxy.scripts >= 10)
        before = proxy.scripts
        queue.heartbeat("a", 0.2)
        assert [call.answer() for call in calls] == [None] * 5
        # The one that is woken, looks, sleeps until the lease has passed, and looks again.
        assert proxy.scripts - before <= 4


def test_a_manual_clock_is_the_only_one_that_counts(redis_url: str) -> None:
    clock = ManualClock()
    with closing(TaskQueue(redis_url, clock=clock)) as queue:
        queue.submit(Request("a", attempts=2, heartrate=1), b"")
        claim(queue)
        call = Call(lambda: queue.claim(100))
        assert call.sleeps()
        clock.advance(7_000)
        claimed = call.answer()
        assert claimed is not None
        assert claimed.token.start == 2
        queue.discard("a")
