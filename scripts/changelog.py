"""Move what is in changes/ into CHANGELOG.md, below its first heading: `make changelog`."""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECTIONS = ("added", "changed", "fixed", "removed", "security")
NAME = re.compile(rf"[\w-]+\.({'|'.join(SECTIONS)})\.md")
ITEM = re.compile(r"- \S")


def fragments(folder: Path) -> list[Path]:
    """The files of changes, by name. ValueError for one that is none."""
    found = sorted(path for path in folder.iterdir() if path.name != "README.md")
    for path in found:
        if NAME.fullmatch(path.name) is None:
            raise ValueError(
                f"{path.name}: NAME.SECTION.md is needed, with one of {', '.join(SECTIONS)}"
            )
        lines = path.read_text(encoding="utf-8").splitlines()
        if not lines or ITEM.match(lines[0]) is None or "" in lines:
            raise ValueError(f"{path.name}: items of a list are needed: '- What is there now.'")
    return found


def collated(changelog: str, items: Mapping[str, Sequence[str]]) -> str:
    """The changelog with these items, by section, at the end of the sections of its first release."""
    begin = changelog.index("\n## ") + 1
    end = changelog.find("\n## ", begin) + 1 or len(changelog)
    head, *sections = re.split(r"^### ", changelog[begin:end], flags=re.MULTILINE)
    texts = {text.partition("\n")[0].lower(): text.rstrip("\n") for text in sections}
    for section in items:
        texts.setdefault(section, f"{section.capitalize()}")
    for section, more in items.items():
        texts[section] += "\n" + "\n".join(item.rstrip("\n") for item in more)
    order = [*SECTIONS, *(section for section in texts if section not in SECTIONS)]
    release = head + "".join(f"### {texts[each]}\n\n" for each in order if each in texts)
    rest = changelog[end:]
    return changelog[:begin] + (release if rest else release.rstrip("\n") + "\n") + rest


def main() -> None:
    found = fragments(ROOT / "changes")
    items: dict[str, list[str]] = {}
    for path in found:
        items.setdefault(path.suffixes[-2][1:], []).append(path.read_text(encoding="utf-8"))
    target = ROOT / "CHANGELOG.md"
    target.write_text(collated(target.read_text(encoding="utf-8"), items), encoding="utf-8")
    for path in found:
        path.unlink()
    sys.stdout.write(f"{len(found)} files of changes/ are in CHANGELOG.md now\n")


if __name__ == "__main__":
    main()
