"""A queue in another process: `python -m worq.testing.elsewhere`, which is told on its standard input what to do.

It opens the queue by its class and URL, so both have to mean the same there. How it ends is part of what is tested:
it closes nothing, as a process that dies.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

from worq.backend import AbstractTaskQueue
from worq.testing.calls import PATIENCE_S
from worq.values import Request

WAIT_S: Final = PATIENCE_S
READY: Final = "ready"


class Unreachable(AssertionError):
    """The process could not open the queue."""


class Elsewhere:
    """A process that does one thing to a queue."""

    def __init__(self, queue: AbstractTaskQueue, what: str) -> None:
        kind = type(queue)
        order = [kind.__module__, kind.__qualname__, queue.url, queue.name, what]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(
            json.dumps(order) + "\n"
        )  # not as an argument: URLs have passwords
        self._process.stdin.flush()

    def wait_until_ready(self) -> None:
        """It has opened the queue, and is about to call it."""
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != READY:
            _fail(self._process.communicate()[1])

    def go(self) -> None:
        """Do it now, having waited for that."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """What it was answered; it has ended then, and closed nothing."""
        try:
            text, trouble = self._process.communicate(timeout=WAIT_S + PATIENCE_S)
        except subprocess.TimeoutExpired:
            return None
        if self._process.returncode:
            _fail(trouble)
        return json.loads(text.removeprefix(READY))

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def _fail(trouble: str) -> NoReturn:
    raise Unreachable(f"another process can't use the queue: {trouble.strip()[-2000:]}")


@contextmanager
def elsewhere(queue: AbstractTaskQueue, what: str) -> Generator[Elsewhere]:
    """`what`: `submit` a task `a` that may start twice, `claim` one, or `wait` for one.

    Or `begin`: submit a task that has a name of its own, when it is told to.
    """
    process = Elsewhere(queue, what)
    try:
        yield process
    finally:
        process.end()


def main() -> None:
    module, name, url, queue_name, what = json.loads(sys.stdin.readline())
    kind: Any = importlib.import_module(module)
    for part in name.split("."):
        kind = getattr(kind, part)
    queue: AbstractTaskQueue = kind(url, queue_name)
    sys.stdout.write(READY + "\n")
    sys.stdout.flush()
    sys.stdout.write(json.dumps(_do(queue, what)))
    sys.stdout.flush()
    os._exit(0)


def _do(queue: AbstractTaskQueue, what: str) -> Any:
    if what == "begin":
        sys.stdin.readline()
        return queue.submit(Request(f"of {os.getpid()}"), b"").status
    if what == "submit":
        return queue.submit(Request("a", attempts=2), b"from elsewhere").status
    claim = queue.claim(WAIT_S if what == "wait" else 0)
    return claim and [claim.id, claim.message.decode(), claim.token.start]


if __name__ == "__main__":
    main()
