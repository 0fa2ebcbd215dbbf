"""What a mutant is: one planted mistake, as a substitution of text that is found exactly once."""

from pathlib import Path
from typing import Literal, NamedTuple, get_args

Backend = Literal["memory", "redis", "sqlite"]
Place = Literal["memory", "redis", "sqlite", "broker", "pool"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
Needs = Literal["", "threads", "crash"]
Package = Literal["worq", "worq_model"]


class Mutant(NamedTuple):
    """A mistake that somebody could make in `file`, which is below the package `worq`.

    `clauses` are those that it breaks. `engine` is the one that ought to find it; `only` narrows that to
    some of its tests (as `pytest -k` does) or of its programs, where all of them would take long.
    `pitfall`: the mistake of an earlier implementation that it repeats. `needs`: what it takes to show,
    besides calls one after another.
    """

    name: str
    file: str
    old: str
    new: str
    clauses: str
    engine: str
    only: str = ""
    pitfall: str = ""
    needs: Needs = ""

    @property
    def place(self) -> Place:
        """What it is planted in."""
        for backend in BACKENDS:
            if self.file.startswith(f"queue/{backend}/"):
                return backend
        return "pool" if self.file.startswith("pool/") else "broker"

    @property
    def backend(self) -> Backend:
        """Where it is tried: what all backends share on memory, which is faster."""
        match self.place:
            case "broker" | "pool":
                return "memory"
            case place:
                return place

    def applied(self, text: str) -> str:
        """The text of its file with the mistake in it."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"{self.name}: found {found} times in {self.file}: {self.old!r}")
        return text.replace(self.old, self.new)

    def planted(self, package: Path) -> str:
        """The same, of the file in that folder."""
        return self.applied((package / self.file).read_text(encoding="utf-8"))


class Planted(NamedTuple):
    """A file of a package as it is to be; what becomes of a mutant."""

    package: Package
    file: str
    text: str


# The areas in which an earlier implementation of this API went wrong, and the stories of what only
# threads or a crash showed.
PITFALLS = (
    "timeouts", "lease", "lifetimes", "ids", "id reuse", "enqueue with Deferreds", "arguments", "waiting tasks",
    "results", "discarding", "purging", "size", "worker errors", "unreadable task", "claim", "process pool",
    "thread pool", "`Queue`", "`expose`", "serializing", "wake-ups and reconnects (other queues)",
    "check and insert not atomic", "claim in two steps", "losers of a claim write", "finish in steps",
    "submit in steps", "reserve against pop", "pop, then delete by id", "discard from a snapshot",
    "last argument counted outside the transaction", "stale worker after re-enqueue",
    "notify-one where several wait", "sweeper against heartbeat", "two queues for one URL",
    "pool stop against a task arriving",
)  # fmt: skip
