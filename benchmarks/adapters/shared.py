"""What all adapters share: where the server is, and the tasks. Standard library only."""

import os
import sys
import time
from typing import Any

URL = os.environ.get("BENCH_URL", "")
VARIANT = os.environ.get("BENCH_VARIANT", "")
THREADS = int(os.environ.get("BENCH_THREADS") or 1)
PYTHON = sys.executable
TIMEOUT_S = 60


def noop(value: Any) -> Any:
    return value


def mark(name: str) -> None:
    """Leave the time in a file, which is there at once and whole."""
    path = os.path.join(os.environ["BENCH_MARKS"], name)
    with open(f"{path}.new", "w", encoding="ascii") as file:
        file.write(repr(time.monotonic()))
    os.rename(f"{path}.new", path)
