"""Changes that users can see: files in changes/, until they are moved into CHANGELOG.md."""

import importlib.util
from pathlib import Path

import pytest

from tests.repo.clauses import ROOT

_spec = importlib.util.spec_from_file_location("changelog", ROOT / "scripts/changelog.py")
assert _spec is not None
assert _spec.loader is not None
changelog = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(changelog)

BEFORE = """\
# Changelog

## 0.2.0 – unreleased

### Added
- One.

### Security
- Two.

## 0.1.0 – 2026-12-01

### Added
- Three.
"""


def test_those_that_there_are_can_be_moved() -> None:
    changelog.fragments(ROOT / "changes")
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changelog.collated(text, {}) == text


def test_items_go_to_the_end_of_their_sections_in_their_order() -> None:
    items = {"fixed": ["- Four.\n"], "added": ["- Five.\n", "- Six,\n  of two lines.\n"]}
    assert changelog.collated(BEFORE, items) == BEFORE.replace(
        "- One.\n", "- One.\n- Five.\n- Six,\n  of two lines.\n\n### Fixed\n- Four.\n"
    )


def test_the_only_release_ends_as_the_file_did() -> None:
    before = BEFORE[: BEFORE.index("\n## 0.1.0")]
    assert changelog.collated(before, {"security": ["- Seven."]}) == f"{before}- Seven.\n"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("x.md", "- It.\n", "NAME.SECTION.md is needed"),
        ("x.news.md", "- It.\n", "with one of added, changed"),
        ("x.added.md", "It.\n", "items of a list are needed"),
        ("x.added.md", "- It.\n\n- That.\n", "items of a list are needed"),
        ("x.added.md", "", "items of a list are needed"),
    ],
)
def test_what_is_no_change_is_refused(name: str, text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    (tmp_path / "good-one.fixed.md").write_text("- It.\n")
    assert [path.name for path in changelog.fragments(tmp_path)] == ["good-one.fixed.md"]
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=f"^{name}: .*{reason}"):
        changelog.fragments(tmp_path)
