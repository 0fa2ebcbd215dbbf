"""The server for tests starts, comes back after a crash with what it kept, and never stays."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from worq.testing import servers
from worq.testing.servers import (
    URL_VARIABLE,
    RedisServer,
    ServerUnavailable,
    database_url,
    find_program,
    leftover_keys,
    redis_for_tests,
)

pytestmark = pytest.mark.redis

SECONDS_MAX = 10.0


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as server:
        yield server


def test_it_answers_on_its_socket_and_its_port(server: RedisServer) -> None:
    set_value(server.url)
    assert value(server.tcp_url) == b"value"


def test_its_version_is_what_it_says_itself(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        info = client.info("server")
    name, number = server.version.split()
    assert number == info.get("valkey_version", info["redis_version"])
    assert name == info.get("server_name", "redis")


def test_append_only_keeps_every_write_through_a_crash() -> None:
    with RedisServer(append_only=True) as server:
        set_value(server.url)
        before = server.pid
        server.kill()
        server.start()
        assert value(server.url) == b"value"
        assert server.pid != before


def test_it_keeps_its_port_through_a_crash_and_nothing_else(server: RedisServer) -> None:
    set_value(server.tcp_url)
    server.kill()
    server.start()
    assert value(server.tcp_url) is None


def test_options_reach_the_server() -> None:
    with (
        RedisServer(options={"maxmemory": "64mb", "save": "900 1"}) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        assert client.config_get("maxmemory") == {"maxmemory": str(64 << 20)}
        assert client.config_get("save") == {"save": "900 1"}


def test_close_leaves_no_process_and_no_folder() -> None:
    with RedisServer() as server:
        folder, pid = server.folder, server.pid
    assert folder is not None
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    server.close()


def test_a_server_that_will_not_stop_is_killed(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "STOP_SECONDS_MAX", 0.05)
    os.kill(server.pid, signal.SIGSTOP)
    server.stop()
    server.start()
    assert value(server.url) is None


def test_it_ends_with_the_process_that_started_it() -> None:
    program = (
        "import os, signal\n"
        "from worq.testing.servers import RedisServer\n"
        "server = RedisServer(tcp=True)\n"
        "server.start()\n"
        "print(server.tcp_url, server.folder, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)
    url, folder = ended.stdout.decode().split()
    assert ended.returncode == -signal.SIGKILL
    wait_until_gone(Path(folder))
    with pytest.raises(redis.ConnectionError):
        value(url)


def test_a_bad_option_is_one_clear_line() -> None:
    with (
        pytest.raises(ServerUnavailable, match=r"\A.*nonsense.*\Z"),
        RedisServer(options={"nonsense": "1"}),
    ):
        pass


def test_a_server_on_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "valkey-server"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program() == str(program)


def test_a_package_brings_the_server_where_path_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "site-packages" in Path(find_program()).parts


def test_no_server_anywhere_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(servers, "PACKAGES", {"no_such_package": "*", "redis": "no-such-server"})
    with pytest.raises(ServerUnavailable, match=r"\Ano Redis server.*WORQ_TEST_REDIS_URL.*\Z"):
        RedisServer()


def test_a_long_temporary_folder_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with RedisServer() as server:
        assert value(server.url) is None


def test_without_a_url_a_server_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    with redis_for_tests() as url:
        assert value(url) is None
    with pytest.raises(redis.ConnectionError):
        value(url)


def test_a_borrowed_database_is_emptied_and_its_neighbours_are_not(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL_VARIABLE, server.tcp_url)
    set_value(server.tcp_url)
    with redis_for_tests(index=3) as url:
        set_value(url)
    assert value(url) is None
    assert value(server.tcp_url) == b"value"


def test_a_database_that_holds_something_is_not_borrowed(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL_VARIABLE, server.tcp_url)
    set_value(server.tcp_url)
    with pytest.raises(ServerUnavailable, match="holds 'key'"), redis_for_tests():
        pass
    assert value(server.tcp_url) == b"value"


def test_a_server_that_is_not_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL_VARIABLE, "unix:///no/such/socket")
    with pytest.raises(ServerUnavailable, match=r"\AWORQ_TEST_REDIS_URL: .*\Z"), redis_for_tests():
        pass


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://host", "redis://host?db=2"),
        ("redis://:secret@host:1/5", "redis://:secret@host:1/5?db=7"),
        ("redis://host/5?db=8&socket_timeout=3", "redis://host/5?db=10&socket_timeout=3"),
        ("unix:///run/socket", "unix:///run/socket?db=2"),
        ("unix:///run/socket?db=1", "unix:///run/socket?db=3"),
    ],
)
def test_databases_are_counted_from_that_of_the_url(url: str, expected: str) -> None:
    assert database_url(url, 2) == expected


def test_all_keys_are_left_over_but_sessions_that_pass(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set("worq:{q}:session:1", "", ex=60)
        client.set("worq:{q}:session:2", "")
        client.set("worq:{q}:tasks", "", ex=60)
        assert leftover_keys(client) == ["worq:{q}:session:2", "worq:{q}:tasks"]


def value(url: str) -> object:
    with redis.Redis.from_url(url) as client:
        return client.get("key")


def set_value(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.set("key", "value")


def wait_until_gone(path: Path) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
