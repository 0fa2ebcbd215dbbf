"""Fuzz by coverage what `targets` reads: `python -m tests.fuzz SECONDS [TARGET...]`, as `make fuzz` does.

Each target has a process of its own, for libFuzzer never returns. What it has found to be worth keeping
stays in build/fuzz, and so does the input of a failure: `python -m tests.fuzz TARGET FILE` runs that alone.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

BUILD = Path(__file__).parents[2] / "build" / "fuzz"
NOT_FUZZED = """\
NOT FUZZED: atheris is not installed. It has wheels for Linux, and for some versions of Python only ({python} is this
one): make fuzz PYTHON=python3.11 in a fresh .venv. What Hypothesis does instead, in each run of the tests, is
tests/unit/test_fuzz.py."""


def fuzz(target: str, *options: str) -> None:
    """Never returns."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["worq"]):
        from tests.fuzz.targets import TARGETS, seeds_of

    corpus = BUILD / target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds_of(target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    what = [str(corpus)] if options and options[0].startswith("-") else []
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={corpus}-", *what], TARGETS[target])
    atheris.Fuzz()


def main(seconds: str, *targets: str) -> int:
    """The exit code: how many targets failed."""
    if importlib.util.find_spec("atheris") is None:
        print(NOT_FUZZED.format(python=sys.version.split()[0]))
        return 1
    from tests.fuzz.targets import TARGETS

    failed = 0
    for target in targets or TARGETS:
        print(f"== {target}: {seconds} s", flush=True)
        command = [sys.executable, "-m", "tests.fuzz", target, f"-max_total_time={seconds}"]
        options = ["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", "-verbosity=0"]
        failed += subprocess.call([*command, *options, "-print_final_stats=1"]) != 0
    print(f"{failed} of {len(targets or TARGETS)} targets failed")
    return failed


if __name__ == "__main__":
    first, *rest = sys.argv[1:] or ["60"]
    if first.isdecimal():
        sys.exit(main(first, *rest))
    fuzz(first, *rest)
