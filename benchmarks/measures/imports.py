"""How long importing a library takes, over a bare interpreter."""

import os
import subprocess
import time
from pathlib import Path

from benchmarks.samples import Samples

IMPORT = "import"
COMPILED = Path(__file__).parents[2] / "build/bench/compiled"


def measure(peer: str, python: str, module: str, samples: Samples) -> None:
    """One sample: the import between two bare starts, in milliseconds.

    Of modules that are compiled, as those of an installed package are: so the first import doesn't count.
    """
    _start_ms(python, f"import {module}")
    before = _start_ms(python, "pass")
    took = _start_ms(python, f"import {module}")
    after = _start_ms(python, "pass")
    samples.add(IMPORT, peer, took - (before + after) / 2)


def _start_ms(python: str, program: str) -> float:
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(COMPILED)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    begin_s = time.perf_counter()
    subprocess.run([python, "-c", program], check=True, stdin=subprocess.DEVNULL, env=environment)
    return 1000 * (time.perf_counter() - begin_s)
