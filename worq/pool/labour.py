"""What runs in a worker process: one task after the other, as its pool hands them over."""

import fcntl
import os
import pickle
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from types import FrameType
from typing import TYPE_CHECKING, Any

from worq import coroutines
from worq.core import Broker
from worq.failures import describe
from worq.pool.line import FAILURE, READY, REFUSED, RESULT, Message, WorkerLine, unpack_claim

if TYPE_CHECKING:
    from ctypes import c_double

# The pool decides what they mean. [ENV-POOL-17]
LEFT_TO_THE_POOL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

EXIT_REFUSED = 1

InitFunc = Callable[..., Broker]


class Recipe:
    """How a worker makes its broker.

    It travels as bytes within the arguments of a process: so what can't be read there is reported
    like everything else that goes wrong while the broker is made.
    """

    def __init__(
        self,
        init_func: InitFunc,
        broker: Broker,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        """`broker`: the pool's; that of the worker is to speak for the same queue in the same way."""
        self._parts = (
            init_func, broker.url, broker.name, broker.serializer_name, tuple(args), dict(kwargs),
        )  # fmt: skip

    def __reduce__(self) -> tuple[Callable[[bytes], "PackedRecipe"], tuple[bytes]]:
        return PackedRecipe, (bytes(ForkingPickler.dumps(self._parts)),)


class PackedRecipe:
    """A recipe at a worker."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    def make(self) -> Broker:
        """The broker. Raises whatever goes wrong."""
        init_func, url, queue, serializer, args, kwargs = pickle.loads(self._packed)  # noqa: S301 - it is the pool's
        broker: object = init_func(url, *args, **kwargs)
        if not isinstance(broker, Broker):
            raise TypeError(f"init_func: it must return a Broker, not {broker!r}")
        if broker.name != queue:
            raise ValueError(
                f"init_func: a broker of the queue {queue!r} is needed, not {broker!r}"
            )
        if broker.serializer_name != serializer:
            raise ValueError(
                f"init_func: a broker with the pool's serializer, {serializer!r}, is needed, "
                f"not {broker.serializer_name!r}: {broker!r}"
            )
        return broker


def main(
    end: socket.socket, lifeline: Connection, begun_s: "c_double", recipe: PackedRecipe
) -> None:
    """The body of a worker process.

    `lifeline`: ends when the pool's process does, however that ends. `begun_s`: see `Worker`.
    """
    _end_with(lifeline)
    _leave_signals_to_the_pool()
    os.register_at_fork(after_in_child=lambda: _disinherit(end))
    line = WorkerLine(end)
    try:
        broker = recipe.make()
    except BaseException as error:  # noqa: BLE001 - init_func is code of the application
        line.send(Message(REFUSED, _trace(error).encode(errors="replace")))
        raise SystemExit(EXIT_REFUSED) from None
    with broker, coroutines.loop_kept():
        _work(broker, line, begun_s)
    line.close()


def _work(broker: Broker, line: WorkerLine, begun_s: "c_double") -> None:
    line.send(Message(READY))
    while (message := line.receive()) is not None:
        begun_s.value = time.monotonic()
        outcome, failed = broker.perform(unpack_claim(message.content))
        line.send(Message(FAILURE if failed else RESULT, outcome))


def _end_with(lifeline: Connection) -> None:
    """Have the kernel end this process as soon as the pool's is gone. [ENV-POOL-15]

    A thread that waits for it would not do: a task may hold the GIL.
    """
    descriptor = lifeline.fileno()
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    # Where no other can be chosen it is SIGIO, which ends a process too, unless a task catches it.
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([descriptor], [], [], 0)[0]:
        os._exit(EXIT_REFUSED)  # it was gone before


def _leave_signals_to_the_pool() -> None:
    # With a handler that does nothing, for what is ignored stays so in the programs that tasks start.
    for number in LEFT_TO_THE_POOL:
        signal.signal(number, _do_nothing)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, LEFT_TO_THE_POOL)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    del number, frame


def _disinherit(end: socket.socket) -> None:
    """In a process that a task has forked: it is no worker."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, end.fileno(), inheritable=False)
    os.close(nowhere)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _trace(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except BaseException:  # noqa: BLE001 - it is code of the application
        return describe(error)
