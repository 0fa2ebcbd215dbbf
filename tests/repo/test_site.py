"""What docs/conf.py makes of clauses: each has a place to link to, and each citation in prose leads there."""

import re
import runpy
from typing import Any

from tests.repo.clauses import ROOT, definitions

CONF = runpy.run_path(str(ROOT / "docs" / "conf.py"))
SPECIFICATION = (ROOT / "SPEC.md").read_text(encoding="utf-8")
IDS = [clause.id for clause in definitions(SPECIFICATION)]


def linked(page: str, text: str) -> str:
    source = [text]
    CONF["link_clauses"](None, page, source)
    return source[0]


def test_each_clause_has_one_place_to_link_to() -> None:
    assert re.findall(r'<a id="([A-Z\d-]+)"', linked("SPEC", SPECIFICATION)) == IDS


def test_a_citation_is_a_link_from_wherever_the_page_is() -> None:
    first = IDS[0]
    for page, to in (("README", ""), ("docs/cli", "../"), ("docs/decisions/README", "../../")):
        assert (
            linked(page, f"so ([{first}])") == f'so (<a href="{to}SPEC.html#{first}">[{first}]</a>)'
        )


def test_code_links_and_what_is_no_clause_stay_as_they_are() -> None:
    first = IDS[0]
    for text in (
        f"`[{first}]`",
        f"```\n[{first}]\n```",
        f"[{first}](SPEC.md#time)",
        "[SQ-" + "99]",
    ):
        assert linked("README", text) == text


def test_docstrings_become_what_sphinx_reads() -> None:
    first = IDS[0]
    lines: list[Any] = ["What `f` does. " + f"[{first}]", "", "    f(`x`)  # code", "", "And `g`."]
    CONF["write_docstring"](None, "function", "f", None, None, lines)
    assert (
        "\n".join(lines).split()
        == (
            f"What ``f`` does. `[{first}] <../SPEC.html#{first}>`__ :: f(`x`)  # code And ``g``."
        ).split()
    )
