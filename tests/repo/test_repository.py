"""The files of the repository hold together, and name nobody's machine."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.repo.clauses import ROOT, committed

MACHINE = re.compile(
    r"(?<![\w.~])/(?:work|home|root|Users)/|\b(?:pypi|pythonhosted|npmjs)\.(?:org|com)\b"
)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in committed()
        for match in MACHINE.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_the_changelog_has_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {link}" for path in committed(".md") for link in broken(path)
    ]
    assert found == []


def broken(path: Path) -> Iterator[str]:
    text = CODE.sub("", path.read_text(encoding="utf-8"))
    for name, anchor in LINK.findall(text):
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield f"{name}#{anchor}"


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to headings."""
    headings: list[str] = HEADING.findall(path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
