"""What a backend may claim, and what becomes of an operation where it does not."""

from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Final

from worq_model import operations as ops
from worq_model.operations import Operation
from worq_model.values import Options


class Capability(StrEnum):
    """Something that a backend has or lacks. Every backend has the contract."""

    CONTRACT = "contract"
    """The ten operations of SPEC.md, section 5."""
    REFERENCE = "reference"
    """The five operations that the API reference has beyond these: SPEC.md, section 6."""
    DURABLE = "durable"
    """What was accepted outlives all processes that had the queue open."""
    SHARED = "shared"
    """Several processes reach one queue at the same time."""
    RETRIES = "retries"
    """A lost connection costs nothing: what is asked again gets its first answer. [ENV-RETRY-1]"""
    MANUAL_CLOCK = "manual clock"
    """With a `clock` given, deadlines and waits follow that clock alone. [ENV-WAIT-8]"""


Capabilities = AbstractSet[Capability]

CONTRACT: Final = Capability.CONTRACT
REFERENCE: Final = Capability.REFERENCE
DURABLE: Final = Capability.DURABLE
SHARED: Final = Capability.SHARED
RETRIES: Final = Capability.RETRIES
MANUAL_CLOCK: Final = Capability.MANUAL_CLOCK
ALL: Final = frozenset(Capability)
IN_LOCKSTEP: Final = frozenset({CONTRACT, REFERENCE, MANUAL_CLOCK})
"""Those that make a difference to programs of operations."""

HOUR_MS: Final = 3_600_000
OF_REFERENCE: Final = (
    ops.Defer,
    ops.Undefer,
    ops.ReserveArgument,
    ops.SetArgument,
    ops.GetArguments,
)


def checked(claimed: object) -> frozenset[Capability]:
    """The capabilities of these names, and the contract; ValueError for a name that is none."""
    if isinstance(claimed, str) or not isinstance(claimed, (frozenset, set, tuple, list)):
        raise TypeError(f"capabilities: a set of names is needed, not {claimed!r}")
    names: AbstractSet[object] = frozenset(claimed)  # pyright: ignore[reportUnknownArgumentType]
    there = {str(each) for each in Capability}
    for name in names:
        if name not in there:
            raise ValueError(f"capabilities: {name!r} is none of {', '.join(sorted(there))}")
    return frozenset(Capability(str(name)) for name in names) | {CONTRACT}


def is_claimed(operation: Operation, claimed: Capabilities) -> bool:
    """Whether a backend with these capabilities has the operation."""
    return REFERENCE in claimed or not isinstance(operation, OF_REFERENCE)


def suited(operation: Operation, claimed: Capabilities) -> Operation:
    """The operation, as it can be asked of a backend with these capabilities: if it can't, a look at the size.

    Without a manual clock nobody can say what has passed by when, so deadlines are far away.
    """
    if not is_claimed(operation, claimed):
        return ops.Size()
    if MANUAL_CLOCK in claimed:
        return operation
    match operation:
        case ops.Submit() | ops.Defer():
            return operation._replace(options=unhurried(operation.options))
        case ops.Finish(retention_ms=int()):
            return operation._replace(retention_ms=HOUR_MS)
        case ops.Heartbeat():
            return operation._replace(lease_ms=HOUR_MS)
        case _:
            return operation


def unhurried(options: Options) -> Options:
    """The same with deadlines that are far away."""
    retention_ms = None if options.retention_ms is None else HOUR_MS
    return options._replace(lease_ms=HOUR_MS, retention_ms=retention_ms)
