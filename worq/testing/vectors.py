"""Programs that take every transition of a bounded model, for any backend: from a file, or made on the spot."""

from collections.abc import Iterable, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from worq.testing.driver import Do, Program, Tick
from worq_model import lines
from worq_model.catalogue import VECTORS
from worq_model.operations import Operation
from worq_model.vectors import Vectors, generate, loads

__all__ = [
    "CLIENTS", "HISTORIES", "NAMES", "Vectors", "generate", "histories_of", "kept", "kept_histories", "loads",
    "program", "programs",
]  # fmt: skip

CLIENTS = 2
NAMES = tuple(VECTORS)
HISTORIES = "vectors/rows.jsonl"


def kept(name: str) -> Vectors:
    """The programs of that name, one of `NAMES`, that come with the package."""
    return loads(packaged(f"vectors/{name}.json").read_text(encoding="utf-8"))


def kept_histories() -> tuple[lines.History, ...]:
    """The short ones that take every row."""
    return histories_of(packaged(HISTORIES).read_text(encoding="utf-8"))


def histories_of(text: str) -> tuple[lines.History, ...]:
    """Those of a file as `worq spec --vectors` writes it. ValueError says in which line it is wrong."""
    return lines.loads(text)


def packaged(path: str) -> Traversable:
    """A file of the model that is no code: beside its package in a checkout, inside it where a wheel was installed."""
    package = files("worq_model")
    places = (package.joinpath(path), package.joinpath("..", path), package.joinpath("../..", path))
    return next(place for place in places if place.is_file())


def programs(vectors: Vectors, *, api: bool = False) -> Iterator[Program]:
    """The programs, for two clients that take turns. `api`: by the names that the API reference has."""
    return (program(entries, api=api) for entries in vectors.programs)


def program(entries: Iterable[Operation | Tick], *, api: bool = False) -> Program:
    return tuple(
        entry if isinstance(entry, Tick) else Do(entry, client=number % CLIENTS, api=api)
        for number, entry in enumerate(entries)
    )
