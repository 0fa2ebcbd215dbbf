"""URLs, and servers that are too old."""

import socket
import threading
from contextlib import closing
from typing import Any, Self

import pytest
import redis

from tests.backends.calls import PATIENCE_S
from worq.errors import BackendUnavailable, BackendUnsupported
from worq.masking import masked
from worq.queue.redis import TaskQueue
from worq.queue.redis.keys import keys_of
from worq.queue.redis.url import BLOCK_MS_MAX, target
from worq.queue.redis.waiting import seconds
from worq.values import Request

SCHEME = "scheme: redis://, rediss:// or unix:// is needed, or one of the first two with +sentinel or +cluster, not "


class TestUrls:
    @pytest.mark.spec("ENV-API-11")
    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("http://host", SCHEME + "'http'"),
            ("redis:host", SCHEME + "'redis:host'"),
            ("redis://", "host: one is needed"),
            ("redis:///0", "host: one is needed"),
            ("redis://me:secret@", "host: one is needed"),
            ("redis://:secret@[host/0", "host: it can't be told from the rest"),
            ("redis://host:port", "port: a number from 1 to 65535 is needed"),
            ("redis://host:65536", "port: a number from 1 to 65535 is needed"),
            ("redis://host:0", "port: a number from 1 to 65535 is needed"),
            ("redis://host:-1", "port: a number from 1 to 65535 is needed"),
            ("redis://:sec/ret@host", "password: a / ? or # in it must be percent-encoded"),
            (
                "redis://me:12?db=secret@host",
                "password: a / ? or # in it must be percent-encoded",
            ),
            ("unix://:12#secret@/path", "password: a / ? or # in it must be percent-encoded"),
            ("redis://host/first", "path: the number of a database is needed"),
            ("redis://host/1/2", "path: the number of a database is needed"),
            ("redis://host/-1", "path: the number of a database is needed"),
            ("redis://host/1?db=2", "db: the path has another number of a database than '2'"),
            ("redis://host?db=first", "db: a whole number of 0 or more is needed, not 'first'"),
            ("redis://host?db=-1", "db: a whole number of 0 or more is needed, not '-1'"),
            ("redis://host?db=", "db: a whole number of 0 or more is needed, not ''"),
            ("redis://host?db=1&db=2", "db: it is there twice"),
            ("redis://host#part", "fragment: none is allowed"),
            (
                "redis://host?max_connections=0",
                "max_connections: a whole number of 1 or more is needed, not '0'",
            ),
            (
                "redis://host?max_connections=1.5",
                "max_connections: a whole number of 1 or more is needed, not '1.5'",
            ),
            ("redis://host?protocol=4", "protocol: 2 or 3 is needed, not '4'"),
            (
                "redis://host?socket_keepalive=maybe",
                "socket_keepalive: true or false is needed, not 'maybe'",
            ),
            (
                "redis://host?socket_timeout=soon",
                "socket_timeout: a number of seconds is needed, not 'soon'",
            ),
            (
                "redis://host?socket_connect_timeout=-1",
                "socket_connect_timeout: a number of seconds is needed, not '-1'",
            ),
            (
                "redis://host?socket_connect_timeout=nan",
                "socket_connect_timeout: a number of seconds is needed, not 'nan'",
            ),
            (
                "redis://host?socket_timeout=6",
                "socket_timeout: a finite number of more than 6.0 s is needed, not 6.0",
            ),
            (
                "rediss://host?ssl_check_hostname=",
                "ssl_check_hostname: true or false is needed, not ''",
            ),
            (
                "rediss://host?ssl_cert_reqs=some",
                "ssl_cert_reqs: none, optional or required is needed, not 'some'",
            ),
            ("unix://", "path: that of a socket is needed"),
            ("unix://run/redis.sock", "host: none is allowed; the path begins with a third /"),
        ],
    )
    def test_the_error_says_which_part_is_wrong(self, url: str, reason: str) -> None:
        with pytest.raises(ValueError, match=r"^url: ") as caught:
            TaskQueue(url)
        assert str(caught.value).startswith(f"url: {reason}")
        assert str(caught.value).endswith(f": {masked(url)!r}")

    @pytest.mark.spec("ENV-API-11")
    @pytest.mark.parametrize(
        "url",
        ["redis://host?password=secret&nonsense=1", "redis://host?ssl_keyfile=x", "redis://host?x"],
    )
    def test_an_unknown_option_is_named_with_those_that_there_are(self, url: str) -> None:
        name = url.rpartition("?")[2].rpartition("&")[2].partition("=")[0]
        with pytest.raises(
            ValueError, match=f"^url: {name}: there is no such option; there are db, .*timeout"
        ):
            TaskQueue(url)

    @pytest.mark.parametrize(
        "url",
        [
            "redis://host",
            "redis://host/",
            "redis://host:6380/15",
            "redis://[::1]:6380/1?db=1",
            "rediss://me:p%2Fss@host/0?ssl_cert_reqs=none&ssl_check_hostname=false",
            "redis://host?socket_keepalive=yes&max_connections=3&protocol=3&socket_connect_timeout=0.5",
            "unix://me:secret@/run/redis.sock?db=2",
        ],
    )
    def test_a_good_one_is_understood(self, url: str) -> None:
        TaskQueue(url).close()

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
            ValueError,
            match=r"url: socket_timeout: a finite number of more than 6\.0 s .* not 6\.0:",
        ):
            TaskQueue("redis://host?socket_timeout=6")
        longest_s = float(seconds(BLOCK_MS_MAX))
        assert target("redis://host?socket_timeout=6.001").options["socket_timeout"] > longest_s
        assert target("redis://host").options["socket_timeout"] > longest_s

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
