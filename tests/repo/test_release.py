"""`scripts/release.py` finds what is wrong with a release."""

import importlib.util
import io
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.repo.clauses import ROOT

_spec = importlib.util.spec_from_file_location("release", ROOT / "scripts/release.py")
assert _spec is not None
assert _spec.loader is not None
release = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(release)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSION = PROJECT["version"]
CHANGELOG = f"# Changelog\n\n## {VERSION} – 2027-01-31\n\n### Added\n"
INFO = f"worq_spec-{VERSION}.dist-info"
METADATA = f"""\
License-Expression: MIT
Requires-Python: {PROJECT["requires-python"]}
Summary: {PROJECT["description"]}
Requires-Dist: redis>=5; extra == 'redis'

# worq
"""
WHEEL = {
    "worq/py.typed": "",
    "worq_model/py.typed": "",
    f"{INFO}/licenses/LICENSE": "MIT",
    f"{INFO}/METADATA": METADATA,
}
SDIST = ("LICENSE", "README.md", "CHANGELOG.md", "SPEC.md", "Makefile", "tests/conftest.py")


def build(dist: Path, wheel: dict[str, str], sdist: tuple[str, ...]) -> None:
    with zipfile.ZipFile(dist / f"worq_spec-{VERSION}-py3-none-any.whl", "w") as archive:
        for name, text in wheel.items():
            archive.writestr(name, text)
    with tarfile.open(dist / f"worq_spec-{VERSION}.tar.gz", "w:gz") as tar:
        for name in sdist:
            tar.addfile(tarfile.TarInfo(f"worq_spec-{VERSION}/{name}"), io.BytesIO())


def test_a_release_that_is_ready(tmp_path: Path) -> None:
    build(tmp_path, WHEEL, SDIST)
    assert list(release.problems(tmp_path, PROJECT, CHANGELOG)) == []


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no licence": (lambda it: it["wheel"].pop(f"{INFO}/licenses/LICENSE"), "there is no .*LICENSE"),
    "no types": (lambda it: it["wheel"].pop("worq/py.typed"), "there is no worq/py.typed"),
    "other Python": (
        lambda it: it["wheel"].update({f"{INFO}/METADATA": METADATA.replace(">=3.11", ">=3.9")}),
        "Requires-Python is '>=3.9', not '>=3.11'",
    ),
    "it needs something": (
        lambda it: it["wheel"].update({f"{INFO}/METADATA": f"Requires-Dist: attrs\n{METADATA}"}),
        r"it needs \['attrs'\] without any extra",
    ),
    "no description": (
        lambda it: it["wheel"].update({f"{INFO}/METADATA": METADATA.replace("# worq\n", "")}),
        "it has no description",
    ),
    "no tests": (lambda it: it.update(sdist=SDIST[:-1]), "there is no tests/conftest.py"),
    "not dated": (
        lambda it: it.update(changelog=CHANGELOG.replace("2027-01-31", "unreleased")),
        "needs the day of its release, not 'unreleased'",
    ),
    "not said": (lambda it: it.update(changelog="# Changelog\n"), "it has nothing of"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_release_that_is_not(what: str, tmp_path: Path) -> None:
    change, reason = WRONG[what]
    it: dict[str, Any] = {"wheel": dict(WHEEL), "sdist": SDIST, "changelog": CHANGELOG}
    change(it)
    build(tmp_path, it["wheel"], it["sdist"])
    (found,) = release.problems(tmp_path, PROJECT, it["changelog"])
    with pytest.raises(ValueError, match=reason):
        raise ValueError(found)


def test_other_files_are_told(tmp_path: Path) -> None:
    build(tmp_path, WHEEL, SDIST)
    (tmp_path / "worq_spec-0.0.1.tar.gz").touch()
    (found,) = release.problems(tmp_path, PROJECT, CHANGELOG)
    assert "and nothing else, not ['worq_spec-0.0.1.tar.gz'" in found


# make test-all


def test_all_tests_the_pythons_that_worq_is_for() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (line,) = (line for line in makefile.splitlines() if line.startswith("PYTHONS := "))
    prefix = "Programming Language :: Python :: 3."
    minors = [
        each.removeprefix(prefix) for each in PROJECT["classifiers"] if each.startswith(prefix)
    ]
    assert line.split()[2:] == [f"3.{minor}" for minor in minors]


def test_it_finds_this_python_and_says_if_there_is_none() -> None:
    this = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version, code in ((this, 0), ("2.99", 1)):
        command = [sys.executable, str(ROOT / "scripts/pythons.py"), version]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert (done.stdout != "") == (code == 0)
