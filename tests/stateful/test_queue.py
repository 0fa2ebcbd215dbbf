"""Model and queue in lockstep: every short history, and random long ones."""

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.conftest import MakeBench, length_of_histories
from worq.clock import ManualClock
from worq.testing.bench import MakeQueue
from worq.testing.exhaustive import THEMES, Theme, model_rows, run_theme
from worq.testing.machine import MACHINES, Machine, make_machine
from worq_model.table import ROWS


@pytest.mark.every_row("table")
def test_the_histories_of_length_four_reach_every_row_of_the_table() -> None:
    reached = set[object]().union(*(model_rows(theme, 4) for theme in THEMES))
    assert [row for row in ROWS if row not in reached] == []


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_every_short_history_gives_what_the_model_gives(
    theme: Theme, make_queue: MakeQueue, clock: ManualClock
) -> None:
    queue = make_queue(theme.name, clock)
    try:
        rows = run_theme(theme, length_of_histories(), queue, clock)
    finally:
        queue.close()
    assert rows.keys() >= model_rows(theme, length_of_histories())


@pytest.mark.parametrize("machine", MACHINES)
def test_random_histories_give_what_the_model_gives(
    machine: type[Machine], make_bench: MakeBench
) -> None:
    run_state_machine_as_test(make_machine(machine, make_bench()))
