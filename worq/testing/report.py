"""What a kit found, clause by clause: for people, and as JSON."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal, NamedTuple

from worq.testing.capabilities import (
    CONTRACT,
    MANUAL_CLOCK,
    REFERENCE,
    RETRIES,
    SHARED,
    Capability,
)
from worq.testing.kit import ATOMIC, Answer, Check, Verdict
from worq.testing.vectors import packaged
from worq_model import lifecycle_table, table

_DEFINITION = re.compile(r"^- \*\*\[([A-Z-]+-\d+)\]\*\* (.*(?:\n  .*)*)", re.MULTILINE)

OF_REFERENCE: Final = ("DFR", "UND", "RSV", "ARG", "GAR")
OF_RETRIES: Final = "ENV-RETRY-1"
OF_SHARED: Final = "ENV-API-9"
OF_CLOCK: Final = ("ENV-WAIT-4", "ENV-WAIT-8")
EXAMINED: Final = (
    *(f"ENV-WAIT-{number}" for number in range(1, 9)),
    OF_RETRIES,
    OF_SHARED,
    *(f"ENV-BAD-{number}" for number in (1, 2, 3, 4, 5)),
    *(f"ENV-BULK-{number}" for number in (1, 2, 3, 4, 5)),
)
"""The clauses that a kit can examine beyond those of the model."""

Found = Literal["holds", "violated", "blocked", "not claimed", "not examined"]
Verdicts = Mapping[str, Verdict]


class Clause(NamedTuple):
    """What was found of one clause. `check`: by which, if it is violated or blocked; `text`: the history."""

    answer: Found
    check: str = ""
    text: str = ""


@cache
def sentences() -> dict[str, str]:
    """What SPEC.md says, by the id of the clause."""
    text = packaged("SPEC.md").read_text(encoding="utf-8")
    return {name: " ".join(said.split()) for name, said in _DEFINITION.findall(text)}


def described(verdict: Verdict) -> str:
    """Of a check that failed: the clause, what it says, and the history that breaks it."""
    said = ATOMICITY if verdict.clause == ATOMIC else sentences().get(verdict.clause)
    if said is None:
        return verdict.text
    return f"{verdict.clause} is broken. {said}\n{verdict.text}"


ATOMICITY: Final = "Each operation is atomic. (SPEC.md, section 5)"


class Report(NamedTuple):
    """The verdicts of a kit, or of a part of it, by the name of the check."""

    checks: Sequence[Check]
    verdicts: Verdicts
    claimed: frozenset[Capability]

    @property
    def conforms(self) -> bool:
        """Whether nothing is broken, and all was tried."""
        tried = [check for check in self.checks if check.name in self.verdicts]
        answers = {self.verdicts[check.name].answer for check in tried}
        return len(tried) == len(self.checks) and answers.isdisjoint({"violated", "blocked"})

    def violated(self) -> list[tuple[Check, Verdict]]:
        """The checks that failed, in their order."""
        tried = [(c, self.verdicts[c.name]) for c in self.checks if c.name in self.verdicts]
        return [(check, verdict) for check, verdict in tried if verdict.answer == "violated"]

    def clauses(self) -> dict[str, Clause]:
        """Each clause that a kit can examine, in the order of SPEC.md."""
        kept = {c for v in self.verdicts.values() if v.answer == "holds" for c in v.clauses}
        broken = {v.clause: Clause("violated", c.name, v.text) for c, v in reversed(self.violated())}  # fmt: skip
        first = next((check.name for check, _ in self.violated()), "")
        found: dict[str, Clause] = {}
        for clause in (ATOMIC, *examined()):
            if clause in broken:
                found[clause] = broken[clause]
            elif clause in kept:
                found[clause] = Clause("holds")
            elif not self._is_claimed(clause):
                found[clause] = Clause("not claimed")
            else:
                found[clause] = Clause("blocked", first) if first else Clause("not examined")
        return found

    def _is_claimed(self, clause: str) -> bool:
        if clause.startswith(OF_REFERENCE):
            return REFERENCE in self.claimed
        if clause == OF_RETRIES:
            return RETRIES in self.claimed
        if clause == OF_SHARED:
            return SHARED in self.claimed
        return MANUAL_CLOCK in self.claimed or clause not in OF_CLOCK

    def capabilities(self) -> dict[Capability, Answer]:
        """Whether each is there. `works`: it is, and is not claimed."""
        answers = {verdict.answer for verdict in self.verdicts.values()}
        worst: Answer = "violated" if "violated" in answers else "blocked"
        found: dict[Capability, Answer] = {
            CONTRACT: "holds" if answers.isdisjoint({"violated", "blocked"}) else worst
        }
        for check in self.checks:
            if check.probe and check.name in self.verdicts:
                (capability,) = check.needs - {CONTRACT}
                found[capability] = self.verdicts[check.name].answer
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "conforms": self.conforms,
            "capabilities": {str(name): answer for name, answer in self.capabilities().items()},
            "clauses": {
                name: {key: value for key, value in clause._asdict().items() if value}
                for name, clause in self.clauses().items()
            },
            "checks": [
                {
                    "stage": check.stage,
                    "name": check.name,
                    **self.verdicts[check.name]._asdict(),
                }
                for check in self.checks
                if check.name in self.verdicts
            ],
        }

    def lines(self) -> Iterator[str]:
        """A summary for people: what is broken first, then numbers."""
        for check, verdict in self.violated():
            yield f"{verdict.clause or 'broken'}: {check.stage}: {check.name}"
        found = self.clauses()
        for answer in ("holds", "violated", "blocked", "not claimed", "not examined"):
            those = [name for name, clause in found.items() if clause.answer == answer]
            if those:
                yield f"{answer}: {len(those)} clauses{_some(those) if answer != 'holds' else ''}"
        by_answer: dict[Answer, list[str]] = {}
        for capability, answer_ in self.capabilities().items():
            by_answer.setdefault(answer_, []).append(str(capability))
        for answer_, names in by_answer.items():
            yield f"{_OF_CAPABILITIES[answer_]}: {', '.join(names)}"


_OF_CAPABILITIES: Final[Mapping[Answer, str]] = {
    "holds": "claimed, and there",
    "violated": "claimed, and broken",
    "blocked": "claimed, and not tried",
    "not claimed": "not claimed",
    "works": "not claimed, but it works",
}
SHOWN: Final = 12


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f" ({', '.join(names[:SHOWN])}{more})"


@cache
def examined() -> tuple[str, ...]:
    """The clauses that a kit can find broken, in the order of SPEC.md."""
    of_queue = {clause for row in table.ROWS for clause in row.clauses}
    of_life = {clause for row in lifecycle_table.ROWS for clause in row.clauses}
    there = of_queue | of_life | set(EXAMINED)
    return tuple(clause for clause in sentences() if clause in there)
