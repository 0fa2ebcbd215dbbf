"""Every small change to some files, made by a program: what the suite does not notice is shown, and fails.

    python -m tests.mutants.sweep queue/memory/tasks.py ...

Files are those of `worq`, or of `worq_model` when they begin with `model/`; without any, the memory queue and the
model's rules. Nobody chose these changes, so some survivors are no mistakes: `SURVIVORS` in `equivalents.py` says why.

Not mutmut or cosmic-ray: they start a run of pytest for each change, whose imports alone take longer than it takes
here to find most of them, and only tests can find one, not an engine with a seed and its steps counted.
"""

import argparse
import ast
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
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


FILES = (
    "queue/memory/tasks.py", "queue/memory/taskqueue.py", "queue/memory/deadlines.py", "queue/memory/waiting.py",
    "queue/memory/stores.py", "model/queue.py", "model/table.py", "model/lifecycle.py", "model/lifecycle_table.py",
)  # fmt: skip


Node = ast.expr | ast.stmt


class Change(NamedTuple):
    """One change: where, what there was, and what takes its place."""

    file: str
    function: str
    line: int
    old: str
    new: str
    text: str  # of the whole file, with the change in it

    @property
    def key(self) -> str:
        """What it is called in `SURVIVORS`."""
        return f"{self.file.removesuffix('.py')} {self.function}: {self.old} -> {self.new}"

    @property
    def planted(self) -> Planted:
        return Planted(_package(self.file), self.file.removeprefix("model/"), self.text)


class Source:
    """The text of a file, by the places of its nodes, which count bytes."""

    def __init__(self, text: str) -> None:
        self._bytes = text.encode()
        self._starts = [0, *accumulate(map(len, self._bytes.splitlines(keepends=True)))]
        self.tree = ast.parse(text)
        self._functions = [
            node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)
        ]

    def of(self, node: Node) -> str:
        begin, end = self._span(node)
        return self._bytes[begin:end].decode()

    def with_(self, node: Node, new: str) -> str:
        """All of it, with something else in the place of this node."""
        begin, end = self._span(node)
        return (self._bytes[:begin] + new.encode() + self._bytes[end:]).decode()

    def function(self, line: int) -> str:
        """The function that this line is in, if it is in any."""
        around = [f for f in self._functions if f.lineno <= line <= (f.end_lineno or line)]
        return max(around, key=lambda node: node.lineno).name if around else ""

    def _span(self, node: Node) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        begin = self._starts[node.lineno - 1] + node.col_offset
        return begin, self._starts[node.end_lineno - 1] + node.end_col_offset


def changes(file: str) -> Iterator[Change]:
    """All changes of a file, each different from the others."""
    path = package(_package(file)) / file.removeprefix("model/")
    source = Source(path.read_text(encoding="utf-8"))
    seen = set[str]()
    for node, new in _edits(source):
        old, text = source.of(node), source.with_(node, new)
        if text not in seen and new != old:
            seen.add(text)
            yield Change(file, source.function(node.lineno), node.lineno, old, new, text)


def _package(file: str) -> Package:
    return "worq_model" if file.startswith("model/") else "worq"


def _edits(source: Source) -> Iterator[tuple[Node, str]]:
    for node in _walk(source.tree):
        yield from _edits_of(node, source.of)


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


def _edits_of(node: ast.AST, text: Callable[[Node], str]) -> Iterator[tuple[Node, str]]:
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


def finder(change: Change, laboratory: Laboratory) -> str | None:
    """The first engine that notices."""
    for engine in ENGINES[change.planted.package]:
        try:
            # What a busy machine makes late is not found.
            if laboratory.try_out(change.planted, engine, is_patient=True).is_caught:
                return engine
        except TrialFailed:
            return "importing it"
    return None


def sweep(files: Sequence[str], jobs: int) -> int:
    """How many changes nobody finds, and nobody has said why. They are told as they are met."""
    of_thread = local()

    def found_by(change: Change) -> str | None:
        if not hasattr(of_thread, "laboratory"):
            of_thread.laboratory = Laboratory()
        engine = finder(change, of_thread.laboratory)
        if engine is None:
            print(f"{change.file}:{change.line}: {change.key!r}", flush=True)  # noqa: T201
        return engine

    survivors = 0
    for file in files:
        began = time.monotonic()
        there = list(changes(file))
        unknown = [change for change in there if change.key not in SURVIVORS]
        with ThreadPoolExecutor(jobs) as pool:
            found = Counter(pool.map(found_by, unknown))
        survivors += found[None]
        finders = ", ".join(f"{engine} {count}" for engine, count in found.most_common() if engine)
        print(  # noqa: T201
            f"{file}: {len(there)} changes, {len(there) - len(unknown)} known to be none, {found[None]} survive;"
            f" found by {finders}; {time.monotonic() - began:.0f} s",
            flush=True,
        )
    return survivors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="*", default=FILES)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    options = parser.parse_args()
    sys.exit(sweep(options.files, options.jobs) > 0)


if __name__ == "__main__":
    main()
