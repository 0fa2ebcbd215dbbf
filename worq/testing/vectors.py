"""Programs that take every transition of a bounded model, for any backend: from a file, or made on the spot."""

from collections.abc import Iterable, Iterator

from worq.testing.driver import Do, Program, Tick
from worq_model.operations import Operation
from worq_model.vectors import Vectors, generate, loads

__all__ = ["CLIENTS", "Vectors", "generate", "loads", "program", "programs"]

CLIENTS = 2


def programs(vectors: Vectors, *, api: bool = False) -> Iterator[Program]:
    """The programs, for two clients that take turns. `api`: by the names that the API reference has."""
    return (program(entries, api=api) for entries in vectors.programs)


def program(entries: Iterable[Operation | Tick], *, api: bool = False) -> Program:
    return tuple(
        entry if isinstance(entry, Tick) else Do(entry, client=number % CLIENTS, api=api)
        for number, entry in enumerate(entries)
    )
