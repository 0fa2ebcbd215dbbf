"""The commands of docs/deployment.md are such that `worq worker` takes them."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of

BLOCKS = {block.language: block.text for block in blocks_of("docs/deployment.md")}
(UNIT,) = re.findall(r"^ExecStart=\S+/(worq .*)$", BLOCKS["ini"], re.MULTILINE)
(IMAGE,) = re.findall(r"^CMD (.*)$", BLOCKS["dockerfile"], re.MULTILINE)
(SERVICE,) = re.findall(r"^ +command: (worq .*)$", BLOCKS["yaml"], re.MULTILINE)
COMMANDS = {"unit": shlex.split(UNIT), "image": json.loads(IMAGE), "service": shlex.split(SERVICE)}


@pytest.mark.parametrize("kind", COMMANDS)
def test_the_worker_takes_the_command(kind: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(BLOCKS["python"])
    worq, *arguments = COMMANDS[kind]
    assert worq == "worq"
    command = [sys.executable, "-c", "from worq.cli import main; main()", *arguments]
    command += ["--check", "--url", f"sqlite:///{tmp_path}/jobs.db"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("tasks:\n  welcome\n")
