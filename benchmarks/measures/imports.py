"""How long importing a library takes, over a bare interpreter."""

import subprocess
import time

from benchmarks.samples import Samples

IMPORT = "import"


def measure(peer: str, python: str, module: str, samples: Samples) -> None:
    """One sample: the import between two bare starts, in milliseconds."""
    before = _start_ms(python, "pass")
    took = _start_ms(python, f"import {module}")
    after = _start_ms(python, "pass")
    samples.add(IMPORT, peer, took - (before + after) / 2)


def _start_ms(python: str, program: str) -> float:
    begin_s = time.perf_counter()
    subprocess.run([python, "-c", program], check=True, stdin=subprocess.DEVNULL)
    return 1000 * (time.perf_counter() - begin_s)
