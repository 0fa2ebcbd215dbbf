"""Runs `worq check` on all servers that there are, for a table: python scripts/servers.py docs/servers.md

They are the servers on PATH, beside this Python, and in packages; each plainly, and in ways that are met elsewhere.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

import redis

from worq.testing.servers import PACKAGES, PROGRAMS, RedisServer, program_version
from worq.testing.topologies import Cluster, Watched

CHECK: Final = [sys.executable, "-c", "from worq.cli import main; main()", "check", "--json"]
SLOTS: Final = 16384
CLUSTER_PORT_MAX: Final = 55_535  # its own port is 10,000 above
BEGIN, END = "<!-- servers -->", "<!-- end of servers -->"
WHY_CHARACTERS: Final = 80
HEAD: Final = (
    "| server | as | verdict | it breaks | what it answered | seconds |\n|---|---|---|---|---|---|"
)


def _nothing(client: redis.Redis) -> None:
    del client


def _all_slots(client: Any) -> None:
    client.execute_command("CLUSTER ADDSLOTS", *range(SLOTS))
    while "'cluster_state': 'ok'" not in str(client.execute_command("CLUSTER INFO")):
        time.sleep(0.1)


class Way(NamedTuple):
    """How a server is set up, and by which user it is asked."""

    name: str
    options: dict[str, str]
    prepare: Callable[[redis.Redis], None] = _nothing
    user: str = ""


WAYS: Final = (
    Way("plain", {}),
    Way("append only, synced always", {"appendonly": "yes"}),
    Way("a cluster of one node", {"cluster-enabled": "yes"}, _all_slots),
    Way("EVAL renamed", {"rename-command": 'EVAL ""'}),
    Way("a user who may run no scripts", {"user": "u on >p ~* &* +@all -@scripting"}, user="u:p@"),
    Way("a read-only replica", {"replicaof": "127.0.0.1 1"}),
)


def programs() -> Iterator[str]:
    """Each server program once."""
    places = [shutil.which(name) for name in PROGRAMS]
    places += [str(Path(sys.executable).with_name(name)) for name in PROGRAMS]
    for package, pattern in PACKAGES.items():
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            places += map(str, Path(folder).glob(pattern))
    there = [place for place in places if place is not None and Path(place).is_file()]
    yield from dict.fromkeys(str(Path(place).resolve()) for place in there)


def server_of(program: str, way: Way) -> RedisServer:
    while True:
        server = RedisServer(tcp=True, options=way.options)
        if server.port is not None and server.port <= CLUSTER_PORT_MAX:
            server.program = program
            return server


def rows() -> Iterator[str]:
    for program in programs():
        for way in WAYS:
            server = server_of(program, way)
            with server, redis.Redis.from_url(server.url) as client:
                way.prepare(client)
                yield row(server.version, way.name, server.tcp_url.replace("//", f"//{way.user}"))
        with Cluster(program=program) as cluster:
            yield row(program_version(program), "a cluster of three nodes", cluster.url)
        with Watched(program=program) as watched:
            yield row(program_version(program), "watched by three sentinels", watched.url)
    if find_spec("fakeredis"):
        with fake() as url:
            yield row(f"fakeredis {version('fakeredis')}", "TcpFakeServer", url)
    worq = f"worq {version('worq-spec')}"
    yield row(worq, "`memory://`", "memory://")
    with tempfile.TemporaryDirectory() as folder:
        yield row(
            f"{worq}, SQLite {sqlite3.sqlite_version}",
            "`sqlite:///`",
            f"sqlite:///{folder}/jobs.db",
        )


@contextmanager
def fake() -> Generator[str]:
    """fakeredis, behind a port."""
    from fakeredis import TcpFakeServer  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

    server = TcpFakeServer(("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def row(server: str, way: str, url: str) -> str:
    """What `worq check` says of one."""
    began = time.monotonic()
    done = subprocess.run([*CHECK, url], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    verdict, clauses, why = "refused", "", done.stderr.strip()
    if done.stdout:
        verdict, clauses, why = summary(json.loads(done.stdout))
    said = why.rpartition("]: ")[2].splitlines()[-1:]
    cells = (server, way, verdict, clauses, *(said or [""]))
    return f"| {' | '.join(cell.replace('|', ' ')[:WHY_CHARACTERS] for cell in cells)} | {seconds:.0f} |"


def summary(found: dict[str, Any]) -> tuple[str, str, str]:
    """The verdict, the clauses that are broken, and the first answer that was wrong."""
    clauses = found["clauses"]
    holds = sum(clause["answer"] == "holds" for clause in clauses.values())
    broken = [name for name, clause in clauses.items() if clause["answer"] == "violated"]
    blocked = sum(clause["answer"] == "blocked" for clause in clauses.values())
    if found["conforms"]:
        return f"**conforms**: {holds} clauses", "", ""
    first = next(check for check in found["checks"] if check["answer"] == "violated")
    got = first["text"].rpartition("# got ")[2].strip()
    return "no", f"{' '.join(broken)}; {blocked} blocked", got


def main(path: str) -> None:
    lines = [HEAD]
    for line in rows():
        sys.stderr.write(f"{line}\n")
        lines.append(line)
    table = "\n".join(lines)
    before, _, rest = Path(path).read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    Path(path).write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
