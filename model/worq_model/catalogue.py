"""What is explored, by name: spaces of the queue, protocols of its clients, and those that a rule less breaks."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from worq_model import operations as ops
from worq_model.clients import HandProducer, HandWorker, Producer, Role, Waiter, Worker
from worq_model.graph import System
from worq_model.programs import inc
from worq_model.protocol import Protocol, Rules
from worq_model.spaces import (
    EVERY_OPTION,
    IGNORE,
    KEEP,
    RETRY,
    Bounds,
    Space,
    World,
    contract,
    reference,
    system,
)
from worq_model.values import COMPLETED, ENQUEUED, PROCESSING, Options, State, find


class Entry(NamedTuple):
    """A system, what it is, and the claim that it is known to break, '' if it breaks none."""

    about: str
    system: System[Any, Any]
    breaks: str = ""


# The queue on its own


ABC = ("a", "b", "c")

SPACES: dict[str, Space] = {
    "contract": contract(Bounds(ABC, EVERY_OPTION)),
    "contract-small": contract(Bounds(ABC, (KEEP, RETRY))),
    "contract-large": contract(Bounds((*ABC, "d"), (KEEP, RETRY, IGNORE))),
    "reference": reference(Bounds(ABC, (KEEP, RETRY, IGNORE))),
    "reference-small": reference(Bounds(ABC, (KEEP,))),
}

VECTORS: dict[str, Space] = {
    "contract": contract(Bounds(ABC, (KEEP,), with_refusals=True)),
    "retries": contract(Bounds(ABC, (RETRY,))),
    "options": contract(Bounds(ABC[:2], EVERY_OPTION, with_refusals=True)),
    "reference": reference(Bounds(ABC, (KEEP, RETRY, IGNORE), tasks_max=2, with_refusals=True)),
}
"""Those whose transitions are kept as programs that any queue can run."""


def _dependents(state: State) -> list[str]:
    return [task.dependent_id for task in state.tasks if task.dependent_id is not None]


def _has_path_of_three(state: State) -> bool:
    return any(find(state, d)[7] is not None for d in _dependents(state))


SOMETIMES: dict[str, Callable[[World], bool]] = {}


# Clients of the queue


def _submit(task_id: str, number: int, *args: str, message: bytes = b"", attempts: int = 1) -> ops.Submit:
    """The task of that incarnation; its arguments are the tasks of the incarnations before it, in their order."""
    ...
