"""SPEC.md, the model's table, the tests and the citations fit one another."""

from collections import Counter

from tests.repo.clauses import ROOT, Citation, Clause, citations, committed, definitions, marks
from worq_model import lifecycle_table, table

SPECIFICATION = (ROOT / "SPEC.md").read_text(encoding="utf-8")
CLAUSES = definitions(SPECIFICATION)
LIVE = [clause for clause in CLAUSES if not clause.is_withdrawn]
# Path → source.
TESTS = {
    str(path): (ROOT / path).read_text(encoding="utf-8")
    for path in (file.relative_to(ROOT) for file in committed(".py"))
    if path.parts[0] == "tests"
}
MARKS = [mark for path, source in TESTS.items() for mark in marks("spec", source, path)]
# Table → the clauses that its rows name.
ROWS = {
    "table": {clause for row in table.ROWS for clause in row.clauses},
    "lifecycle_table": {clause for row in lifecycle_table.ROWS for clause in row.clauses},
}
IN_ROWS = set().union(*ROWS.values())


def unknown(found: list[Citation], known: list[Clause]) -> list[str]:
    ids = {clause.id for clause in known}
    return [f"{place}: {id_}" for id_, place in found if id_ not in ids]


def test_each_clause_is_defined_once() -> None:
    assert CLAUSES
    assert [
        id_ for id_, times in Counter(clause.id for clause in CLAUSES).items() if times > 1
    ] == []


def test_code_cites_live_clauses() -> None:
    found = [citation for path in committed(".py", ".lua") for citation in citations(path)]
    assert unknown(found, LIVE) == []


def test_prose_cites_defined_clauses() -> None:
    found = [citation for path in committed(".md") for citation in citations(path)]
    assert unknown(found, CLAUSES) == []


def test_tests_are_marked_with_live_clauses() -> None:
    assert unknown(MARKS, LIVE) == []


def test_rows_name_live_clauses_of_the_model() -> None:
    assert IN_ROWS - {clause.id for clause in LIVE if not clause.is_of_environment} == set()


def test_each_clause_of_the_model_is_in_a_row() -> None:
    assert [c.id for c in LIVE if not c.is_of_environment and c.id not in IN_ROWS] == []


def test_each_clause_has_a_test() -> None:
    reached = [mark for path, source in TESTS.items() for mark in marks("every_row", source, path)]
    tested = {mark.id for mark in MARKS}.union(*(ROWS[name] for name, _ in reached))
    assert [clause.id for clause in LIVE if clause.id not in tested] == []
