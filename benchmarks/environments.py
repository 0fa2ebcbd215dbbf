"""A virtual environment for each peer, under build/bench: no two libraries agree on everything."""

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "build/bench/environments"
STAMP = "installed.json"


class EnvironmentUnavailable(Exception):
    """It can't be made; the text says why, in a line."""


def python_of(name: str, requirements: Sequence[str]) -> str:
    """The Python of an environment, which is made if it isn't there or has other versions; '' is this one's."""
    if not name:
        return sys.executable
    folder = FOLDER / name
    python = folder / "bin/python"
    wanted = json.dumps([sys.version, *requirements])
    stamp = folder / STAMP
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted):
        _make(folder, python, requirements)
        stamp.write_text(wanted, encoding="utf-8")
    return str(python)


def _make(folder: Path, python: Path, requirements: Sequence[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    done = subprocess.run(
        [*command, *requirements],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise EnvironmentUnavailable((said or [f"pip ended with {done.returncode}"])[-1])
