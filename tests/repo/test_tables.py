"""Tables in Markdown files are written from the model, and are those of the model that is here."""

import pytest

from scripts.tables import rewritten
from tests.repo.clauses import ROOT, committed
from worq_model.render import render


def test_tables_are_those_of_the_model() -> None:
    texts = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in committed(".md")
    }
    stale = [path for path, text in texts.items() if rewritten(text, render) != text]
    assert stale == [], "write them again: make tables"


def test_the_specification_has_tables() -> None:
    specification = (ROOT / "SPEC.md").read_text(encoding="utf-8")
    assert rewritten(specification, lambda name: f"the table {name}") != specification


def test_what_stands_between_markers_is_replaced_and_nothing_else() -> None:
    markdown = (
        "before\n<!-- begin: x -->\nold\n\nold\n<!-- end: x -->\n"
        "between\n<!-- begin: y -->\n<!-- end: y -->\nafter\n"
    )
    assert rewritten(markdown, lambda name: f"|{name}|") == (
        "before\n<!-- begin: x -->\n|x|\n<!-- end: x -->\n"
        "between\n<!-- begin: y -->\n|y|\n<!-- end: y -->\nafter\n"
    )


@pytest.mark.parametrize(
    "markdown",
    [
        "<!-- begin: x -->\n",
        "<!-- end: x -->\n",
        "<!-- begin: x -->\n<!-- end: y -->\n",
        "<!-- begin: x --> <!-- end: x -->\n",
    ],
)
def test_a_marker_without_its_partner_is_refused(markdown: str) -> None:
    with pytest.raises(ValueError, match="without its"):
        rewritten(markdown, str)
