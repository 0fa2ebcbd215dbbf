"""Is what is in dist/ ready to be given to others? `make release-check` asks, after it has tested both files.

    python scripts/release.py dist

Prints what is wrong, a line each, and exits with their number.
"""

import email.parser
import re
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RELEASED = re.compile(r"^## (\S+) – (.*)$", re.MULTILINE)
DATE = re.compile(r"\d{4}-\d\d-\d\d")


def problems(dist: Path, project: dict[str, Any], changelog: str) -> Iterator[str]:
    """`project`: that of pyproject.toml."""
    version = project["version"]
    name = project["name"].replace("-", "_")
    wheel, sdist = dist / f"{name}-{version}-py3-none-any.whl", dist / f"{name}-{version}.tar.gz"
    there = sorted(path.name for path in dist.glob("*"))
    if there != sorted([wheel.name, sdist.name]):
        yield f"dist: {wheel.name} and {sdist.name} are needed, and nothing else, not {there}"
        return
    yield from _of_wheel(wheel, project)
    yield from _of_sdist(sdist)
    yield from _of_changelog(version, changelog)


def _of_wheel(path: Path, project: dict[str, Any]) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        (info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
        metadata = _metadata(archive.read(f"{info}/METADATA"))
    for needed in ("worq/py.typed", "worq_model/py.typed", f"{info}/licenses/LICENSE"):
        if needed not in names:
            yield f"{path.name}: there is no {needed}"
    said = {
        "License-Expression": project["license"],
        "Requires-Python": project["requires-python"],
        "Summary": project["description"],
    }
    for field, value in said.items():
        if metadata[field] != value:
            yield f"{path.name}: {field} is {metadata[field]!r}, not {value!r}"
    if required := [
        each for each in metadata.get_all("Requires-Dist", []) if "extra ==" not in each
    ]:
        yield f"{path.name}: it needs {required} without any extra"
    if not str(metadata.get_payload()).strip():
        yield f"{path.name}: it has no description"


def _of_sdist(path: Path) -> Iterator[str]:
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in (
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "SPEC.md",
        "Makefile",
        "tests/conftest.py",
    ):
        if needed not in names:
            yield f"{path.name}: there is no {needed}"


def _of_changelog(version: str, changelog: str) -> Iterator[str]:
    released = dict(RELEASED.findall(changelog))
    if version not in released:
        yield f"CHANGELOG.md: it has nothing of {version}"
    elif not DATE.fullmatch(released[version]):
        yield f"CHANGELOG.md: {version} needs the day of its release, not {released[version]!r}"


def _metadata(text: bytes) -> Message:
    return email.parser.BytesParser().parsebytes(text)


def main(dist: str) -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = list(problems(Path(dist), project, changelog))
    said = "\n".join(found) or f"{project['name']} {project['version']} is ready"
    sys.stdout.write(f"{said}\n")
    return len(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
