"""Every small change to some files, made by a program: what the suite does not notice is shown.

    python -m tests.mutants.sweep queue/memory/tasks.py ...

Files are those of `worq`, or of `worq_model` when they begin with `model/`. Nobody chose these changes, so many
survivors are no mistakes: `SURVIVORS` in `equivalents.py` says why, and `make sweep` shows the others.
"""

import argparse
import ast
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import local
from typing import NamedTuple

from tests.mutants.equivalents import SURVIVORS
from tests.mutants.host import package
from tests.mutants.mutant import Package, Planted
from tests.mutants.trials import Laboratory, TrialFailed

COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=", ast.NotEq: "==", ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
SUMS: dict[type[ast.operator], str] = {ast.Add: "-", ast.Sub: "+", ast.Mult: "+", ast.FloorDiv: "*"}

# The quickest first; the first that finds something ends the search.
ENGINES = {
    "worq": ("stories", "exhaustive", "examples", "walk", "vectors", "waiting", "unit", "interleavings"),
    "worq_model": ("stories", "exhaustive", "walk", "walk of life", "vectors", "model"),
}  # fmt: skip


class Change(NamedTuple):
    """One change: where, what there was, and what takes its place."""

    file: str
    line: int
    old: str
    new: str
    text: str  # of the whole file, with the change in it

    @property
    def key(self) -> str:
        """What it is called in `SURVIVORS`."""
        return f"{self.file.removesuffix('.py')}: {self.old} -> {self.new}"

    @property
    def planted(self) -> Planted:
        return Planted(_package(self.file), self.file.removeprefix("model/"), self.text)


def changes(file: str) -> Iterator[Change]:
    """All changes of a file, each different from the others."""
    source = (package(_package(file)) / file.removeprefix("model/")).read_text(encoding="utf-8")
    seen = set[str]()
    for node, new in _edits(ast.parse(source), source):
        begin, end = _span(source, node)
        text = source[:begin] + new + source[end:]
        if text not in seen and text != source:
            seen.add(text)
            yield Change(file, node.lineno, source[begin:end], new, text)


def _package(file: str) -> Package:
    return "worq_model" if file.startswith("model/") else "worq"


Edit = tuple[ast.expr | ast.stmt, str]


def _edits(tree: ast.Module, source: str) -> Iterator[Edit]:
    for node in _walk(tree):
        yield from _edits_of(node, partial(_segment, source))


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes that do something: no annotations, no docstrings, no reprs."""
    if isinstance(node, ast.FunctionDef) and node.name in ("__repr__", "__str__"):
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "bases", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk(child)


def _edits_of(node: ast.AST, text: "partial[str]") -> Iterator[Edit]:
    match node:
        case ast.Compare(left, [op], [right]) if type(op) in COMPARISONS:
            yield node, f"{text(left)} {COMPARISONS[type(op)]} {text(right)}"
        case ast.BoolOp(op, values):
            other = " or " if isinstance(op, ast.And) else " and "
            yield node, other.join(f"({text(value)})" for value in values)
            for value in values:
                yield node, text(value)
        case ast.UnaryOp(ast.Not(), operand):
            yield node, text(operand)
        case ast.BinOp(left, op, right) if type(op) in SUMS:
            yield node, f"{text(left)} {SUMS[type(op)]} {text(right)}"
        case ast.Constant(bool() as value):
            yield node, str(not value)
        case ast.Constant(int() as value):
            yield node, str(value + 1)
        case ast.IfExp(test, body, orelse):
            yield node, text(body)
            yield node, text(orelse)
        case ast.If(test) | ast.While(test):
            yield test, f"not ({text(test)})"
        case ast.Return(ast.expr() as value) if text(value) != "None":
            yield node, "return None"
        case ast.Expr(ast.Call() | ast.Yield()) | ast.Assign() | ast.AugAssign() | ast.Delete():
            yield node, "pass"
        case ast.Break():
            yield node, "continue"
        case ast.Continue():
            yield node, "break"
        case _:
            pass


def _segment(source: str, node: ast.expr | ast.stmt) -> str:
    begin, end = _span(source, node)
    return source[begin:end]


def _span(source: str, node: ast.expr | ast.stmt) -> tuple[int, int]:
    end_line = node.end_lineno or node.lineno
    end_column = node.end_col_offset or 0
    begin = _offset(source, node.lineno, node.col_offset)
    return begin, _offset(source, end_line, end_column)


def _offset(source: str, line: int, column: int) -> int:
    """`column` counts bytes."""
    lines = source.splitlines(keepends=True)
    return sum(map(len, lines[: line - 1])) + len(lines[line - 1].encode()[:column].decode())


def is_found(change: Change, laboratory: Laboratory) -> bool:
    """Does one of the engines notice?"""
    try:
        return any(
            laboratory.try_out(change.planted, engine).is_caught
            for engine in ENGINES[change.planted.package]
        )
    except TrialFailed:  # not even imported
        return True


def sweep(files: Sequence[str], jobs: int) -> list[Change]:
    """The changes that nobody found."""
    of_thread = local()

    def attempt(change: Change) -> bool:
        if not hasattr(of_thread, "laboratory"):
            of_thread.laboratory = Laboratory()
        return is_found(change, of_thread.laboratory)

    survivors: list[Change] = []
    for file in files:
        there = list(changes(file))
        with ThreadPoolExecutor(jobs) as pool:
            found = list(pool.map(attempt, there))
        survivors += [change for change, ok in zip(there, found, strict=True) if not ok]
        print(f"{file}: {len(there)} changes, {found.count(False)} survive", flush=True)  # noqa: T201
    return survivors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    options = parser.parse_args()
    for change in sweep(options.files, options.jobs):
        reason = SURVIVORS.get(change.key)
        where = f"{change.file}:{change.line}"
        print(f"{where}: {change.old!r} -> {change.new!r}  # {reason or 'WHY?'}")  # noqa: T201


if __name__ == "__main__":
    main()
