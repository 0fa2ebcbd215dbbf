"""Writes the tables of Markdown files from the model: python scripts/tables.py SPEC.md ..."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from worq_model.render import render

TABLE = re.compile(r"(<!-- begin: (\w+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)
MARKER = re.compile(r"<!-- (?:begin|end): ")


def rewritten(markdown: str, render: Callable[[str], str]) -> str:
    """Put what `render` makes of its name between each begin and its end.

    A marker without its partner is a ValueError.
    """
    text, count = TABLE.subn(lambda match: match[1] + render(match[2]) + "\n" + match[3], markdown)
    if len(MARKER.findall(markdown)) != 2 * count:
        raise ValueError("a begin without its end, or an end without its begin")
    return text


def main(paths: list[str]) -> None:
    for path in map(Path, paths):
        markdown = path.read_text(encoding="utf-8")
        path.write_text(rewritten(markdown, render), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
