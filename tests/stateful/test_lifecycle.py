"""The stories that the conformance kit tells leave out nothing of the model."""

import pytest

from worq.testing.scenarios import STORIES, model_rows
from worq_model.lifecycle_table import ROWS


@pytest.mark.every_row("lifecycle_table")
def test_the_stories_reach_every_row_of_the_table() -> None:
    reached = set[object]().union(*(model_rows(story) for story in STORIES.values()))
    assert [row for row in ROWS if row not in reached] == []
