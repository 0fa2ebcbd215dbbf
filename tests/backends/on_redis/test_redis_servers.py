"""URLs, and servers that are too old."""

import socket
import threading
from contextlib import closing
from typing import Any, Self

import pytest
import redis

from tests.backends.calls import PATIENCE_S
from worq.errors import BackendUnavailable, BackendUnsupported
from worq.queue.redis import TaskQueue
from worq.queue.redis.keys import keys_of
from worq.queue.redis.url import BLOCK_MS_MAX, target
from worq.queue.redis.waiting import _seconds
from worq.values import Request


class TestUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "http://:secret@host",
            "redis://:secret@host:port/0",
            "redis://:sec#secret@host",
            "redis://me:secret@host?db=first",
            "redis://me:secret@host/first",
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

    @pytest.mark.spec("ENV-RETRY-5", "ENV-BAD-5")
    def test_a_socket_timeout_that_a_wait_may_outlast_is_refused(self) -> None:
        with pytest.raises(
            ValueError, match=r"url: a finite socket_timeout of more than 6\.0 s .* not 6\.0:"
        ):
            TaskQueue("redis://host?socket_timeout=6")
        longest_s = float(_seconds(BLOCK_MS_MAX))
        assert target("redis://host?socket_timeout=6.001").socket_timeout_s > longest_s
        assert target("redis://host").socket_timeout_s > longest_s

    def test_a_password_is_not_shown_by_repr(self) -> None:
        queue = TaskQueue("redis://me:secret@host:1/2", "jobs")
        assert repr(queue) == "<TaskQueue redis://me:***@host:1/2 [jobs]>"

    @pytest.mark.parametrize("deadline", [-1, float("nan"), float("inf")])
    def test_a_retry_deadline_that_makes_no_sense_is_refused(self, deadline: float) -> None:
        with pytest.raises(ValueError, match="retry_deadline_s"):
            TaskQueue("redis://host", retry_deadline_s=deadline)

    @pytest.mark.spec("ENV-RETRY-2")
    def test_a_database_that_the_server_lacks_is_refused_at_once(self, redis_url: str) -> None:
        with closing(TaskQueue(f"{redis_url.partition('?')[0]}?db=9999")) as queue:
            with pytest.raises(BackendUnavailable, match="DB index is out of range") as caught:
                queue.size()
            assert caught.value.outcome == "not_sent"

    def test_the_options_of_redis_py_are_understood(self, redis_url: str, raw: Any) -> None:
        raw.acl_setuser("worq", enabled=True, passwords=["+p@ss"], keys=["*"], categories=["+@all"])
        path = redis_url.removeprefix("unix://").partition("?")[0]
        url = f"unix://worq:p%40ss@{path}?db=3&client_name=worq-here&decode_responses=1"
        try:
            with (
                closing(TaskQueue(url)) as queue,
                redis.Redis.from_url(f"unix://{path}?db=3") as database_3,
            ):
                queue.submit(Request("a"), b"\xff")
                assert keys_of(database_3, "default").kept
                assert "worq-here" in [each["name"] for each in raw.client_list()]
                queue.discard("a")
                database_3.flushdb()
        finally:
            raw.acl_deluser("worq")

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
                connection.sendall(
                    self._info if b"INFO\r\n$6\r\nserver" in data else b"$2\r\n.7\r\n"
                )

    def __enter__(self) -> Self:
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
