"""Collects what the files of the repository say about clauses: definitions, citations, marks."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

ID = r"[A-Z]+(?:-[A-Z]+)?-\d+"
DEFINITION = re.compile(rf"\*\*\[({ID})\]\*\*\s*(.*)")
CITATION = re.compile(rf"\[({ID})\]")


class Clause(NamedTuple):
    """One numbered rule of SPEC.md; `text` is its first line."""

    id: str
    text: str

    @property
    def is_withdrawn(self) -> bool:
        """Whether only its number is left, so that nobody uses it again."""
        return self.text.startswith("Withdrawn in ")

    @property
    def is_of_environment(self) -> bool:
        """Whether it is about what a pure function can't decide: then it has a test but no row."""
        return self.id.startswith("ENV-")


class Citation(NamedTuple):
    """The place, as `path:line`, that names something: a clause, or a table of the model."""

    id: str
    place: str


def committed(*suffixes: str) -> list[Path]:
    """List the files that are committed or could be, with one of these endings; all without."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    paths = (ROOT / name for name in listing.decode().split("\0") if name)
    return sorted(path for path in paths if path.is_file() and path.name.endswith(suffixes or ""))


def definitions(specification: str) -> list[Clause]:
    """List the clauses in their order, those defined twice twice."""
    return [Clause(*match.groups()) for match in DEFINITION.finditer(specification)]


def citations(path: Path) -> Iterator[Citation]:
    """Find the clauses that a file names in brackets."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        for match in CITATION.finditer(line):
            yield Citation(match[1], f"{path.relative_to(ROOT)}:{number}")


def marks(name: str, source: str, place: str) -> Iterator[Citation]:
    """Find what a module of tests says in marks `pytest.mark.NAME(...)`, which hold literals."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(f"mark.{name}"):
            for argument in node.args:
                yield Citation(ast.literal_eval(argument), f"{place}:{node.lineno}")
