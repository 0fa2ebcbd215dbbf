"""Bad input is refused by name and value, before anything has changed."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.backends.conftest import MakeQueue
from worq.backend import AbstractTaskQueue
from worq.const import ARGUMENTS_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX
from worq.values import EXPIRED, Outcome, Request, Submitted, Token

Give = Callable[[AbstractTaskQueue, Any], object]

LONE_SURROGATE = "\ud800"
# The argument that an error must name → who takes such a value.
IDS: dict[str, dict[str, Give]] = {
    "id": {
        "submit": lambda q, v: q.submit(Request(v), b""),
        "enqueue_task": lambda q, v: q.enqueue_task(Request(v), b""),
        "defer_task": lambda q, v: q.defer_task(Request(v), b"", ["b"]),
    },
    "args": {
        "submit": lambda q, v: q.submit(Request("z"), b"", {v: None}),
        "defer_task": lambda q, v: q.defer_task(Request("z"), b"", [v]),
    },
    "task_id": {
        "finish": lambda q, v: q.finish(v, b"", 1),
        "heartbeat": lambda q, v: q.heartbeat(v, 1),
        "release": lambda q, v: q.release(v),
        "pop": lambda q, v: q.pop(v),
        "discard": lambda q, v: q.discard(v),
        "status": lambda q, v: q.status(v),
        "get_status": lambda q, v: q.get_status(v),
        "set_task_timeout": lambda q, v: q.set_task_timeout(v, 1),
        "set_result": lambda q, v: q.set_result(v, b"", 1),
        "pop_result": lambda q, v: q.pop_result(v, 0),
        "discard_result": lambda q, v: q.discard_result(v),
        "undefer_task": lambda q, v: q.undefer_task(v),
        "set_argument": lambda q, v: q.set_argument(v, "b", b""),
        "get_arguments": lambda q, v: q.get_arguments(v),
    },
    "argument_id": {
        "reserve_argument": lambda q, v: q.reserve_argument(v, "z"),
        "set_argument": lambda q, v: q.set_argument("z", v, b""),
    },
    "deferred_id": {"reserve_argument": lambda q, v: q.reserve_argument("z", v)},
    "outcome": {
        "submit": lambda q, v: q.submit(Request("z"), b"", outcome=Outcome("failure", b"", v)),
    },
}
TIMEOUTS: dict[str, Give] = {
    "claim": lambda q, v: q.claim(v),
    "await_ready": lambda q, v: q.await_ready(v),
    "get": lambda q, v: q.get(v),
    "pop": lambda q, v: q.pop("a", v),
    "pop_result": lambda q, v: q.pop_result("a", v),
    "finish": lambda q, v: q.finish("a", b"", v),
    "set_result": lambda q, v: q.set_result("a", b"", v),
    "heartbeat": lambda q, v: q.heartbeat("a", v),
    "set_task_timeout": lambda q, v: q.set_task_timeout("a", v),
}
MESSAGES: dict[str, Give] = {
    "submit": lambda q, v: q.submit(Request("z"), v),
    "submit with outcome": lambda q, v: q.submit(
        Request("z"), b"", outcome=Outcome("failure", v, "b")
    ),
    "enqueue_task": lambda q, v: q.enqueue_task(Request("z"), v),
    "defer_task": lambda q, v: q.defer_task(Request("z"), v, ["b"]),
    "finish": lambda q, v: q.finish("a", v, 1),
    "set_result": lambda q, v: q.set_result("a", v, 1),
    "set_argument": lambda q, v: q.set_argument("d", "b", v),
}
TOKENS: dict[str, Give] = {
    "submit": lambda q, v: q.submit(Request("z", v), b""),
    "args": lambda q, v: q.submit(Request("z"), b"", {"a": v}),
    "finish": lambda q, v: q.finish("a", b"", 1, token=v),
    "heartbeat": lambda q, v: q.heartbeat("a", 1, token=v),
    "release": lambda q, v: q.release("a", token=v),
    "pop": lambda q, v: q.pop("a", token=v),
    "discard": lambda q, v: q.discard("a", token=v),
    "status": lambda q, v: q.status("a", token=v),
    "reserve_argument": lambda q, v: q.reserve_argument("b", "d", token=v),
    "deferred_token": lambda q, v: q.reserve_argument("b", "d", deferred_token=v),
    "set_argument": lambda q, v: q.set_argument("d", "b", b"", token=v),
    "get_arguments": lambda q, v: q.get_arguments("a", token=v),
}
OPTIONS: dict[str, tuple[list[object], type[Exception]]] = {
    "on_error": (["ignore", "", None, b"fail", 0], ValueError),
    "attempts": ([0, -1, 1_000_001], ValueError),
    "heartrate": ([0, -1, math.nan, math.inf, 10**9 + 1], ValueError),
    "result_timeout": ([0, -1, math.nan, -math.inf, 10**9 + 1], ValueError),
}
OPTIONS_OF_ANOTHER_TYPE: dict[str, list[object]] = {
    "attempts": [1.0, "1", None, True],
    "heartrate": ["30", None, True],
    "result_timeout": ["soon", None, True],
}


def flat(cases: dict[str, dict[str, Give]]) -> list[Any]:
    return [
        pytest.param(argument, give, id=f"{operation} {argument}")
        for argument, operations in cases.items()
        for operation, give in operations.items()
    ]


@pytest.fixture
def queue(queue: AbstractTaskQueue) -> AbstractTaskQueue:
    """A task of each kind: `a` is claimed, `b` ready, `d` waits for `b`."""
    queue.submit(Request("a"), b"")
    queue.claim(0)
    queue.submit(Request("b"), b"")
    queue.submit(Request("d"), b"", {"b": None})
    return queue


def assert_nothing_has_changed(queue: AbstractTaskQueue) -> None:
    states = [queue.status(task_id) for task_id in "abdz"]
    assert states == ["processing", "enqueued", "pending", None]
    assert queue.size() == 2


class TestNames:
    @pytest.mark.spec("ENV-BAD-1", "ENV-BAD-5")
    @pytest.mark.parametrize("value", [None, 7, b"a", ("a",)], ids=repr)
    @pytest.mark.parametrize(("argument", "give"), flat(IDS))
    def test_an_id_is_a_string(
        self, queue: AbstractTaskQueue, argument: str, give: Give, value: object
    ) -> None:
        with pytest.raises(TypeError) as caught:
            give(queue, value)
        assert str(caught.value).startswith(f"{argument}: ")
        assert repr(value) in str(caught.value)
        assert_nothing_has_changed(queue)

    @pytest.mark.spec("ENV-BAD-1", "ENV-BAD-5")
    @pytest.mark.parametrize("value", ["", LONE_SURROGATE], ids=ascii)
    @pytest.mark.parametrize(("argument", "give"), flat(IDS))
    def test_an_id_is_not_empty_and_can_be_encoded(
        self, queue: AbstractTaskQueue, argument: str, give: Give, value: str
    ) -> None:
        with pytest.raises(ValueError, match=f"^{argument}: ") as caught:
            give(queue, value)
        assert repr(value) in str(caught.value)
        assert_nothing_has_changed(queue)

    @pytest.mark.spec("ENV-BAD-1", "ENV-BAD-5")
    @pytest.mark.parametrize(
        ("name", "error"), [(7, TypeError), (b"q", TypeError), (LONE_SURROGATE, ValueError)]
    )
    def test_so_is_the_name_of_a_queue(
        self, make_queue: MakeQueue, name: Any, error: type[Exception]
    ) -> None:
        with pytest.raises(error, match=r"^name: "):
            make_queue(name)

    @pytest.mark.spec("ENV-BAD-1")
    @pytest.mark.parametrize("task_id", ["a:b", "{a}", "é\n\0", "*", "x" * 980], ids=ascii)
    def test_any_other_string_will_do(self, make_queue: MakeQueue, task_id: str) -> None:
        queue = make_queue()
        other = make_queue(f"{queue.name}:{task_id}")
        assert queue.submit(Request(task_id), b"m").status == "accepted"
        assert queue.status(task_id) == "enqueued"
        assert other.size() == 0
        assert queue.get(0) == (task_id, b"m")
        assert queue.discard(task_id)


class TestLimits:
    @pytest.mark.spec("ENV-BAD-6", "ENV-BAD-5")
    @pytest.mark.parametrize(("argument", "give"), flat(IDS))
    def test_an_id_is_not_long(self, queue: AbstractTaskQueue, argument: str, give: Give) -> None:
        value = "é" * (NAME_BYTES_MAX // 2) + "x"
        with pytest.raises(ValueError, match=f"^{argument}: .* 1025: 'é+\\.\\.\\.é+x'$") as caught:
            give(queue, value)
        assert len(str(caught.value)) < 250
        assert_nothing_has_changed(queue)

    @pytest.mark.spec("ENV-BAD-6")
    def test_so_is_the_name_of_a_queue(self, make_queue: MakeQueue) -> None:
        with pytest.raises(ValueError, match=r"^name: at most 1024 bytes of UTF-8"):
            make_queue("x" * (NAME_BYTES_MAX + 1))

    @pytest.mark.spec("ENV-BAD-6")
    def test_the_longest_will_do(self, make_queue: MakeQueue) -> None:
        queue = make_queue("é" * (NAME_BYTES_MAX // 2))
        task_id = "x" * NAME_BYTES_MAX
        assert queue.enqueue_task(Request(task_id), b"")
        assert queue.discard(task_id)

    @pytest.mark.spec("ENV-BAD-6", "ENV-BAD-5")
    def test_a_task_has_not_too_many_arguments(self, queue: AbstractTaskQueue) -> None:
        ids = [f"b{n}" for n in range(ARGUMENTS_MAX + 1)]
        for give in (
            lambda: queue.submit(Request("z"), b"", dict.fromkeys(ids)),
            lambda: queue.defer_task(Request("z"), b"", ids),
        ):
            with pytest.raises(ValueError, match=r"^args: at most 10000 .* 10001: .*b") as caught:
                give()
            assert len(str(caught.value)) < 250
        assert_nothing_has_changed(queue)

    @pytest.mark.spec("ENV-BAD-6")
    def test_as_many_as_allowed_will_do(self, queue: AbstractTaskQueue) -> None:
        ids = [f"b{n}" for n in range(ARGUMENTS_MAX)]
        refused = queue.submit(Request("z"), b"", dict.fromkeys(ids))
        assert refused == Submitted("unavailable", "b0")
        assert queue.defer_task(Request("z"), b"", ids)
        assert queue.set_argument("z", ids[-1], b"") is False
        assert queue.discard("z")

    @pytest.mark.spec("ENV-BAD-5")
    def test_arguments_are_a_mapping(self, queue: AbstractTaskQueue) -> None:
        args: Any = ["b"]
        with pytest.raises(TypeError, match=r"^args: .*\['b'\]"):
            queue.submit(Request("z"), b"", args)
        assert_nothing_has_changed(queue)


class TestTimeouts:
    @pytest.mark.spec("ENV-BAD-2", "ENV-BAD-5")
    @pytest.mark.parametrize("value", [-1, -0.001, math.nan, -math.inf, 10**9 + 1], ids=repr)
    @pytest.mark.parametrize("give", TIMEOUTS.values(), ids=TIMEOUTS)
    def test_a_timeout_is_within_its_bounds(
        self, queue: AbstractTaskQueue, give: Give, value: float
    ) -> None:
        with pytest.raises(ValueError, match=r"^timeout: ") as caught:
            give(queue, value)
        assert repr(value) in str(caught.value)
        assert_nothing_has_changed(queue)

    @pytest.mark.spec("ENV-BAD-2", "ENV-BAD-5")
    @pytest.mark.parametrize("value", ["1", b"1", True, [1]], ids=repr)
    @pytest.mark.parametrize("give", TIMEOUTS.values(), ids=TIMEOUTS)
    def test_a_timeout_is_a_number(
        self, queue: AbstractTaskQueue, give: Give, value: object
    ) -> None:
        with pytest.raises(TypeError, match=r"^timeout: ") as caught:
            give(queue, value)
        assert repr(value) in str(caught.value)
        assert_nothing_has_changed(queue)

    @pytest.mark.spec("ENV-BAD-2")
    @pytest.mark.parametrize("operation", ["heartbeat", "set_task_timeout"])
    def test_a_lease_is_finite(self, queue: AbstractTaskQueue, operation: str) -> None:
        with pytest.raises(ValueError, match=r"^timeout: .*inf"):
            TIMEOUTS[operation](queue, math.inf)
        with pytest.raises(TypeError, match=r"^timeout: .*None"):
            TIMEOUTS[operation](queue, None)
        assert_nothing_has_changed(queue)


class TestMessages:
    @pytest.mark.spec("ENV-BAD-3", "ENV-BAD-5")
    @pytest.mark.parametrize("value", [None, "m", 7, bytearray(b"m"), memoryview(b"m")], ids=type)
    @pytest.mark.parametrize("give", MESSAGES.values(), ids=MESSAGES)
    def test_a_message_is_bytes(self, queue: AbstractTaskQueue, give: Give, value: object) -> None:
        with pytest.raises(TypeError, match=r"^(message|outcome): ") as caught:
            give(queue, value)
        assert repr(value) in str(caught.value)
        assert_nothing_has_changed(queue)

    @pytest.mark.spec("ENV-BAD-3", "ENV-BAD-5")
    @pytest.mark.parametrize("give", MESSAGES.values(), ids=MESSAGES)
    def test_a_message_has_a_limit(
        self, queue: AbstractTaskQueue, make_queue: MakeQueue, give: Give
    ) -> None:
        limited = make_queue(queue.name, queue.clock, message_bytes_max=3)
        with pytest.raises(ValueError, match=r"^(message|outcome): 4 bytes .* 3$"):
            give(limited, b"mmmm")
        assert_nothing_has_changed(queue)
        give(limited, b"mmm")

    @pytest.mark.spec("ENV-BAD-3")
    def test_the_limit_is_16_mib_unless_told_otherwise(self, queue: AbstractTaskQueue) -> None:
        assert queue.message_bytes_max == MESSAGE_BYTES_MAX == 16 * 2**20


class TestOptions:
    @pytest.mark.spec("ENV-BAD-4", "ENV-BAD-5")
    @pytest.mark.parametrize(
        ("option", "value", "error"),
        [
            *((name, value, error) for name, (vs, error) in OPTIONS.items() for value in vs),
            *((name, v, TypeError) for name, vs in OPTIONS_OF_ANOTHER_TYPE.items() for v in vs),
        ],
    )
    def test_options_make_sense(
        self, queue: AbstractTaskQueue, option: str, value: object, error: type[Exception]
    ) -> None:
        options: dict[str, Any] = {option: value}
        with pytest.raises(error, match=f"^{option}: ") as caught:
            queue.submit(Request("z", **options), b"")
        assert repr(value) in str(caught.value)
        assert_nothing_has_changed(queue)

    @pytest.mark.spec("ENV-BAD-4")
    def test_options_may_be_extreme(self, queue: AbstractTaskQueue) -> None:
        request = Request("z", attempts=1_000_000, heartrate=0.001, result_timeout=math.inf)
        assert queue.submit(request, b"").status == "accepted"

    @pytest.mark.spec("ENV-BAD-5")
    @pytest.mark.parametrize(
        ("value", "error"),
        [
            ("t", TypeError),
            (b"t" * 16, TypeError),
            ((b"t" * 16, 0), TypeError),
            (Token(b"short"), ValueError),
        ],
    )
    @pytest.mark.parametrize("give", TOKENS.values(), ids=TOKENS)
    def test_a_token_is_a_token(
        self, queue: AbstractTaskQueue, give: Give, value: object, error: type[Exception]
    ) -> None:
        with pytest.raises(error, match=r"^(token|deferred_token|args): ") as caught:
            give(queue, value)
        assert repr(value) in str(caught.value)
        assert_nothing_has_changed(queue)

    @pytest.mark.spec("ENV-BAD-7", "ENV-BAD-5", "SUB-4")
    @pytest.mark.parametrize(
        ("outcome", "error"),
        [
            (b"failed", TypeError),
            (("failure", b"f", "x"), TypeError),
            (Outcome("result", b"r"), ValueError),
            (Outcome("failure", b"f"), TypeError),
            (Outcome("failure", None, "x"), TypeError),
        ],
    )
    def test_only_a_failure_or_an_expiry_of_an_argument_ends_a_task_at_its_submit(
        self, queue: AbstractTaskQueue, outcome: Any, error: type[Exception]
    ) -> None:
        with pytest.raises(error, match=r"^outcome: "):
            queue.submit(Request("z"), b"", outcome=outcome)
        assert_nothing_has_changed(queue)
        assert queue.submit(Request("z"), b"", outcome=EXPIRED).status == "accepted"
