"""The processes of a peer: its client, which the driver plays, and its worker."""

import json
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from benchmarks import cpu
from benchmarks.peers import Peer

ADAPTERS = Path(__file__).parent / "adapters"
REPLY_S_MAX = 60.0
STOP_S_MAX = 15.0
KILL_S_MAX = 5.0
LOG_LINES = 3


class PeerFailed(Exception):
    """A peer did not do what it was asked for; the text is a line for the report."""


class Client:
    """A peer's client. Give it up with `close`."""

    def __init__(self, peer: Peer, python: str, url: str, *, threads: int = 1) -> None:
        self.peer = peer
        self.has: frozenset[str] = frozenset()
        self._folder = tempfile.TemporaryDirectory(prefix="worq-bench-")
        self._log = Path(self._folder.name) / "client.log"
        self.marks = Path(self._folder.name)
        self.environment = os.environ | {
            "BENCH_URL": url,
            "BENCH_VARIANT": peer.variant,
            "BENCH_MARKS": self._folder.name,
            "BENCH_THREADS": str(threads),
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [python, "driver.py", peer.adapter],
                cwd=ADAPTERS,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def open(self) -> None:
        """Connect, or start its pool."""
        self.has = frozenset(self.ask("open")["has"])

    def ask(self, name: str, **arguments: Any) -> Any:
        """What the driver answers. PeerFailed if it doesn't, or if the library raises."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": name, **arguments}) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise PeerFailed(f"{name}: its client has ended: {tail(self._log)}") from error
        ready, _, _ = select.select([self._process.stdout], [], [], REPLY_S_MAX)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            self.kill()
            why = f"no answer in {REPLY_S_MAX:g} s" if not ready else tail(self._log)
            raise PeerFailed(f"{name}: {why}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerFailed(f"{name}: {answer['error']}")
        return answer["ok"]

    def close(self) -> None:
        """End it. Idempotent."""
        with suppress(PeerFailed):
            if self._process.poll() is None:
                self.ask("close")
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._folder.cleanup()

    def kill(self) -> None:
        end_session(self._process)


class Worker:
    """A peer's worker, by its own command. Give it up with `stop`."""

    def __init__(self, client: Client, command: Sequence[str], *, threads: int = 1) -> None:
        self._log = client.marks / "worker.log"
        environment: Mapping[str, str] = client.environment | {"BENCH_THREADS": str(threads)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ADAPTERS,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def check(self) -> None:
        """PeerFailed if it has ended."""
        code = self._process.poll()
        if code is not None:
            raise PeerFailed(f"its worker has ended with {code}: {tail(self._log)}")

    def cpu_s(self) -> float:
        return cpu.of_session(self._process.pid)

    def stop(self) -> None:
        """End it in good order, or else by force. Idempotent."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S_MAX)
        end_session(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def end_session(process: subprocess.Popen[Any]) -> None:
    """Kill what is left of a session, and wait for its leader."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(KILL_S_MAX)


def tail(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " / ".join(line.strip() for line in lines[-LOG_LINES:])[-300:]
