"""A prefix of keys in the URL: several applications on one server."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.backends.brokers import broker_of, call, work
from tests.backends.on_redis.cases import claim, submit
from worq import get_broker
from worq.introspection import Sign
from worq.queue.redis import TaskQueue
from worq.queue.redis.keys import keys_of, prefix
from worq.testing.scratch import Scratch
from worq.values import Request

SIGN = Sign("id", "a pool", "host", 1, 2, 3, ())
ACME, ACME_B = "acme:", "acme:b:"
"""One begins with the other."""


def with_prefix(url: str, begin: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}prefix={begin}"


@pytest.fixture
def three(redis_url: str) -> Iterator[list[TaskQueue]]:
    """Queues of one name, without a prefix and with two; their ids are `a`."""
    urls = [redis_url, with_prefix(redis_url, ACME), with_prefix(redis_url, ACME_B)]
    queues = [TaskQueue(url) for url in urls]
    yield queues
    for queue in queues:
        queue.purge()
        queue.discard("a")
        queue.close()


@pytest.mark.spec("ENV-REDIS-10")
class TestPrefix:
    def test_all_keys_begin_with_it(self, redis_url: str, raw: Any) -> None:
        """Those of all kinds: of records, waiting, receipts and signs."""
        with closing(TaskQueue(with_prefix(redis_url, ACME))) as queue:
            submit(queue, "a", attempts=2)
            submit(queue, "b", "a", attempts=2)
            submit(queue, "c")
            claim(queue)
            queue.pop("b", 0.01)
            queue.sign(SIGN, 60_000)
            keys = raw.keys()
            assert len(keys) > 10
            assert {key[: len("acme:{default}")] for key in keys} == {b"acme:{default}"}
            kept, transient = keys_of(raw, "default", ACME)
            assert sorted(kept | transient) == sorted(keys)
            queue.purge()
            queue.discard("a")
            queue.sign_off(SIGN.id)
            assert not keys_of(raw, "default", ACME).kept

    def test_without_one_they_begin_as_ever(self, three: list[TaskQueue], raw: Any) -> None:
        submit(three[0], "a")
        assert b"worq:{default}" in raw.keys()  # noqa: SIM118 - it is no dict
        assert prefix("default") == "worq:{default}"

    def test_worq_itself_is_one(self, three: list[TaskQueue], redis_url: str) -> None:
        submit(three[0], "a")
        with closing(TaskQueue(with_prefix(redis_url, "worq:"))) as queue:
            assert queue.status("a") == "enqueued"

    def test_neither_sees_anything_of_the_other(self, three: list[TaskQueue]) -> None:
        for seen, queue in enumerate(three):
            assert queue.queues() == []
            assert queue.status("a") is None
            assert submit(queue, "a").status == "accepted"
            queue.sign(SIGN, 60_000)
            assert [len(each.workers()) for each in three] == [1] * (seen + 1) + [0] * (2 - seen)
            assert queue.queues() == ["default"]
        assert [queue.purge() for queue in three[:2]] == [1, 1]
        assert [queue.size() for queue in three] == [0, 0, 1]
        for queue in three:
            queue.sign_off(SIGN.id)

    def test_a_wait_is_woken_under_it(self, redis_url: str) -> None:
        """The whole way of a task, with a worker and a wait."""
        with closing(TaskQueue(with_prefix(redis_url, ACME))) as queue:
            broker = broker_of(queue)
            first = call(broker.queue().give, "a", 1)
            second = call(broker.queue().give, "b", first)
            assert work(broker) == 2
            assert second.wait(1)
            assert second.value == 1

    def test_it_goes_wherever_the_url_does(self, redis_url: str) -> None:
        url = with_prefix(redis_url, ACME)
        with get_broker(url, "q") as broker, broker.clone(name="r") as other:
            assert broker.url == other.url == url
            other.queue().task()
            assert broker.introspection is not None
            assert broker.introspection.queues() == ["r"]
            other.discard_pending_tasks()

    def test_what_worq_check_leaves_is_found_under_it(self, redis_url: str, raw: Any) -> None:
        """And nothing else is removed."""
        raw.set("worq:{worq%20check}", "")
        scratch = Scratch(with_prefix(redis_url, ACME))
        with closing(scratch.queue("first")) as queue:
            queue.submit(Request("a"), b"")
        left = scratch.close()
        assert left
        assert all(key.startswith("acme:{worq%20check%20") for key in left)
        assert raw.keys("acme:*") == []
        assert raw.delete("worq:{worq%20check}") == 1


@pytest.mark.spec("ENV-REDIS-10", "ENV-API-11")
@pytest.mark.parametrize(
    "value", ["", "a{b", "a}", "a*", "a?", "a[b", "a b", "ä:", "a" * 65, "a\\"]
)
def test_a_bad_one_is_refused(value: str) -> None:
    with pytest.raises(
        ValueError, match=r"^url: prefix: text of 1 to 64 letters of ASCII, digits and"
    ) as no:
        TaskQueue(f"redis://host?prefix={value}")
    assert f"is needed, not {value!r}: " in str(no.value)
