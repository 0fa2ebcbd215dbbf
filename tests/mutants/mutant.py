"""What a mutant is: one planted bug, as a substitution of text that is found exactly once."""

from typing import Literal, NamedTuple

Backend = Literal["memory", "redis"]
Needs = Literal["", "threads", "crash"]


class Mutant(NamedTuple):
    """A mistake that somebody could make in `file`, below the package `worq`.

    `clauses` are those that it breaks; `engine` is the one that ought to find it, narrowed to the tests
    that `only` selects (as `pytest -k` does) where a whole engine would take long. `pitfall`: the row of
    the earlier implementation's mistakes that it repeats. `needs`: what it takes to show, besides calls
    one after another.
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
    def backend(self) -> Backend:
        """Where it shows: what all backends share is tried on memory, which is faster."""
        return "redis" if self.file.startswith("queue/redis/") else "memory"

    def applied(self, text: str) -> str:
        """The text of its file with the mistake in it."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"{self.name}: found {found} times in {self.file}: {self.old!r}")
        return text.replace(self.old, self.new)
