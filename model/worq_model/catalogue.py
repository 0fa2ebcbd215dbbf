"""What is explored, by name: spaces of the queue, protocols of its clients, and some that lack what keeps them right."""

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
    REACHED,
    RETRY,
    Bounds,
    Space,
    contract,
    reference,
    system,
)
from worq_model.values import Options

ABC = ("a", "b", "c")
SMALL = "-small"

SPACES: dict[str, Space] = {
    "contract": contract(Bounds(ABC, EVERY_OPTION)),
    "contract-small": contract(Bounds(ABC, (KEEP, RETRY))),
    "contract-large": contract(Bounds((*ABC, "d"), (KEEP, RETRY, IGNORE))),
    "reference": reference(Bounds(ABC, (KEEP, RETRY, IGNORE))),
    "reference-small": reference(Bounds(ABC, (KEEP,))),
}
"""The queue on its own: three ids, and four in the large one."""

VECTORS: dict[str, Space] = {
    "contract": contract(Bounds(ABC, (KEEP,), with_refusals=True)),
    "retries": contract(Bounds(ABC, (RETRY,))),
    "options": contract(Bounds(ABC[:2], EVERY_OPTION, with_refusals=True)),
    "reference": reference(Bounds(ABC, (KEEP, RETRY, IGNORE), tasks_max=2, with_refusals=True)),
}
"""The spaces whose transitions are kept as programs that any queue can run."""


# Clients of the contract

X, Y = ops.Submit("x", inc(1), b"x"), ops.Submit("y", inc(2), b"y")
D_OF_X = ops.Submit("d", inc(3), b"d", (("x", inc(1)),))
E_OF_X = ops.Submit("e", inc(4), b"e", (("x", inc(1)),))
F_OF_XY = ops.Submit("f", inc(5), b"f", (("x", inc(1)), ("y", inc(2))))
A_TWICE = ops.Submit("a", inc(6), b"a", options=Options(attempts=2))
A_FIRST, A_NEXT = ops.Submit("a", inc(7), b"first"), ops.Submit("a", inc(8), b"next")
RESULTS = {
    b"x": b"x()",
    b"y": b"y()",
    b"d": b"d(x())",
    b"e": b"e(x())",
    b"f": b"f(x(), y())",
    b"a": b"a()",
    b"first": b"first()",
    b"next": b"next()",
}


def _waiter(task: ops.Submit, name: str = "waiter", *, has_token: bool = True) -> Waiter:
    return Waiter(task.id, _bytes(task.incarnation), RESULTS[_bytes(task.message)], name, has_token)


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value


def _workers(beats_max: int = 0) -> tuple[Role, Role]:
    return Worker("worker 1", beats_max), Worker("worker 2", beats_max)


PROTOCOLS: dict[str, Protocol] = {
    "argument": Protocol((Producer((X, D_OF_X)), _waiter(D_OF_X), *_workers(1)), RESULTS),
    "two-arguments": Protocol((Producer((X, Y, F_OF_XY)), _waiter(F_OF_XY), *_workers()), RESULTS),
    "two-dependents": Protocol(
        (
            Producer((X, D_OF_X), "producer 1"),
            Producer((E_OF_X,), "producer 2", inc(1)),
            _waiter(X, "waiter 1"),
            _waiter(D_OF_X, "waiter 2"),
            *_workers(),
        ),
        RESULTS,
    ),
    "two-waiters": Protocol(
        (
            Producer((A_TWICE,)),
            _waiter(A_TWICE, "waiter 1"),
            _waiter(A_TWICE, "waiter 2"),
            *_workers(1),
        ),
        RESULTS,
    ),
    "id-comes-back": Protocol(
        (
            Producer((A_FIRST,), "producer 1"),
            Producer((ops.Discard("a", inc(7)), A_NEXT), "producer 2", inc(7)),
            _waiter(A_FIRST, "waiter 1"),
            _waiter(A_NEXT, "waiter 2"),
            *_workers(),
        ),
        RESULTS,
    ),
}
"""Two workers each; one client may die, and one reply be lost."""

LACKING: dict[str, tuple[Rules, str]] = {
    "no-alarm": (
        Rules(alarm_for_leases=False),
        "all clients can still get done, and nothing be left",
    ),
    "no-next": (
        Rules(wakes_the_next=False),
        "all clients can still get done, and nothing be left",
    ),
    "no-answer-again": (
        Rules(answers_again=False),
        "an outcome has one consumer, who gets it",
    ),
}
"""The first protocol without one of the rules of section 7 of SPEC.md, and what that breaks."""


# Clients that compose the life of a task by hand


class ByHand(NamedTuple):
    """Clients, the claim that they break, and how it comes, for SPEC.md."""

    why: str
    breaks: str
    protocol: Protocol


def _by_hand(*roles: Role, crashes: int = 0) -> Protocol:
    return Protocol(roles, RESULTS, crashes=crashes, losses=0)


_DEFER_D = ops.Defer("d", inc(3), b"d", ("x",))

BY_HAND: dict[str, ByHand] = {
    "stranded": ByHand(
        "A producer dies between `defer_task` and `reserve_argument`: "
        "nobody will ever complete the task, and its waiter waits for ever.",
        "all clients can still get done, and nothing be left",
        _by_hand(
            Producer((X,), "producer 1"),
            HandProducer(_DEFER_D, "producer 2", inc(1)),
            _waiter(D_OF_X, has_token=False),
            HandWorker(),
            crashes=1,
        ),
    ),
    "without-arguments": ByHand(
        "The lease passes between `get` and `get_arguments`: the worker runs the task without its argument.",
        "a task is run with all its arguments",
        _by_hand(
            Producer((X,), "producer 1"),
            HandProducer(_DEFER_D, "producer 2", inc(1)),
            HandWorker(),
        ),
    ),
    "late-result": ByHand(
        "`get` gives no token: the result of a worker that is late becomes that of the next task with its id.",
        "a waiter gets no other task's result",
        _by_hand(
            Producer((A_FIRST,), "producer 1"),
            Producer((A_NEXT,), "producer 2", inc(7)),
            _waiter(A_NEXT),
            HandWorker("worker 1"),
            HandWorker("worker 2"),
        ),
    ),
    "next-result": ByHand(
        "`pop_result` without a token: a waiter that is late takes the result of the next task with that id.",
        "a waiter gets no other task's result",
        _by_hand(
            Producer((A_FIRST,), "producer 1"),
            Producer((A_NEXT,), "producer 2", inc(7)),
            _waiter(A_FIRST, has_token=False),
            *_workers(),
        ),
    ),
}


# All of them


class Entry(NamedTuple):
    """A system, and the claim that it is known to break: '' if it breaks none."""

    system: System[Any, Any]
    breaks: str = ""


def _only(system: System[Any, Any], claim: str) -> System[Any, Any]:
    """The system without its other claims."""
    kinds = ("always", "eventually", "possible")
    mine = {kind: {k: v for k, v in getattr(system, kind).items() if k == claim} for kind in kinds}
    return system._replace(sometimes={}, **mine)


def _entries() -> dict[str, Entry]:
    entries = {name: Entry(system(space)) for name, space in SPACES.items()}
    for name in ("contract", "reference"):
        entries[name] = Entry(system(SPACES[name])._replace(sometimes=REACHED))
    for name, protocol in PROTOCOLS.items():
        entries[name] = Entry(protocol.system())
    for name, (rules, breaks) in LACKING.items():
        entries[name] = Entry(PROTOCOLS["argument"].under(rules).system(), breaks)
    for name, by_hand in BY_HAND.items():
        entries[name] = Entry(_only(by_hand.protocol.system(), by_hand.breaks), by_hand.breaks)
    return entries


SYSTEMS: dict[str, Entry] = _entries()
