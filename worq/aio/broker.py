"""The broker of producers in asyncio. SPEC.md, section 9a."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast

from worq import bulk, core
from worq.aio.arrivals import Arrivals
from worq.aio.threads import ThreadedQueue
from worq.asynchronous import Asynchronous, AsyncQueue
from worq.const import DEFAULT, State
from worq.deferred import Deferred, Popped, TaskId
from worq.errors import QueueClosed, WorqError
from worq.options import Options
from worq.serializer import Serializer, resolve
from worq.task import FunctionTask, Queue, Task, TaskBroker
from worq.urls import open_queue, serializer_in
from worq.values import Submitted, Token

if TYPE_CHECKING:
    from worq.backend import AbstractTaskQueue

F = TypeVar("F")


class Broker:
    """Speaks for one queue in one event loop, that of its first call: calls tasks, and fetches what became of them.

    Tasks are run by the workers of a `worq.Broker`. Close it with `aclose`, or by `async with`.
    """

    def __init__(self, calls: "Calls") -> None:
        """`get_broker` makes one."""
        self._calls = calls
        self._used: tuple[asyncio.AbstractEventLoop, AsyncQueue, Arrivals] | None = None
        self._is_closed = False
        self._closing: asyncio.Future[None] | None = None
        calls.arrival, calls.look = self._arrival, self.fetch

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what it has opened; who waits gets QueueClosed. Idempotent. [ENV-AIO-8]

        Whoever is cancelled meanwhile leaves it to itself. It returns to all who call it when that has ended.
        """
        self._check_loop(may_be_closed=True)
        self._is_closed = True
        if self._closing is None or self._closing.get_loop().is_closed():
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._used is not None:
            loop, queue, arrivals = self._used
            if loop.is_closed():
                await asyncio.to_thread(queue.abandon)
            else:
                await queue.aclose()
                await arrivals.ended()
            self._used = None
        self._calls.close()

    @property
    def url(self) -> str:
        """As `worq.Broker.url`."""
        return self._calls.url

    @property
    def name(self) -> str:
        """The name of the queue."""
        return self._calls.name

    @property
    def tasks(self) -> dict[str, Callable[..., Any]]:
        """What `typed` may call, by name."""
        return self._calls.tasks

    def expose(self, obj: F, replace: bool = False) -> F:  # noqa: FBT001, FBT002 - as worq.Broker has it
        """Say by which name `typed` is to call a function; nothing here runs it. As `worq.Broker.expose`."""
        return self._calls.expose(obj, replace)

    def queue(self, target: str = "", **options: Unpack[Options]) -> Queue:
        """A Queue whose calls are awaited: `await queue.func(1)` is a Deferred. So are `Task`'s."""
        return Queue(cast("TaskBroker", self), target, **options)

    async def enqueue(self, task: FunctionTask) -> Deferred | None:
        """As `worq.Broker.enqueue`. [ENV-AIO-4]

        Whoever is cancelled meanwhile doesn't know whether the task was enqueued. [ENV-AIO-7]
        """
        queue, _ = self._opened()
        return await self._calls.enqueue_by(queue, task)

    async def enqueue_many(self, tasks: Iterable[FunctionTask]) -> list[Deferred | None]:
        """As `worq.Broker.enqueue_many`."""
        queue, _ = self._opened()
        return await self._calls.enqueue_many_by(queue, tasks)

    async def map(
        self, task: Queue | Task, /, *iterables: Iterable[Any], **kw: Any
    ) -> list[Deferred]:
        """Call a task with each item, or with one of each iterable, as `Task.map`; without `ignore_result`."""
        called = task if isinstance(task, Task) else Task(task)
        return await cast("Awaitable[list[Deferred]]", called.map(*iterables, **kw))

    def deferred(self, task_id: str, name: str = "", token: Token | None = None) -> Deferred:
        """The Deferred of a task that was submitted elsewhere."""
        return self._calls.deferred(task_id, name, token)

    def bind(self, deferred: Deferred) -> Deferred:
        """Have one that comes from elsewhere, out of a pickle perhaps, be awaited by this broker; returns it.

        Raises ValueError if it belongs to another queue.
        """
        deferred.bind(self._calls)
        return deferred

    async def fetch(self, deferreds: Sequence[Deferred]) -> None:
        """Have these hold their outcomes, if they are there, without waiting."""
        _, arrivals = self._opened()
        await arrivals.look([each for each in deferreds if each.held is None])

    async def status(self, result: TaskId) -> State | None:
        """As `worq.Broker.status`: the state of the task, None if it is absent."""
        queue, _ = self._opened()
        return await queue.status(*core.named(result))

    async def task_failed(self, task: TaskId) -> None:
        """As `worq.Broker.task_failed`: this cancels a task."""
        queue, _ = self._opened()
        await queue.discard(*core.named(task))

    async def purge(self) -> int:
        """Drop all tasks that wait, and say how many."""
        queue, _ = self._opened()
        return await queue.purge()

    async def size(self) -> int:
        """How many tasks wait."""
        queue, _ = self._opened()
        return await queue.size()

    if not TYPE_CHECKING:  # checkers refuse both as they are

        def __len__(self) -> int:
            raise TypeError(f"this would block the event loop: `await broker.size()`: {self!r}")

        def __enter__(self) -> Self:
            raise TypeError(f"it takes an event loop to close it: `async with`: {self!r}")

        def __exit__(self, *exc_info: object) -> None: ...

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<aio.{repr(self._calls).removeprefix('<')}"

    async def _arrival(self, deferred: Deferred) -> None:
        _, arrivals = self._opened()
        await arrivals.of(deferred)

    def _opened(self) -> tuple[AsyncQueue, Arrivals]:
        """What speaks to the queue in this event loop; RuntimeError in another one than before."""
        if self._is_closed:
            raise QueueClosed(f"{self!r} was closed")
        self._check_loop()
        if self._used is None:
            queue = self._calls.open()
            self._used = asyncio.get_running_loop(), queue, Arrivals(queue)
        return self._used[1:]

    def _check_loop(self, *, may_be_closed: bool = False) -> None:
        if self._used is None or (may_be_closed and self._used[0].is_closed()):
            return
        if self._used[0] is not asyncio.get_running_loop():
            raise RuntimeError(f"{self!r} belongs to another event loop")


class Calls(core.Broker):
    """What a broker of either kind makes of calls and answers; and the one that Deferreds are bound to here.

    What would block the event loop is refused.
    """

    arrival: Callable[[Deferred], Coroutine[Any, Any, None]]
    look: Callable[[Sequence[Deferred]], Coroutine[Any, Any, None]]

    def open(self) -> AsyncQueue:
        queue = self._queue
        if isinstance(queue, Asynchronous):
            return queue.asynchronous()
        return ThreadedQueue(self._open())

    async def enqueue_by(self, queue: AsyncQueue, task: FunctionTask) -> Deferred | None:
        call = self._write_call(task)
        (answer,) = await queue.submit_many(self._queue.entries([call.submission]))
        return self._answered(call, answer)

    async def enqueue_many_by(
        self, queue: AsyncQueue, tasks: Iterable[FunctionTask]
    ) -> list[Deferred | None]:
        steps = self._enqueuing(tasks)
        entries = self._queue.entries(next(steps))
        try:
            answers: Sequence[Submitted] = await queue.submit_many(entries)
        except WorqError as error:
            steps.throw(error)
            raise
        return bulk.returned(steps, answers)

    def fetch(self, task: TaskId, timeout: float | None) -> Popped:
        del timeout
        raise _refusal(task)

    def fetch_many(self, tasks: Sequence[TaskId], timeout: float | None) -> list[Popped]:
        del timeout
        raise _refusal(*tasks)

    def status(self, result: TaskId) -> State | None:
        raise _refusal(result)


def _refusal(*tasks: TaskId) -> RuntimeError:
    return RuntimeError(
        f"this would block the event loop: await it, or worq.aio.wait(...), or broker.status(...): {tasks[0]!r}"
    )


def get_broker(
    url: str,
    name: str = DEFAULT,
    *args: object,
    serializer: Serializer | str | None = None,
    **kw: object,
) -> Broker:
    """A broker for asyncio of the queue of that name; arguments as those of `worq.get_broker`. [ENV-AIO-4]

    Nothing waits for a server before the first call is awaited. On `redis://` calls go over connections of
    redis.asyncio; on `memory://` they are over at once; elsewhere, as on `sqlite://`, they are made in threads.
    """
    chosen = resolve(serializer, serializer_in(url))
    opener: Callable[[], AbstractTaskQueue] = partial(open_queue, url, name, *args, **kw)
    return Broker(Calls.opened(opener, serializer=chosen))
