"""A random walk with the steps of the machines: no swarms, so it is far more often where it matters.

Hypothesis switches rules off, repeats itself and keeps its programs small: right for showing what is wrong in few
steps, wrong for getting everywhere. The walk draws each step by itself, with the weights below.
"""

from collections.abc import Callable, Mapping
from functools import cache
from inspect import signature
from random import Random
from typing import Any

from worq.testing.bench import Bench
from worq.testing.lifecycle_machine import NAMES, make_lifecycle_machine
from worq.testing.machine import IDS, LEASES_MS, RETENTIONS_MS, RulesMachine, Which, make_machine
from worq.testing.shortest import raise_shortest
from worq_model import lifecycle as model
from worq_model.values import EXPIRED, Options, Outcome

STEPS_OF_A_WALK = 60

Sample = Callable[[Random], Any]


def walk(bench: Bench, random: Random, walks: int) -> None:
    """So many walks on the queues of a bench, each from empty queues to the end of every task.

    What goes wrong is raised by the shortest part of the walk that makes it go wrong.
    """
    machine = make_machine(RulesMachine, bench)
    for _ in range(walks):
        here = machine()
        try:
            _take_steps(here, _QUEUE_WEIGHTS, _QUEUE_SAMPLES, random)
        except AssertionError:
            raise_shortest(bench, here.lockstep)
            raise


def walk_of_life(bench: Bench, random: Random, walks: int) -> None:
    """The same with brokers, as it was walked. The bench has two queues."""
    machine = make_lifecycle_machine(bench)
    for _ in range(walks):
        _take_steps(machine(), _LIFE_WEIGHTS, _LIFE_SAMPLES, random)


def _take_steps(
    here: Any, weights: Mapping[str, int], samples: Mapping[str, Sample], random: Random
) -> None:
    for name in random.choices(list(weights), list(weights.values()), k=STEPS_OF_A_WALK):
        rule: Callable[..., None] = getattr(type(here), name)  # pyright: ignore[reportUnknownArgumentType]
        drawn = {each: samples.get(f"{name}.{each}") or samples[each] for each in _parameters(rule)}
        rule(here, **{each: sample(random) for each, sample in drawn.items()})
    here.teardown()


@cache
def _parameters(rule: Callable[..., None]) -> tuple[str, ...]:
    return tuple(signature(rule).parameters)[1:]


def _one_of(*values: Any) -> Sample:
    return lambda random: random.choice(values)


def _one_in(n: int) -> Sample:
    return lambda random: random.randrange(n) == 0


_id = _one_of(*IDS)
_which = _one_of("any", "current", "current", "current", "stale")


def _place(random: Random, *, strays: int = 6) -> dict[str, Any]:
    return {
        "queue": random.choice((0, 0, 0, 0, 1)),
        "client": random.randrange(2),
        "api": _one_in(3)(random),
        "aimed": not _one_in(strays)(random),
    }


def _arguments(random: Random) -> dict[str, Which]:
    count = random.choice((0, 0, 1, 1, 2))
    return {argument_id: _which(random) for argument_id in random.sample(IDS, count)}


def _options(random: Random) -> Options:
    return Options(
        _one_in(5)(random),
        _one_in(2)(random),
        random.choice(LEASES_MS),
        random.choice(RETENTIONS_MS),
        random.choice((1, 1, 2)),
    )


# Rule → how often, beside the others.
_QUEUE_WEIGHTS = {
    "submit": 16, "defer": 6, "claim": 16, "finish": 12, "heartbeat": 4, "release": 4, "pop": 5, "discard": 3,
    "purge": 1, "status": 1, "undefer": 1, "reserve": 12, "set_argument": 5, "get_arguments": 3, "time_passes": 12,
    "submit_many": 3, "claim_many": 3, "finish_many": 4, "pop_many": 2,
}  # fmt: skip

# Parameter → what it may be; `rule.parameter` where rules differ.
_QUEUE_SAMPLES: dict[str, Sample] = {
    "place": _place,
    "reserve.place": lambda random: _place(random, strays=2),
    "task_id": _id,
    "argument_id": _id,
    "deferred_id": _id,
    "which": _which,
    "deferred": _which,
    "behind": _one_of(0, 0, 0, 0, 1),
    "message": _one_of(b"", b"m", b"\0\xff", b"long" * 9),
    "args": _arguments,
    "defer.args": lambda random: set(random.sample(IDS, random.choice((1, 2, 2, 3)))),
    "options": _options,
    "outcome": _one_of(*(None,) * 18, Outcome("failure", b"fetched", "x"), EXPIRED),
    "again": _one_in(8),
    "failed": _one_in(2),
    "begun": _one_in(2),
    "retention_ms": _one_of(0, *RETENTIONS_MS, *RETENTIONS_MS),
    "lease_ms": _one_of(0, 1, 3, 6, 5003),
    "really": _one_in(1),
    "to": _one_of("little", "little", "before", "at", "after", "far"),
    "little": _one_of(0, 1, 2, 3),
    "limit": _one_of(1, 2, 3, 4),
    "claims": _one_of(0, 1, 1, 2, 3),
}


def _lists_of(*names: str) -> Sample:
    """Lists of what a single operation draws under these names."""

    def sample(random: Random) -> list[tuple[Any, ...]]:
        count = random.choice((1, 2, 2, 3, 4))
        return [tuple(_QUEUE_SAMPLES[name](random) for name in names) for _ in range(count)]

    return sample


_QUEUE_SAMPLES.update(
    {
        "submit_many.drawn": _lists_of("task_id", "message", "args", "options", "outcome", "again"),
        "finish_many.drawn": _lists_of(
            "task_id", "message", "failed", "retention_ms", "which", "behind"
        ),
        "pop_many.drawn": _lists_of("task_id", "which"),
    }
)

_LIFE_WEIGHTS = {
    "call": 20, "submit_garbage": 1, "adopt": 2, "take": 6, "take_and_run": 14, "work": 8, "look": 16,
    "discard_pending": 1, "time_passes": 5,
}  # fmt: skip


def _leaf(random: Random) -> Any:
    return random.choice((model.Use(0), model.Use(1), model.Use(random.randrange(8)), 7, None))


def _call_arguments(random: Random) -> tuple[Any, ...]:
    leaves = [_leaf(random) for _ in range(random.choice((0, 1, 1, 2, 3)))]
    return tuple((leaf, _leaf(random)) if _one_in(5)(random) else leaf for leaf in leaves)


_LIFE_SAMPLES: dict[str, Sample] = {
    "queue": _one_of(0, 0, 0, 0, 0, 0, 1),
    "task_id": _one_of("a", "b", "c", "d"),
    "name": _one_of(*NAMES, "give", "boom"),
    "args": _call_arguments,
    "options": lambda random: _options(random)._replace(
        retention_ms=random.choice((3, 60_000, 60_000, None))
    ),
    "back": _one_of(0, 0, 1, 1, 2, 3, 4, 5, 6, 7),
    "with_token": _one_in(2),
    "worker": _one_of(0, 1),
    "really": _one_in(1),
    "work.what": _one_of(
        model.Run, model.Run, model.Run, model.Beat, model.Die, model.FinishGarbage
    ),
    "look.what": _one_of(
        model.Wait, model.Wait, model.Value, model.Status, model.PopResult, model.TaskFailed
    ),
    "to": _one_of("little", "little", "before", "at", "after", "far"),
    "little": _one_of(0, 1, 2, 3),
}
