"""An application to serve, and `worq worker` as a process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, STDOUT

import pexpect

PROGRAM = [sys.executable, "-c", "from worq.cli import main; main()"]
SECONDS = 20

APPLICATION = '''\
import os
import worq

def make(url):
    broker = worq.get_broker(url, "first", retry_deadline_s=0.2)
    broker.expose(say)
    broker.expose(hold)
    return broker

def tell(line):
    """In one piece: others write too."""
    os.write(1, f"{line}\\n".encode())

def say(text):
    tell(f"says {text}")
    return text

def hold(gate):
    """Until somebody opens the gate, a named pipe."""
    tell("holds")
    with open(gate) as opened:
        opened.read()
    tell("let go")
    return "held"

def broken(url):
    raise RuntimeError(f"planted for {url}")

def empty(url):
    return worq.get_broker(url)

def nothing(url):
    return 7

def two(x, y):
    tell("called")

space = worq.TaskSpace()

@space.task
def spaced(x):
    tell(f"called with {x}")

chain = worq.get_broker("memory://chain")

@chain.expose
def add(x, y):
    tell(f"adds {x} {y}")
    return x + y

if not os.environ.get("NO_CHAIN"):
    queue = chain.queue()
    one = queue.add(0, 1)
    two = queue.add(one, 1)
    three = queue.add(two, 1)
'''


class Process:
    """One that runs; `lines` is what it has said so far."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []

    @property
    def pid(self) -> int:
        return self.process.pid

    def until(self, text: str) -> str:
        """Read on to the line that has this text in it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"it never said {text!r}:\n{''.join(self.lines)}")

    def kill(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Its exit code, when it has ended."""
        assert self.process.stdout is not None
        self.lines += self.process.stdout
        return self.process.wait(SECONDS)

    @property
    def said(self) -> str:
        return "".join(self.lines)


@contextmanager
def running(folder: Path, *arguments: object, **variables: str) -> Iterator[Process]:
    """`worq worker` in a folder; killed if it has not ended within the block."""
    with subprocess.Popen(
        [*PROGRAM, "worker", *map(str, arguments)],
        cwd=folder,
        env=environment(**variables),
        stdout=PIPE,
        stderr=STDOUT,
        text=True,
    ) as process:
        try:
            yield Process(process)
        finally:
            process.kill()


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WORQ_")}
    return kept | variables


def open_gate(gate: Path) -> None:
    """Let go what holds, and return when it does."""
    with gate.open("w") as opened:
        opened.write("open")


def spawn(command: list[str], folder: Path) -> "pexpect.spawn[str]":
    """A command in a terminal of its own, wide enough for lines to stay lines."""
    return pexpect.spawn(
        command[0],
        command[1:],
        cwd=folder,
        env=environment(),
        encoding="utf-8",
        timeout=SECONDS,
        dimensions=(50, 200),
    )
