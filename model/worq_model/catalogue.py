"""What is explored, by name: spaces of the queue, protocols of its clients, and some without what keeps them right."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from worq_model import operations as ops
from worq_model.asks import EVERY_OPTION, IGNORE, KEEP, RETRY, Bounds
from worq_model.clients import (
    HandProducer,
    HandWorker,
    Producer,
    Role,
    Waiter,
    Worker,
    as_bytes,
)
from worq_model.graph import System
from worq_model.programs import inc
from worq_model.protocol import (
    CAN_SETTLE,
    NO_RESULT_GOES_ASTRAY,
    ONE_CONSUMER,
    RUNS_ARE_COMPLETE,
    Event,
    Protocol,
    Rules,
    World,
)
from worq_model.spaces import REACHED, Space, contract, reference, system
from worq_model.values import Options

ABC = ("a", "b", "c")

SPACES: dict[str, Space] = {
    "contract": contract(Bounds(ABC, EVERY_OPTION)),
    "contract-small": contract(Bounds(ABC, (KEEP, RETRY))),
    "contract-large": contract(Bounds((*ABC, "d"), (KEEP, RETRY, IGNORE))),
    "reference": reference(Bounds(ABC, (KEEP, RETRY, IGNORE))),
    "reference-small": reference(Bounds(ABC, (KEEP,))),
}
"""The queue on its own: three ids, and four in the large one."""


class Kept(NamedTuple):
    """A space whose transitions are kept as programs that any queue can run."""

    about: str
    space: Space


VECTORS: dict[str, Kept] = {
    "contract": Kept(
        "the contract: three tasks with the default options, and what is refused in each state",
        contract(Bounds(ABC, (KEEP,), with_refusals=True)),
    ),
    "retries": Kept(
        "the contract: three tasks with on_error='pass' and attempts=2",
        contract(Bounds(ABC, (RETRY,))),
    ),
    "options": Kept(
        "the contract: two tasks with all combinations of options, and what is refused in each state",
        contract(Bounds(ABC[:2], EVERY_OPTION, with_refusals=True)),
    ),
    "reference": Kept(
        "the API reference: two tasks and a third id, and what is refused in each state",
        reference(Bounds(ABC, (KEEP, RETRY, IGNORE), tasks_max=2, with_refusals=True)),
    ),
}


PAIRS: dict[str, Space] = {
    "contract": contract(Bounds(ABC, (KEEP,))),
    "options": contract(Bounds(ABC[:2], EVERY_OPTION)),
    "reference": reference(Bounds(ABC, (KEEP, RETRY, IGNORE), tasks_max=2)),
}
"""The spaces of which every two transitions in a row are taken; what changes nothing is left out."""


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
    expects = RESULTS[as_bytes(task.message)]
    return Waiter(task.id, expects, has_token, name=name, knows=as_bytes(task.incarnation))


def _workers(beats_max: int = 0) -> tuple[Role, Role]:
    return Worker(beats_max, name="worker 1"), Worker(beats_max, name="worker 2")


PROTOCOLS: dict[str, Protocol] = {
    "argument": Protocol(
        (Producer((X, D_OF_X), name="producer"), _waiter(D_OF_X), *_workers(1)), RESULTS
    ),
    "two-arguments": Protocol(
        (Producer((X, Y, F_OF_XY), name="producer"), _waiter(F_OF_XY), *_workers()), RESULTS
    ),
    "two-dependents": Protocol(
        (
            Producer((X, D_OF_X), name="producer 1"),
            Producer((E_OF_X,), name="producer 2", knows=inc(1)),
            _waiter(X, "waiter 1"),
            _waiter(D_OF_X, "waiter 2"),
            *_workers(),
        ),
        RESULTS,
    ),
    "two-waiters": Protocol(
        (
            Producer((A_TWICE,), name="producer"),
            _waiter(A_TWICE, "waiter 1"),
            _waiter(A_TWICE, "waiter 2"),
            *_workers(1),
        ),
        RESULTS,
    ),
    "id-comes-back": Protocol(
        (
            Producer((A_FIRST,), name="producer 1"),
            Producer((ops.Discard("a", inc(7)), A_NEXT), name="producer 2", knows=inc(7)),
            _waiter(A_FIRST, "waiter 1"),
            _waiter(A_NEXT, "waiter 2"),
            *_workers(),
        ),
        RESULTS,
    ),
}
"""Two workers each; one client may die, and one reply be lost."""

LACKING: dict[str, tuple[Rules, str]] = {
    "no-alarm": (Rules(alarm_for_leases=False), CAN_SETTLE),
    "no-next": (Rules(wakes_the_next=False), CAN_SETTLE),
    "no-answer-again": (Rules(answers_again=False), ONE_CONSUMER),
}
"""The first protocol without one of the rules of section 7 of SPEC.md, and what that breaks."""


# Clients that compose the life of a task by hand


class ByHand(NamedTuple):
    """Clients, the claim that they break, and how that comes, for SPEC.md."""

    why: str
    breaks: str
    protocol: Protocol

    def system(self) -> System[World, Event]:
        """The clients and the broken claim alone, so that the search ends with it."""
        system = self.protocol.system()
        return system._replace(
            always=self._mine(system.always),
            sometimes={},
            eventually={},
            possible=self._mine(system.possible),
        )

    def _mine(
        self, claims: Mapping[str, Callable[[World], bool]]
    ) -> dict[str, Callable[[World], bool]]:
        return {name: holds for name, holds in claims.items() if name == self.breaks}


def _by_hand(*roles: Role, crashes: int = 0) -> Protocol:
    return Protocol(roles, RESULTS, crashes=crashes, losses=0)


_DEFER_D = ops.Defer("d", inc(3), b"d", ("x",))

BY_HAND: dict[str, ByHand] = {
    "stranded": ByHand(
        "A producer dies between `defer_task` and `reserve_argument`: "
        "nobody will ever complete the task, and its waiter waits for ever.",
        CAN_SETTLE,
        _by_hand(
            Producer((X,), name="producer 1"),
            HandProducer(_DEFER_D, name="producer 2", knows=inc(1)),
            _waiter(D_OF_X, has_token=False),
            HandWorker(name="worker 1"),
            HandWorker(name="worker 2"),
            crashes=1,
        ),
    ),
    "without-arguments": ByHand(
        "The lease passes between `get` and `get_arguments`: the worker runs the task without its argument.",
        RUNS_ARE_COMPLETE,
        _by_hand(
            Producer((X,), name="producer 1"),
            HandProducer(_DEFER_D, name="producer 2", knows=inc(1)),
            HandWorker(name="worker"),
        ),
    ),
    "late-result": ByHand(
        "`get` gives no token: the result of a worker that is late becomes that of the next task with its id.",
        NO_RESULT_GOES_ASTRAY,
        _by_hand(
            Producer((A_FIRST,), name="producer 1"),
            Producer((A_NEXT,), name="producer 2", knows=inc(7)),
            _waiter(A_NEXT),
            HandWorker(name="worker 1"),
            HandWorker(name="worker 2"),
        ),
    ),
    "next-result": ByHand(
        "`pop_result` without a token: a waiter that is late takes the result of the next task with that id.",
        NO_RESULT_GOES_ASTRAY,
        _by_hand(
            Producer((A_FIRST,), name="producer 1"),
            Producer((A_NEXT,), name="producer 2", knows=inc(7)),
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


def _entries() -> dict[str, Entry]:
    entries = {name: Entry(system(space)) for name, space in SPACES.items()}
    for name in ("contract", "contract-small", "reference"):
        entries[name] = Entry(system(SPACES[name])._replace(sometimes=REACHED))
    for name, protocol in PROTOCOLS.items():
        entries[name] = Entry(protocol.system())
    for name, (rules, breaks) in LACKING.items():
        entries[name] = Entry(PROTOCOLS["argument"].under(rules).system(), breaks)
    for name, by_hand in BY_HAND.items():
        entries[name] = Entry(by_hand.system(), by_hand.breaks)
    return entries


SYSTEMS: dict[str, Entry] = _entries()
