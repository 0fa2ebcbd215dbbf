"""The command line as a program."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from worq.cli.app import worq as command


def test_it_runs_as_a_program(folder: Path, url: str) -> None:
    program = [sys.executable, "-c", "from worq.cli import main; main()", "demo"]
    arguments = ["--url", url, "--json", str(folder)]
    done = subprocess.run([*program, *arguments], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["top"][0] == ["spam", 4]
    assert done.stderr == ""


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_its_extra_it_says_what_to_install(package: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; import worq.cli; worq.cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"worq: the command line needs the package {package}: install worq-spec[cli]\n"
    )


def test_it_says_its_version() -> None:
    result = CliRunner().invoke(command, ["--version"])
    assert result.stdout == f"worq {version('worq-spec')}\n"


@pytest.mark.parametrize(
    ("arguments", "heading"), [(["--help"], "Exit codes:\n"), (["demo", "--help"], "Examples:\n")]
)
def test_help_has_exit_codes_and_examples(arguments: list[str], heading: str) -> None:
    assert heading in CliRunner().invoke(command, arguments).stdout
