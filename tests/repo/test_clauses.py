"""The collector of clauses finds what it must, and nothing else."""

from pathlib import Path

import pytest

from tests.repo.clauses import (
    ROOT,
    Citation,
    Clause,
    citations,
    committed,
    definitions,
    marks,
)

# Nowhere in brackets here, or the tests of SPEC.md would take them for citations.
FIRST, SECOND, WITHDRAWN, ENVIRONMENT = "AA-1", "BB-22", "AA-2", "ENV-CC-3"


def test_definitions_are_bold_and_kept_in_order() -> None:
    specification = (
        f"Text that cites [{SECOND}].\n"
        f"- **[{FIRST}]** It MUST hold.\n"
        f"- **[{WITHDRAWN}]** Withdrawn in 0.3.\n\n"
        f"**[{ENVIRONMENT}]** It MAY rain, see [{FIRST}]."
    )
    assert definitions(specification) == [
        Clause(FIRST, "It MUST hold."),
        Clause(WITHDRAWN, "Withdrawn in 0.3."),
        Clause(ENVIRONMENT, f"It MAY rain, see [{FIRST}]."),
    ]


def test_a_clause_defined_twice_is_listed_twice() -> None:
    assert len(definitions(f"**[{FIRST}]** One.\n**[{FIRST}]** Two.")) == 2


def test_withdrawn_and_environment_are_told_apart() -> None:
    assert Clause(WITHDRAWN, "Withdrawn in 0.3.").is_withdrawn
    assert not Clause(FIRST, "It MUST NOT be withdrawn.").is_withdrawn
    assert Clause(ENVIRONMENT, "").is_of_environment
    assert not Clause(FIRST, "").is_of_environment


def test_citations_carry_their_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.repo.clauses.ROOT", tmp_path)
    path = tmp_path / "a.lua"
    path.write_text(f"-- [{FIRST}] [{SECOND}]\nKEYS[1] = a[n-1]\n-- **[{ENVIRONMENT}]**\n")
    assert list(citations(path)) == [
        Citation(FIRST, "a.lua:1"),
        Citation(SECOND, "a.lua:1"),
        Citation(ENVIRONMENT, "a.lua:3"),
    ]


def test_marks_are_found_wherever_they_stand() -> None:
    source = (
        f'pytestmark = pytest.mark.spec("{FIRST}")\n'
        f'@pytest.mark.spec("{SECOND}", "{WITHDRAWN}")\n'
        "def test() -> None:\n"
        f'    """Not a mark: mark.spec("{ENVIRONMENT}")."""\n'
    )
    assert [mark.id for mark in marks("spec", source, "a.py")] == [FIRST, SECOND, WITHDRAWN]


def test_a_mark_that_no_reader_can_look_up_is_refused() -> None:
    with pytest.raises(ValueError, match="malformed"):
        list(marks("spec", "@pytest.mark.spec(*IDS)\ndef test(): ...", "a.py"))


def test_marks_of_another_name_are_others() -> None:
    source = f'@pytest.mark.every_row("table")\n@pytest.mark.spec("{FIRST}")\ndef test(): ...\n'
    assert list(marks("every_row", source, "a.py")) == [Citation("table", "a.py:1")]


def test_committed_lists_what_git_would_take() -> None:
    assert ROOT / "pyproject.toml" in committed(".toml")
    assert not [path for path in committed() if ".venv" in path.parts]
