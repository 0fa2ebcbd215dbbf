"""The site: `make docs`. Its pages are the Markdown files of the repository, where they are."""

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CLAUSE = re.compile(r"\*\*\[((?:ENV-)?[A-Z]+-\d+)\]\*\*")
CITATION = re.compile(r"(?<![\w`\]*>])\[((?:ENV-)?[A-Z]+-\d+)\](?![\w\](*])")
CODE = re.compile(r"(^```.*?^```|^ {4}.*?$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
# In no list of pages: records of decisions have one of their own, docs/decisions/README.md.
ORPHAN = "---\norphan: true\n---\n"

project = "worq"
author = "worq contributors"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinxcontrib.mermaid"]
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/decisions/*.md",
    "model/README.md",
    "model/vectors/README.md",
    "tests/README.md",
    "examples/README.md",
    "benchmarks/*.md",
    "benchmarks/adapters/README.md",
]

html_theme = "furo"
html_title = f"worq {release}"
html_copy_source = False
html_additional_pages = {"index": "redirect.html"}
templates_path = ["_templates"]

myst_heading_anchors = 4  # as GitHub makes them
myst_fence_as_directive = ["mermaid"]
myst_enable_extensions = ["alert"]

autoclass_content = "both"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"


def link_clauses(app: Any, page: str, source: list[str]) -> None:
    """A place to link to for each clause of SPEC.md, and a link from each citation in brackets."""
    clauses = set(CLAUSE.findall((ROOT / "SPEC.md").read_text(encoding="utf-8")))
    to = "../" * page.count("/") + "SPEC.html"

    def linked(text: str) -> str:
        if page == "SPEC":
            text = CLAUSE.sub(r'**<a id="\1" href="#\1">[\1]</a>**', text)
        return CITATION.sub(lambda m: link(m[1]) if m[1] in clauses else m[0], text)

    def link(clause: str) -> str:
        return f'<a href="{to}#{clause}">[{clause}]</a>'

    parts = CODE.split(source[0])
    parts[::2] = map(linked, parts[::2])
    source[0] = (ORPHAN if page.startswith("docs/decisions/0") else "") + "".join(parts)


def write_docstring(
    app: Any, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Docstrings are written as they are read in an editor; the site wants reStructuredText."""
    parts = re.split(
        r"((?:^ {4}.*\n|(?<=\n)\n(?= {4}))+)", "\n".join(lines) + "\n", flags=re.MULTILINE
    )
    prose = [re.sub(r"`([^`\n]+)`", r"``\1``", part) for part in parts[::2]]
    parts[::2] = [CITATION.sub(r"`[\1] <../SPEC.html#\1>`__", part) for part in prose]
    parts[1::2] = [f"\n::\n\n{part.lstrip(chr(10))}" for part in parts[1::2]]
    lines[:] = "".join(parts).split("\n")


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", write_docstring)
    app.connect("source-read", link_clauses)
