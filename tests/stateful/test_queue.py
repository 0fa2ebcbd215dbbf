"""The exhaustive histories that the conformance kit runs leave out nothing of the model."""

import pytest

from worq.testing.exhaustive import THEMES, model_rows
from worq_model.table import ROWS


@pytest.mark.every_row("table")
def test_the_histories_of_length_four_reach_every_row_of_the_table() -> None:
    reached = set[object]().union(*(model_rows(theme, 4) for theme in THEMES))
    assert [row for row in ROWS if row not in reached] == []
