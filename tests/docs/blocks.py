"""The fenced blocks of the documents, and what a comment before one says of it.

`<!-- file: NAME -->`: it is that file, and begins with a line `# NAME`. `<!-- in the background -->`: its command
goes on until the page ends. `<!-- not run: REASON -->`. Else a block of Python is a program, and a console has
commands after `$` and what they print, with `...` for anything.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"(?:^<!-- (?P<said>[^\n]*?) -->\n+)?^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
NOT_RUN = "not run: "
FILE = "file: "
# Sphinx's, and diagrams: building the site reads them.
DIRECTIVES = re.compile(r"\{[\w-]+\}.*|mermaid")


class Block(NamedTuple):
    page: str
    line: int
    language: str
    text: str
    said: str = ""

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        return self.said.removeprefix(FILE) if self.said.startswith(FILE) else None

    @property
    def reason(self) -> str | None:
        """Why it is not run."""
        return self.said.removeprefix(NOT_RUN) if self.said.startswith(NOT_RUN) else None


def blocks_of(page: str) -> Iterator[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start("language")) + 1
        if not DIRECTIVES.fullmatch(match["language"]):
            yield Block(page, line, match["language"], match["text"], match["said"] or "")


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command of a console, and what it prints."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        while command.endswith("\\"):
            more, _, output = output.partition("\n")
            command = f"{command}\n{more}"
        yield command, output
