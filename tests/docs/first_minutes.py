"""The tutorial as a new user would do it: its own commands, from a built wheel, in an environment of its own.

python -m tests.docs.first_minutes dist/*.whl
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pexpect

from tests.docs.blocks import Block, blocks_of, commands

SECONDS_MAX = 180
SHOWN = "worq shop"  # the name of the pool, in what `worq info --watch` shows


def follow(folder: Path, tell: Callable[[str], None]) -> None:
    """Do what each block says, and tell what has been done."""
    env = {
        "HOME": str(folder),
        "PATH": f"{folder}/.venv/bin{os.pathsep}{os.environ['PATH']}",
        **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
    }
    with ExitStack() as stack:
        for block in blocks_of("docs/tutorial.md"):
            if block.file is not None:
                (folder / block.file).write_text(block.text, encoding="utf-8")
            elif block.said == "in the background":
                terminal = begin(block, folder, env)
                stack.callback(interrupt, terminal)
                if "--watch" in block.text:
                    terminal.expect(SHOWN)
                    tell(f"{SHOWN!r} is among what worq info --watch shows")
            else:
                lines = "\n".join(command for command, _ in commands(block.text))
                subprocess.run(["bash", "-ec", lines], cwd=folder, env=env, check=True)
                tell(lines.splitlines()[-1])


def begin(block: Block, folder: Path, env: dict[str, str]) -> "pexpect.spawn[str]":
    """In a terminal of its own."""
    ((command, _),) = commands(block.text)
    arguments = ["-c", f"exec {command}"]
    return pexpect.spawn(
        "bash", arguments, cwd=folder, env=env, encoding="utf-8", timeout=60, dimensions=(40, 120)
    )


def interrupt(terminal: "pexpect.spawn[str]") -> None:
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()


def main(wheel: str) -> None:
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"[{time.monotonic() - began:5.1f} s] {what}", flush=True)

    with TemporaryDirectory() as name:
        (Path(name) / "dist").mkdir()
        shutil.copy(wheel, Path(name) / "dist")
        follow(Path(name), tell)
    tell("the end of the tutorial")
    sys.exit(time.monotonic() - began > SECONDS_MAX)


if __name__ == "__main__":
    main(sys.argv[1])
