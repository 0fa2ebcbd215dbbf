"""A soak: processes that produce and work, faults at random, and an inquest after each round.

    python -m tests.faults 600 [--seed N]

The seed makes the same choices again, though not the same timing. The last round is one of kills in a row. It ends in a
table, and fails if anything is wrong, or if too little was done.
"""

import argparse
import ctypes
import os
import random
import resource
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple, NoReturn, Self, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.faults.clients import NUMBERS, ROLES, Setting, fork
from tests.faults.evidence import Findings, Inquest
from tests.faults.witness import Here, Log, Logs, WitnessQueue
from worq.queue.redis.keys import prefix
from worq.testing.proxy import Command, Fault, FaultProxy
from worq.testing.servers import RedisServer

ROUND_S: Final = 20.0
TICK_S: Final = 0.02
STOP_S: Final = 30.0
GONE_S: Final = 10.0
CYCLES_A_SECOND_MIN: Final = 150.0
FAULTS_A_SECOND_MIN: Final = 5.0
KILLS_IN_A_ROW: Final = 100
PROGRESS_S: Final = 30.0
PR_SET_CHILD_SUBREAPER: Final = 36
SHOWN_MAX: Final = 50
MEMORY: Final = "/dev/shm"  # noqa: S108 (folders of our own are made in it)
"""Where the server writes, where there is such a place: killing it loses no page of the system's, on a disk neither."""
ENDING: Final = (signal.SIGINT, signal.SIGTERM)

# Of a million commands that pass the proxy, how many meet what. A connection that is half open costs its client 6.5 s.
PROXY_FAULTS: Final[Mapping[Fault, int]] = {
    "not sent": 4_000, "torn": 2_000, "reply lost": 4_000, "half a reply": 2_000, "late": 1_500, "slow": 1_000,
    "half-open before": 30, "half-open after": 30,
}  # fmt: skip

# Queue → its clients: role, and whether it goes through the proxy.
CAST: Final[Mapping[str, tuple[tuple[str, bool], ...]]] = {
    "straight": (
        ("producer", False),
        ("producer", False),
        ("producer", False),
        ("worker", False),
        ("worker", False),
    ),
    "alike": (("producer", False), ("producer", False), ("worker", False), ("worker", False)),
    "proxied": (("producer", True), ("worker", True), ("worker", False)),
    "threads": (("caller", False), ("thread pool", False), ("thread pool", True)),
    "processes": (("caller", True), ("pool parent", False)),
}

# How often a second each of them is injected.
RATES: Final[Mapping[str, float]] = {
    "kill worker": 3.0, "kill producer": 1.0, "kill caller": 0.3, "kill thread pool": 0.4, "kill pool parent": 0.05,
    "kill pool worker": 0.1, "kill server": 0.15, "stop server": 0.7, "forget scripts": 2.0, "kill clients": 0.7,
    "pause server": 0.4, "full server": 0.4, "cut": 0.5, "stall": 0.2,
}  # fmt: skip

# Who is killed in a row, and how often of a hundred.
IN_A_ROW: Final[Mapping[str, int]] = {
    "worker": 70, "thread pool": 15, "pool worker": 12, "pool parent": 3,
}  # fmt: skip


class Client(NamedTuple):
    """A process that runs."""

    pid: int
    role: str
    queue: str
    is_proxied: bool


class ProxyProcess:
    """A proxy in a process of its own, which has threads; this one must not."""

    def __init__(self, url: str, seed: int) -> None:
        self._pipe, theirs = Pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._pipe.close()
                _proxy(url, theirs, random.Random(seed))
            finally:  # or it would end what its parent has begun
                os._exit(0)
        theirs.close()
        self.url: str = self._pipe.recv()

    def ask(self, *question: Any) -> Any:
        self._pipe.send(question)
        return self._pipe.recv()

    def close(self) -> None:
        self._pipe.close()
        os.waitpid(self._pid, 0)


def _proxy(url: str, pipe: Connection, rng: random.Random) -> None:
    """In its process, until the pipe is closed."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    weights = list(PROXY_FAULTS.values())
    share = sum(weights) / 1e6

    def plan(_: Command) -> Fault | None:
        return rng.choices(list(PROXY_FAULTS), weights)[0] if rng.random() < share else None

    with suppress(EOFError, ConnectionError), FaultProxy(url) as proxy:
        pipe.send(f"{proxy.url}?socket_timeout=6.5")
        while True:
            match pipe.recv():
                case ("plan", bool(is_on)):
                    proxy.follow(plan if is_on else None)
                case ("cut",):
                    proxy.cut()
                case ("stall", float(seconds)):
                    with proxy.stalled():
                        time.sleep(seconds)
                case _:
                    pass
            pipe.send(dict(proxy.counts))


class Aside:
    """The replays of a round, in a process of their own while the next round runs."""

    def __init__(self, inquests: Sequence[Inquest]) -> None:
        self._pipe, theirs = Pipe(duplex=False)
        self.pid = os.fork()
        if self.pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                theirs.send([each for inquest in inquests for each in inquest.replayed()])
            finally:
                os._exit(0)
        theirs.close()

    def join(self) -> list[str]:
        """What the model objects to."""
        try:
            objections: list[str] = self._pipe.recv()
        except EOFError:
            objections = ["a replay has ended without a verdict"]
        self._pipe.close()
        os.waitpid(self.pid, 0)
        return objections


class Soak:
    """Rounds of load and faults on a server of its own. A context manager; its process has no other thread."""

    def __init__(self, seed: int, rates: Mapping[str, float] = RATES) -> None:
        self.findings = Findings.none()
        self.faults: Counter[str] = Counter()
        self.rounds = 0
        self.in_a_row = 0
        self._rng = random.Random(seed)
        self._rates = rates
        self._stack = ExitStack()
        self._clients: list[Client] = []
        self._aside: Aside | None = None
        self._own: set[int] = set()
        self._processes = 0
        self._inject: dict[str, Callable[[], bool]] = {
            "kill server": self._kill_server,
            "stop server": self._stop_server,
            "forget scripts": self._forget_scripts,
            "kill clients": self._kill_clients,
            "pause server": self._pause_server,
            "full server": self._fill_server,
            "cut": self._cut,
            "stall": self._stall,
            "kill pool worker": self._kill_pool_worker,
            **{f"kill {role}": partial(self._kill, role) for role in ROLES},
        }

    def __enter__(self) -> Self:
        self._server = self._stack.enter_context(RedisServer(append_only=True))
        self._admin = self._stack.enter_context(
            redis.Redis.from_url(self._server.url, retry=Retry(NoBackoff(), 3))
        )
        self._folder = Path(tempfile.mkdtemp(prefix="logs-"))
        self._stack.callback(shutil.rmtree, self._folder)
        self._proxy = ProxyProcess(self._server.url, self._rng.getrandbits(64))
        self._stack.callback(self._proxy.close)
        self._stack.callback(self._kill_all)
        _adopt_orphans()
        self._own = set(_children(os.getpid()))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def round(self, seconds: float) -> Findings:
        """Load and faults of all kinds for so long, then the inquest."""
        return self._round(lambda: self._disturb(seconds), proxy_fails=True)

    def kill_in_a_row(self, times: int) -> Findings:
        """Kill one who works after the other, under load: each when the server has done something since the last."""
        return self._round(lambda: self._kill_in_a_row(times), proxy_fails=False)

    def _round(self, disturb: Callable[[], None], *, proxy_fails: bool) -> Findings:
        self.rounds += 1
        for queue, clients in CAST.items():
            for role, is_proxied in clients:
                self._start(role, queue, is_proxied=is_proxied)
        self._proxy.ask("plan", proxy_fails)
        disturb()
        crashed = self._stop_clients()
        findings = self._join() + self._inquire() + Findings(Counter(), 0, crashed)
        self.findings += findings
        return findings

    def end(self) -> Findings:
        """The last verdicts, of a replay that still goes on."""
        findings = self._join()
        self.findings += findings
        return findings

    def _join(self) -> Findings:
        aside, self._aside = self._aside, None
        return Findings(Counter(), 0, [] if aside is None else aside.join())

    # Load.

    def _start(self, role: str, queue: str, *, is_proxied: bool) -> None:
        self._processes += 1
        process = f"{role} {self._processes}"
        setting = Setting(
            self._proxy.url if is_proxied else self._server.url,
            queue,
            self._folder,
            process,
            self._processes * NUMBERS,
            self._rng.getrandbits(64),
        )
        self._admin.connection_pool.disconnect()  # it is not for the child
        pid = fork(ROLES[role], setting)
        self._clients.append(Client(pid, role, queue, is_proxied))

    def _disturb(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            time.sleep(TICK_S)
            passed = time.monotonic() - now
            for kind, rate in self._rates.items():
                if self._rng.random() < rate * passed and self._inject[kind]():
                    self.faults[kind] += 1

    def _kill_in_a_row(self, times: int) -> None:
        for _ in range(times):
            role = self._rng.choices(list(IN_A_ROW), list(IN_A_ROW.values()))[0]
            seen, until = self._progress(), time.monotonic() + PROGRESS_S
            while not self._inject[f"kill {role}"]() and time.monotonic() < until:
                time.sleep(TICK_S)
            while self._progress() == seen and time.monotonic() < until:
                time.sleep(TICK_S)
            if time.monotonic() < until:
                self.faults[f"kill {role}"] += 1
                self.in_a_row += 1

    def _progress(self) -> list[int]:
        """How long the journals are."""
        return [cast("int", self._admin.llen(f"{prefix(name)}:session:journal")) for name in CAST]

    def _stop_clients(self) -> list[str]:
        """No more faults, and all clients end in good order; those that did not."""
        self._count_proxied(self._proxy.ask("plan", False))
        self._proxy.ask("cut")
        for client in self._clients:
            os.kill(client.pid, signal.SIGTERM)
        wrong: list[str] = []
        until = time.monotonic() + STOP_S
        for client in self._clients:
            code = _wait(client.pid, until)
            if code != 0:
                wrong.append(f"a {client.role} ended with {code}")
        self._clients.clear()
        return wrong + self._leaked()

    def _leaked(self) -> list[str]:
        """Processes that nobody keeps any more: workers whose pools were killed end by themselves."""
        until = time.monotonic() + GONE_S
        while (left := self._strangers()) and time.monotonic() < until:
            time.sleep(TICK_S)
        return [f"a process is left: {_command(pid)}" for pid in left]

    def _strangers(self) -> set[int]:
        """Processes that this one has and did not start, or does not know any more."""
        known = self._own | {self._server.pid, self._aside.pid if self._aside else 0}
        found = set(_children(os.getpid())) - known
        for pid in set(found):
            if os.waitpid(pid, os.WNOHANG)[0]:
                found.discard(pid)
        return found

    def _inquire(self) -> Findings:
        logs = Logs(self._folder)
        self._processes += 1
        Here.log = Log(self._folder, f"observer {self._processes}", self._processes * NUMBERS)
        findings, inquests = Findings.none(), list[Inquest]()
        for name in CAST:
            queue = WitnessQueue(self._server.url, name)
            inquests.append(Inquest(self._admin, queue, logs))
            findings += inquests[-1].hold()
            queue.close()
        Here.log.close()
        self._admin.connection_pool.disconnect()  # it is not for the child
        self._aside = Aside(inquests)
        for path in self._folder.glob("*.log"):
            path.unlink()
        self._admin.flushall()
        return findings

    # Faults. Each says whether there was anything to do it to.

    def _kill(self, role: str) -> bool:
        there = [client for client in self._clients if client.role == role]
        if not there:
            return False
        client = self._rng.choice(there)
        os.kill(client.pid, signal.SIGKILL)
        _, status = os.waitpid(client.pid, 0)
        self._clients.remove(client)
        self._start(client.role, client.queue, is_proxied=client.is_proxied)
        return os.waitstatus_to_exitcode(status) == -signal.SIGKILL

    def _kill_pool_worker(self) -> bool:
        parents = [client.pid for client in self._clients if client.role == "pool parent"]
        workers = [pid for parent in parents for pid in _children(parent)]
        if not workers:
            return False
        with suppress(ProcessLookupError):
            os.kill(self._rng.choice(workers), signal.SIGKILL)
        return True

    def _kill_server(self) -> bool:
        self._server.kill()
        self._server.start()
        return True

    def _stop_server(self) -> bool:
        os.kill(self._server.pid, signal.SIGSTOP)
        time.sleep(self._rng.uniform(0.02, 0.2))
        os.kill(self._server.pid, signal.SIGCONT)
        return True

    def _forget_scripts(self) -> bool:
        self._admin.script_flush()
        return True

    def _kill_clients(self) -> bool:
        return bool(self._admin.client_kill_filter(_type="normal", skipme=True))

    def _pause_server(self) -> bool:
        self._admin.client_pause(self._rng.randint(20, 200), all=False)
        return True

    def _fill_server(self) -> bool:
        self._admin.config_set("maxmemory", 1)
        time.sleep(self._rng.uniform(0.02, 0.2))
        self._admin.config_set("maxmemory", 0)
        return True

    def _cut(self) -> bool:
        self._proxy.ask("cut")
        return False  # it is counted by the connection

    def _stall(self) -> bool:
        self._proxy.ask("stall", self._rng.uniform(0.02, 0.3))
        return False  # the proxy counts it

    def _count_proxied(self, counts: dict[str, int]) -> None:
        for kind, count in counts.items():
            self.faults[f"proxy: {kind}"] = count

    def _kill_all(self) -> None:
        for client in self._clients:
            with suppress(ProcessLookupError):
                os.kill(client.pid, signal.SIGKILL)
            os.waitpid(client.pid, 0)
        self._clients.clear()


def _wait(pid: int, until: float) -> int | str:
    """Its exit code; a process that does not end is killed."""
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(TICK_S)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "nothing: it did not stop"


def _children(pid: int) -> list[int]:
    """Of a process, where there is a /proc; but for the one that watches over semaphores."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, path.read_text().split())
    return [each for each in found if "resource_tracker" not in _command(each)]


def _adopt_orphans() -> None:
    """Have the children of children become this process's own when those end, where the system can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def _command(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return text.replace("\0", " ").strip()


def table(soak: Soak, seconds: float) -> str:
    """What was done, and what is wrong."""
    ends, faults = soak.findings.ends, soak.faults
    rows = [
        ("rounds", soak.rounds),
        ("life cycles", soak.findings.cycles),
        *((f"  {kind}", count) for kind, count in sorted(ends.items())),
        ("life cycles a second", round(soak.findings.cycles / seconds)),
        ("CPU of all processes, s", round(_cpu_s())),
        ("operations on the server", soak.findings.operations),
        ("faults injected", faults.total()),
        *((f"  {kind}", count) for kind, count in sorted(faults.items())),
        ("kills in a row", soak.in_a_row),
        ("violations", len(soak.findings.violations)),
    ]
    return "\n".join(f"{name:<32}{value:>12,}" for name, value in rows)


def _cpu_s() -> float:
    """Of this process and of those that have ended, the server's among them."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


class Least(NamedTuple):
    """What a soak must have done, a second."""

    cycles: float = CYCLES_A_SECOND_MIN
    faults: float = FAULTS_A_SECOND_MIN


def too_little(findings: Findings, faults: Counter[str], seconds: float, least: Least) -> list[str]:
    """What was done less often than makes a soak of that length."""
    found: list[str] = []
    if findings.cycles < least.cycles * seconds:
        found.append(f"less than {least.cycles} life cycles a second")
    if faults.total() < least.faults * seconds:
        found.append(f"less than {least.faults} faults a second")
    return found


def run(asked: argparse.Namespace) -> int:
    """The exit code."""
    began = time.monotonic()
    with Soak(asked.seed) as soak:
        while (left := asked.seconds - (time.monotonic() - began)) > 0:
            _tell(f"round {soak.rounds + 1}", soak.round(min(asked.round, left)))
        _tell("kills in a row", soak.kill_in_a_row(asked.kills))
        _tell("the last replay", soak.end())
    seconds = time.monotonic() - began
    print(table(soak, seconds))
    least = Least(asked.cycles_min, asked.faults_min)
    lacking = too_little(soak.findings, soak.faults, seconds, least)
    for each in lacking:
        print(f"TOO LITTLE: {each}")
    return 1 if lacking or soak.findings.violations else 0


def _tell(what: str, found: Findings) -> None:
    said = f"{what}: {found.cycles:,} life cycles, {len(found.violations)} violations"
    print("\n  ".join([said, *found.violations[:SHOWN_MAX]]), flush=True)


@contextmanager
def ending_in_good_order() -> Generator[None]:
    """The first INT or TERM ends what is within, which is closed then; no other does."""
    pid = os.getpid()

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        if os.getpid() != pid:  # a child that has not begun yet
            os._exit(128 + number)
        for each in ENDING:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    before = {each: signal.signal(each, stop) for each in ENDING}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def folder_of_its_own(parent: str | None) -> Generator[None]:
    """Whichever process makes a file makes it there, and it is gone afterwards, however that process ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    folder = tempfile.mkdtemp(prefix="worq-soak-", dir=parent)
    try:
        tempfile.tempdir = folder
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        tempfile.tempdir = None
        shutil.rmtree(folder)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--round", type=float, default=ROUND_S, help="seconds of load in a round")
    parser.add_argument("--kills", type=int, default=KILLS_IN_A_ROW, help="in a row, at the end")
    parser.add_argument("--cycles-min", type=float, default=CYCLES_A_SECOND_MIN, help="a second")
    parser.add_argument("--faults-min", type=float, default=FAULTS_A_SECOND_MIN, help="a second")
    parser.add_argument("--folder", default=MEMORY if os.access(MEMORY, os.W_OK) else None)
    asked = parser.parse_args(arguments)
    print(f"seed {asked.seed}", flush=True)
    with ending_in_good_order(), folder_of_its_own(asked.folder):
        return run(asked)
