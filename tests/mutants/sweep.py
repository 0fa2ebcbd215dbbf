"""Every small change to some files, made by a program: what the suite does not notice is shown, and fails.

    python -m tests.mutants.sweep --budget 300 queue/memory/tasks.py ...

Files are those of `worq`, or of `worq_model` when they begin with `model/`; without any, the memory queue and the
model's rules. What was found is kept in `build/sweep.jsonl` until that file changes, so what was interrupted, or ran out of
time, goes on where it was; `--anew` forgets it. Nobody chose these changes, so some survivors are no mistakes: `SURVIVORS` in
`equivalents.py` says why.

Not mutmut or cosmic-ray: they start a run of pytest for each change, whose imports alone take longer than it takes
here to find most of them, and only tests can find one, not an engine with a seed and its steps counted.
"""

import argparse
import ast
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from threading import Lock, local
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

# On all files what finds most, for some seconds only, ...
QUICK = ("quick",)
QUICK_S_MAX = 12.0
# ... and then, on what is left, each of these to its end, the quickest first; the first that finds something ends it.
ENGINES = {
    "worq": ("quick", "tests of memory", "interleavings", "vectors"),
    "worq_model": ("quick", "vectors", "model"),
}
FOUND = Path("build/sweep.jsonl")

FILES = (
    "queue/memory/tasks.py", "queue/memory/taskqueue.py", "queue/memory/deadlines.py", "queue/memory/waiting.py",
    "queue/memory/stores.py", "model/queue.py", "model/table.py", "model/lifecycle.py", "model/lifecycle_table.py",
)  # fmt: skip


NOTHING = ("__slots__ = ", "P = ParamSpec(", "R = TypeVar(")
"""Assignments that nothing depends on but types and the size of objects."""

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

    @property
    def digest(self) -> str:
        return sha256(f"{self.file}\n{self.text}".encode()).hexdigest()[:16]


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
    """All nodes that do something: nothing of types, no docstrings, no reprs."""
    if isinstance(node, ast.FunctionDef) and node.name in ("__repr__", "__str__"):
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Assign) and ast.unparse(node).startswith(NOTHING):
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


class Sweep:
    """Tries changes, until time is up, and keeps which of them were found."""

    def __init__(self, jobs: int, until: float) -> None:
        self._jobs = jobs
        self._until = until
        self._of_thread = local()
        self._lock = Lock()
        lines = FOUND.read_text(encoding="utf-8").splitlines() if FOUND.exists() else []
        self.found: dict[str, str] = dict(map(json.loads, lines))

    def try_all(self, tried: Sequence[Change], *, is_quick: bool) -> list[Change]:
        """Those that nobody finds."""
        with ThreadPoolExecutor(self._jobs) as pool:
            found = list(pool.map(partial(self._is_found, is_quick=is_quick), tried))
        return [change for change, is_found in zip(tried, found, strict=True) if not is_found]

    def is_late(self) -> bool:
        return time.monotonic() > self._until

    def _is_found(self, change: Change, *, is_quick: bool) -> bool:
        if change.digest in self.found:
            return True
        if self.is_late():
            return False
        if not hasattr(self._of_thread, "laboratory"):
            self._of_thread.laboratory = Laboratory()
        engine = self._finder(change, self._of_thread.laboratory, is_quick=is_quick)
        if engine is None:
            print(f"{change.file}:{change.line}: {change.key!r}", flush=True)  # noqa: T201
            return False
        with self._lock, FOUND.open("a", encoding="utf-8") as kept:
            print(json.dumps([change.digest, engine]), file=kept)
            self.found[change.digest] = engine
        return True

    def _finder(self, change: Change, laboratory: Laboratory, *, is_quick: bool) -> str | None:
        """The first engine that notices."""
        planted = change.planted
        for engine in QUICK if is_quick else ENGINES[planted.package]:
            try:
                # What a busy machine makes late is not found.
                verdict = laboratory.try_out(
                    planted, engine, gives_up_s=QUICK_S_MAX if is_quick else None, is_patient=True
                )
            except TrialFailed:
                return "importing it"
            if verdict.is_caught:
                return engine
        return None


def sweep(files: Sequence[str], jobs: int, budget_s: float) -> int:
    """How many changes are not found, which are told as they are met: by the quick engines, and by all."""
    tries = Sweep(jobs, time.monotonic() + budget_s)
    left: list[Change] = []
    for file in files:
        there = list(changes(file))
        unknown = [change for change in there if change.key not in SURVIVORS]
        not_found = tries.try_all(unknown, is_quick=True)
        finders = Counter(tries.found[c.digest] for c in unknown if c.digest in tries.found)
        print(  # noqa: T201
            f"{file}: {len(there)} changes, {len(there) - len(unknown)} known to be no mistakes; found by "
            f"{', '.join(f'{engine} {count}' for engine, count in finders.most_common())}; "
            f"{len(not_found)} not found yet{' or not tried' if tries.is_late() else ''}",
            flush=True,
        )
        left += not_found
    print(f"all engines on {len(left)}", flush=True)  # noqa: T201
    left = tries.try_all(left, is_quick=False)
    print(f"{len(left)} not found{', or not tried to the end' if tries.is_late() else ''}")  # noqa: T201
    return len(left)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="*", default=FILES)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--budget", type=float, default=math.inf, help="seconds to begin trials in")
    parser.add_argument("--anew", action="store_true", help="forget what was found")
    asked = parser.parse_args()
    FOUND.parent.mkdir(exist_ok=True)
    if asked.anew:
        FOUND.unlink(missing_ok=True)
    sys.exit(sweep(asked.files, asked.jobs, asked.budget) > 0)


if __name__ == "__main__":
    main()
