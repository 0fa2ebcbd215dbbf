"""Each of the examples runs on every backend, and prints what it says."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("*.py"))
# Their tasks fail, so the workers log that.
FAIL = {"errors.py", "failing_arguments.py"}


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis), "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "redis":
        url: str = request.getfixturevalue("redis_url")
        return url
    return {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/jobs.db"}[request.param]


def prints(path: Path) -> str:
    """What it says that it prints."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False) or ""
    return dedent(text.partition("\nPrints:\n")[2])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_prints_what_it_says(path: Path, url: str) -> None:
    says = prints(path)
    assert says
    done = subprocess.run(
        [sys.executable, "-W", "error", path, url],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.returncode) == (says, 0), done.stderr
    assert bool(done.stderr) == (path.name in FAIL)


def test_the_list_has_them_all() -> None:
    listed = re.findall(r"\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == [path.name for path in FILES]
