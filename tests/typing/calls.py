# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What type checkers make of worq: `make lint` has mypy and pyright read this, nobody runs it.

A call that they must refuse has `type: ignore` on it: one that they accept makes that unused, which is an
error of both.
"""

from typing import Any, TypeVar, assert_type, cast

from worq import Broker, Deferred, Queue, Task, TaskSpace, TypedTask, aio, get_broker, typed

T = TypeVar("T")

space = TaskSpace("maths")
broker = get_broker("memory://")
queue = broker.queue()


@space.task
def add(x: int, y: int = 0, *, note: str = "") -> int:
    del note
    return x + y


@broker.expose
def total(numbers: list[int]) -> int:
    return sum(numbers)


def six(a: int, b: str, c: bytes, d: float, e: list[int], f: int) -> str:
    return f"{a}{b}{c!r}{d}{e}{f}"


class Account:
    def __init__(self, name: str) -> None:
        self.name = name

    def transfer(self, amount: int, /, to: str) -> bytes:
        return f"{self.name} {amount} {to}".encode()


def exposed_functions_stay_what_they_are() -> None:
    assert_type(add(1, 2), int)
    assert_type(total([1]), int)
    add("1")  # type: ignore[arg-type]


def calls_without_types_take_everything() -> None:
    deferred = queue.maths.add(1, "2", nonsense=None)
    assert_type(deferred, Deferred[Any] | Any)
    assert_type(Task(queue.maths.add, attempts=2)(1), Deferred[Any] | Any)
    assert_type(broker.deferred("id"), Deferred[Any])


def calls_have_the_parameters_of_the_function() -> None:
    task = typed(queue, add)
    assert_type(task(1), Deferred[int])
    assert_type(task(1, 2, note="a"), Deferred[int])
    assert_type(task(x=1, y=2), Deferred[int])
    assert_type(task.func(1), int)
    assert_type(task.task, Task)
    task()  # type: ignore[call-overload]
    task("1")  # type: ignore[call-overload]
    task(1, 2, 3)  # type: ignore[call-overload]
    task(1, note=2)  # type: ignore[call-overload]
    task(1, nonsense=2)  # type: ignore[call-overload]


def deferreds_stand_for_what_they_will_be() -> None:
    number, text = typed(queue, add)(1), typed(queue, str)(1)
    assert_type(typed(queue, add)(number), Deferred[int])
    assert_type(typed(queue, add)(number, number), Deferred[int])
    assert_type(typed(queue, add)(1, number, note="a"), Deferred[int])
    assert_type(typed(queue, add)(number, y=2), Deferred[int])
    data, real = Deferred[bytes](broker, number), Deferred[float](broker, number)
    assert_type(
        typed(queue, six)(number, text, data, real, Deferred[list[int]](broker, number), 6),
        Deferred[str],
    )
    typed(queue, add)(text)  # type: ignore[arg-type]
    typed(queue, add)(number, text)  # type: ignore[arg-type]
    typed(queue, six)(number, number, data, real, number, 6)  # type: ignore[arg-type]


def what_types_cannot_say_is_cast() -> None:
    number = typed(queue, add)(1)
    typed(queue, add)(x=number)  # type: ignore[call-overload]
    typed(queue, total)([1, number])  # type: ignore[list-item]
    assert_type(typed(queue, add)(x=cast("int", number)), Deferred[int])
    assert_type(typed(queue, total)([1, cast("int", number)]), Deferred[int])


def methods_classes_and_builtins_are_functions() -> None:
    assert_type(typed(queue, Account("a").transfer)(1, to="b"), Deferred[bytes])
    assert_type(typed(queue, Account)("a"), Deferred[Account])
    assert_type(typed(queue, len)("abc"), Deferred[int])
    typed(queue, Account("a").transfer)(amount=1, to="b")  # type: ignore[call-overload]


def items_are_checked(number: Deferred[int], counts: list[int | Deferred[int]]) -> None:
    assert_type(typed(queue, add).map([1, 2]), list[Deferred[int]])
    assert_type(typed(queue, add).map(counts, [3, number], y=1), list[Deferred[int]])
    assert_type(typed(queue, add, ignore_result=True).map(range(3)), list[None])
    typed(queue, add).map(["a"])  # type: ignore[list-item]
    typed(queue, add).map(1)  # type: ignore[call-overload]


async def fetch(url: str, tries: int = 1) -> bytes:
    return url.encode() * tries


def coroutine_functions_give_what_they_are_awaited_for() -> None:
    task = typed(queue, fetch)
    assert_type(task("a", tries=2), Deferred[bytes])
    assert_type(task(typed(queue, str)(1)), Deferred[bytes])
    assert_type(typed(queue, fetch, ignore_result=True)("a"), None)
    task(1)  # type: ignore[call-overload]


async def calls_in_asyncio_are_awaited(broker: aio.Broker, deferred: Deferred[int]) -> None:
    assert_type(await deferred, int)
    assert_type(await aio.typed(broker.queue(), add)(1, y=2), Deferred[int])
    assert_type(await (await aio.typed(broker.queue(), fetch)("a")), bytes)
    assert_type(await aio.typed(broker.queue(), add, ignore_result=True)(1), None)
    assert_type(await broker.map(broker.queue().add, [1, 2], y=3), list[Deferred[Any]])
    async for each in aio.as_completed([deferred], timeout=1):
        assert_type(each, Deferred[Any])
    aio.typed(broker.queue(), add)("1")  # type: ignore[call-overload]


def options_are_checked() -> None:
    assert_type(typed(queue, add, attempts=3, on_error=Task.PASS)(1), Deferred[int])
    typed(queue, add, attempts="3")  # type: ignore[call-overload]
    typed(queue, add, nonsense=3)  # type: ignore[call-overload]
    typed(broker, add)  # type: ignore[call-overload]


def results_that_are_ignored_are_none() -> None:
    task = typed(queue, add, ignore_result=True)
    task(typed(queue, add)(1), 2)
    assert_type(task(1), None)
    task("1")  # type: ignore[call-overload]


def a_deferred_has_the_type_of_its_result(deferred: Deferred[int], whatever: Deferred) -> None:
    assert_type(deferred.value, int)
    assert_type(whatever.value, Any)
    real: Deferred[float] = deferred  # what is read may be read as something wider
    text: Deferred[str] = deferred  # type: ignore[assignment]
    del real, text


def it_can_be_passed_around(task: TypedTask[Any, Deferred[T]], broker: Broker) -> Deferred[T]:
    assert_type(broker.queue(), Queue)
    return task(1, 2, 3)
