"""Where is a Python of that version? `python scripts/pythons.py 3.12` prints its path, or exits with 1.

It looks on PATH, and where pyenv and uv put those that are not.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def candidates(version: str) -> Iterator[str]:
    name = f"python{version}"
    for found in (shutil.which(name), sys.executable):
        if found:
            yield found
    roots = (
        Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions",
        Path.home() / ".local/share/uv/python",
    )
    for root in roots:
        yield from map(str, sorted(root.glob(f"*/bin/{name}"), reverse=True))


def is_version(python: str, version: str) -> bool:
    """A shim may be there and find no Python behind it."""
    code = "import sys, venv; print(sys.version_info.major, sys.version_info.minor, sep='.')"
    done = subprocess.run(  # noqa: S603 - a Python
        [python, "-c", code], capture_output=True, text=True, check=False
    )
    return done.returncode == 0 and done.stdout.strip() == version


def find(version: str) -> str | None:
    return next((each for each in candidates(version) if is_version(each, version)), None)


if __name__ == "__main__":
    found = find(sys.argv[1])
    sys.stdout.write(f"{found}\n" if found else "")
    sys.exit(found is None)
