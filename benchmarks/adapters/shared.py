"""What all adapters share: where the server is, and the tasks. Standard library only."""

import os
import sys
import time
from pathlib import Path
from typing import Any

URL = os.environ.get("BENCH_URL", "")
VARIANT = os.environ.get("BENCH_VARIANT", "")
THREADS = int(os.environ.get("BENCH_THREADS") or 1)
PYTHON = sys.executable
TIMEOUT_S = 20


def noop(value: Any) -> Any:
    return value


def mark(name: str) -> None:
    """Leave the time in a file, which is there at once and whole."""
    folder = Path(os.environ["BENCH_MARKS"])
    new = folder / f"{name}.new"
    new.write_text(repr(time.monotonic()), encoding="ascii")
    new.rename(folder / name)
