"""The pages of docs/ do what they say: their files are written, their programs and commands run, in this order.

What the README and docs/backends.md have is run by tests of their own.
"""

import doctest
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen

import pytest

from tests.docs.blocks import ROOT, Block, blocks_of, commands

REDIS = "redis://localhost:6379/0"
# Page → the languages whose blocks a test of its own runs.
ELSEWHERE = {
    "README.md": {"python"},  # test_readme.py
    "docs/backends.md": {"python", "text"},  # test_backends.py
    "SPEC.md": {"python"},  # tests/repo/test_tables.py: they are written by a program
    "model/README.md": {"python"},  # tests/repo/test_model_readme.py
}
ROOT_PAGES = ("README.md", "SPEC.md", "model/README.md", "examples/README.md", "tests/README.md")
PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in sorted((*ROOT.glob("docs/*.md"), *(ROOT / page for page in ROOT_PAGES)))
    if path.exists()
]
TO_RUN = [page for page in PAGES if page not in ELSEWHERE and any(blocks_of(page))]
BACKGROUND = "in the background"
# What differs from run to run, by what stands in its place.
VARIABLE = {
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}": "(time)",
    r"(?<=worker)\[\d+\]": "[pid]",
    r"[ \t]+$": "",
}


@contextmanager
def background(folder: Path) -> Iterator[list[tuple[Block, Popen[str]]]]:
    """What goes on until the page ends; then it is interrupted, and has printed what it says."""
    started: list[tuple[Block, Popen[str]]] = []
    try:
        yield started
    finally:
        for _, process in started:
            process.send_signal(signal.SIGINT)
        ended = [(block, process, process.communicate(timeout=60)[0]) for block, process in started]
    for block, process, output in ended:
        ((_, says),) = commands(block.text)
        assert process.returncode in (0, 130), (block.where, output)
        assert_prints(block, says, "".join(output.splitlines(keepends=True)[: says.count("\n")]))


def assert_prints(block: Block, says: str, output: str) -> None:
    for pattern, instead in VARIABLE.items():
        says, output = (
            re.sub(pattern, instead, text, flags=re.MULTILINE) for text in (says, output)
        )
    if says and not doctest.OutputChecker().check_output(
        says, output, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    ):
        assert output == says, block.where


def environment(folder: Path) -> dict[str, str]:
    """This Python's commands before others; nothing of pytest's."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "WORQ"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "PYTHONPATH": str(folder)}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.redis] * (REDIS in (ROOT / page).read_text()))
        for page in TO_RUN
    ],
)
def test_it_does_what_it_says(page: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = request.getfixturevalue("redis_url") if request.node.get_closest_marker("redis") else ""
    env = environment(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    with background(tmp_path) as started:
        for block in blocks_of(page):
            text = block.text.replace(REDIS, url)
            if block.reason is not None:
                continue
            if block.file is not None:
                (tmp_path / block.file).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / block.file).write_text(text, encoding="utf-8")
            elif block.language == "python":
                run(block, [sys.executable, "-c", text], "", tmp_path, env)
            elif block.said == BACKGROUND:
                ((command, _),) = commands(text)
                command = f"exec {command}"
                process = Popen(
                    ["bash", "-c", command],
                    cwd=tmp_path,
                    env=env,
                    stdout=PIPE,
                    stderr=STDOUT,
                    text=True,
                )
                started.append((block, process))
            elif block.language == "console":
                for command, says in commands(text):
                    run(block, ["bash", "-c", command], says, tmp_path, env)
            else:
                pytest.fail(f"{block.where}: what to do with {block.language!r}? See blocks.py")


def run(block: Block, command: list[str], says: str, folder: Path, env: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        stdout=PIPE,
        stderr=STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (block.where, command, done.stdout)
    assert_prints(block, says, done.stdout)


def test_each_block_is_run_or_says_why_not() -> None:
    found = [
        block.where
        for page, languages in ELSEWHERE.items()
        if (ROOT / page).exists()
        for block in blocks_of(page)
        if block.language not in languages and block.reason is None
    ]
    assert found == []


def test_what_is_not_run_is_listed() -> None:
    """In tests/README.md: who adds to the list sees how long it is."""
    reasons = {(page, block.reason) for page in PAGES for block in blocks_of(page) if block.reason}
    text = (ROOT / "tests/README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\S+\.md) \| (.*) \|$", text, re.MULTILINE)
    assert sorted(listed) == sorted(reasons)
