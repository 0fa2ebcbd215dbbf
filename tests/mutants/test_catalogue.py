"""The catalogue of mutants says what is so."""

from collections import Counter

import pytest
import redis

from tests.mutants.catalogue import MUTANTS
from tests.mutants.engines import ENGINES
from tests.mutants.equivalents import EQUIVALENT, SURVIVORS
from tests.mutants.host import package
from tests.mutants.mutant import PITFALLS, Mutant
from tests.mutants.sweep import FILES, changes
from tests.repo.clauses import ROOT, definitions
from worq_model import lifecycle_table, table

WORQ = package()
each_mutant = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.place}-{m.name}")


def clauses_of(*places: str) -> set[str]:
    return {c for m in MUTANTS if m.place in places for c in m.clauses.split()}


@each_mutant
def test_its_text_is_found_once_and_the_result_is_another_program(mutant: Mutant) -> None:
    planted = mutant.planted(WORQ)
    assert planted != (WORQ / mutant.file).read_text(encoding="utf-8")
    if mutant.file.endswith(".py"):
        compile(planted, mutant.file, "exec")


@pytest.mark.redis
def test_every_script_with_a_mistake_in_it_is_a_script(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        for mutant in MUTANTS:
            if mutant.file.endswith(".lua"):
                client.script_load(mutant.planted(WORQ))
        client.script_flush()


def test_it_has_a_name_of_its_own() -> None:
    names = Counter((m.place, m.name) for m in (*MUTANTS, *(m for m, _ in EQUIVALENT)))
    assert [name for name, count in names.items() if count > 1] == []


def test_it_names_engines_and_pitfalls_that_there_are() -> None:
    assert {m.engine for m in MUTANTS} <= ENGINES.keys()
    assert {m.pitfall for m in MUTANTS} - {""} == set(PITFALLS)


def test_it_names_clauses_that_there_are() -> None:
    text = (ROOT / "SPEC.md").read_text(encoding="utf-8")
    there = {clause.id for clause in definitions(text) if not clause.is_withdrawn}
    assert clauses_of("memory", "redis", "sqlite", "broker", "pool") <= there
    assert all(mutant.clauses for mutant in MUTANTS)


@pytest.mark.parametrize("place", ["memory", "redis", "sqlite"])
def test_each_clause_of_the_table_is_broken_in_each_queue(place: str) -> None:
    clauses = {clause for row in table.ROWS for clause in row.clauses}
    # What is checked in one place for all backends is broken there.
    assert clauses - clauses_of(place, "broker") == set()


def test_each_clause_of_the_life_cycle_is_broken() -> None:
    clauses = {clause for row in lifecycle_table.ROWS for clause in row.clauses}
    assert clauses - clauses_of("broker", "memory") == set()


def test_there_are_enough() -> None:
    counts = Counter(mutant.place for mutant in MUTANTS)
    assert min(counts["memory"], counts["redis"]) >= 150
    assert counts["sqlite"] >= 120
    assert counts["broker"] + counts["pool"] >= 100
    assert sum(mutant.needs != "" for mutant in MUTANTS) >= 90


def test_the_equivalent_ones_are_still_what_somebody_could_write() -> None:
    for mutant, reason in EQUIVALENT:
        assert mutant.planted(WORQ) != (WORQ / mutant.file).read_text(encoding="utf-8")
        assert reason


def test_the_small_changes_that_are_no_mistakes_can_still_be_made() -> None:
    there = {change.key for file in FILES for change in changes(file)}
    assert SURVIVORS.keys() - there == set()
    assert all(SURVIVORS.values())
