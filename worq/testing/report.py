"""What a kit found, clause by clause: for people, and as JSON."""

from collections.abc import Iterable, Mapping
from functools import cache
import re
from typing import Any, Literal, NamedTuple

from worq.testing.kit import ATOMIC, STAGES, Check, Verdict
from worq.testing.vectors import packaged

_DEFINITION = re.compile(r"^- \*\*\[([A-Z-]+-\d+)\]\*\* (.*(?:\n  .*)*)", re.MULTILINE)
_MARKDOWN = re.compile(r"\*\*|`|\[(?=[A-Z]+-\d)|(?<=\d)\]")


@cache
def clauses() -> dict[str, str]:
    """What SPEC.md says, by the id of the clause."""
    text = packaged("SPEC.md").read_text(encoding="utf-8")
    return {name: " ".join(said.split()) for name, said in _DEFINITION.findall(text)}


def described(verdict: Verdict) -> str:
    """Of a check that failed: the clause, what it says, and the history that breaks it."""
    if not verdict.clause:
        return verdict.text
    said = clauses().get(verdict.clause, "")
    return "\n".join(filter(None, (f"{verdict.clause} is broken. {said}", verdict.text)))
