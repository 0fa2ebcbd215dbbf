"""What a pool is fed with: queues in turn, so many tasks, or all there are."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import worq
from tests.backends.conftest import Start, start
from worq.core import Broker, Ended
from worq.pool import backoff
from worq.pool import keeper as keeper_module
from worq.pool import lookout as lookout_module
from worq.pool.feed import Feed, Ledger
from worq.pool.lookout import Lookout
from worq.pool.thread import WorkerPool

__all__ = ["start"]

SECONDS = 20


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis), "sqlite"])
def brokers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Broker]]:
    """Three queues with one task, `len`."""
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/queues.db"}
    url = urls.get(request.param) or request.getfixturevalue("redis_url")
    found = [worq.get_broker(url, f"{name}-{uuid4().hex}") for name in "abc"]
    found[0].expose(len)
    for broker in found[1:]:
        broker.tasks = found[0].tasks
    yield found
    for broker in found:
        broker.close()  # a test may have done it
        with worq.get_broker(url, broker.name) as last:
            last.discard_pending_tasks()


def submit(broker: Broker, count: int) -> None:
    for _ in range(count):
        broker.queue(ignore_result=True).len("")


@pytest.mark.parametrize("workers", [1, 4])
def test_no_more_tasks_are_claimed_than_allowed(brokers: list[Broker], workers: int) -> None:
    spent = threading.Event()
    ledger = Ledger(tasks_max=3, spent=spent.set)
    with WorkerPool(Feed(brokers[:1], ledger), workers):
        submit(brokers[0], 7)
        assert spent.wait(SECONDS)
    assert len(brokers[0]) == 4


def test_a_claim_that_was_not_made_is_one_for_others(brokers: list[Broker]) -> None:
    feed = Feed(brokers[:1], Ledger(tasks_max=1)).clone()
    assert feed.claim(0.001) is None
    submit(brokers[0], 2)
    assert feed.claim(0) is not None
    threading.Timer(0, feed.close).start()
    assert feed.claim(None) is None


@pytest.mark.spec("ENV-POOL-24")
def test_the_queue_behind_the_last_is_first_whoever_claims(brokers: list[Broker]) -> None:
    feed = Feed(brokers)
    other = feed.clone()
    for broker, count in zip(brokers, (3, 1, 2), strict=True):
        submit(broker, count)
    claims = [claimer.claim(0) for claimer in (feed, other, feed, other, feed, other)]
    queues = [claim.token.home.queue[0] for claim in claims if claim is not None]  # type: ignore[attr-defined]
    assert "".join(queues) == "abcaca"
    other.close()


def took(lookout: Lookout, timeout: float | None = None) -> int | None:
    """The queue that an idle worker is told of, and has looked at."""
    with lookout.told(timeout) as queue:
        return queue


@pytest.fixture
def lookout(brokers: list[Broker]) -> Iterator[Lookout]:
    closed = threading.Event()
    found = Lookout(brokers, closed)
    yield found
    closed.set()
    found.wake()
    for broker in brokers:
        broker.close()
    found.join()


@pytest.mark.spec("ENV-POOL-25")
def test_an_idle_worker_is_told_of_a_task_of_any_queue(
    brokers: list[Broker], lookout: Lookout, start: Start
) -> None:
    for number in (2, 0, 1, 1, 2):
        call = start(lambda: took(lookout))
        assert call.sleeps()
        submit(brokers[number], 1)
        assert call.answer() == number
        assert brokers[number].claim(0) is not None


def test_of_several_idle_workers_one_is_told_until_it_has_looked(
    brokers: list[Broker], lookout: Lookout, start: Start
) -> None:
    submit(brokers[1], 1)
    with lookout.told(None) as queue:
        assert queue == 1
        other = start(lambda: took(lookout))
        assert other.sleeps()
    assert other.answer() == 1
    assert brokers[1].claim(0) is not None


@pytest.mark.spec("ENV-POOL-25")
def test_one_worker_waits_for_several_queues_without_asking_for_a_task_in_vain(
    brokers: list[Broker], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[float | None] = []
    for broker in brokers:

        def claim(timeout: float | None, own: Any = broker.claim) -> Any:
            looked.append(timeout)
            return own(timeout)

        monkeypatch.setattr(broker, "claim", claim)
    feed = Feed(brokers)
    call = start(lambda: feed.claim(None))
    assert call.sleeps()
    assert looked == [0, 0, 0]
    submit(brokers[1], 1)
    assert call.answer() is not None
    assert set(looked) == {0}
    feed.close()


def lacking(_: object) -> bool:
    raise NotImplementedError


@pytest.mark.spec("ENV-POOL-25")
def test_a_backend_that_cannot_wait_without_claiming_is_asked_now_and_then(
    brokers: list[Broker], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout_module, "SLICE_S", 0.001)
    for broker in brokers:
        monkeypatch.setattr(broker, "await_ready", lacking)
    feed = Feed(brokers)
    claims = [start(lambda: feed.claim(None)) for _ in range(2)]
    submit(brokers[2], 1)
    submit(brokers[0], 1)
    assert None not in [call.answer() for call in claims]
    feed.close()


@pytest.mark.spec("ENV-POOL-5", "ENV-POOL-25")
def test_an_error_while_nobody_looks_is_met_by_who_looks(
    brokers: list[Broker], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> bool:
        raise worq.BackendUnavailable("planted", "not_sent")

    monkeypatch.setattr(brokers[1], "await_ready", fail)
    feed = Feed(brokers)
    own = brokers[1].claim
    failing = [True]
    monkeypatch.setattr(brokers[1], "claim", lambda timeout: fail(0) if failing else own(timeout))
    assert isinstance(start(lambda: feed.claim(None)).error(), worq.BackendUnavailable)
    failing.clear()
    submit(brokers[1], 1)
    assert start(lambda: feed.claim(None)).answer() is not None
    feed.close()


@pytest.mark.spec("ENV-POOL-5", "ENV-POOL-25")
def test_a_queue_that_cannot_be_claimed_from_keeps_nobody_from_the_others(
    brokers: list[Broker], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> Any:
        raise RuntimeError("planted")

    own = brokers[0].claim
    monkeypatch.setattr(brokers[0], "claim", fail)
    monkeypatch.setattr(brokers[0], "await_ready", fail)
    feed = Feed(brokers)
    submit(brokers[0], 1)
    submit(brokers[1], 2)
    submit(brokers[2], 1)
    assert None not in [feed.claim(0) for _ in range(3)]
    assert caplog.text.count("nothing can be claimed from") == 1
    with pytest.raises(RuntimeError, match="planted"):
        feed.claim(0)
    monkeypatch.setattr(brokers[0], "claim", own)
    assert feed.claim(0) is not None
    feed.close()


@pytest.mark.spec("ENV-POOL-25")
def test_a_queue_that_cannot_be_claimed_from_is_looked_at_last(
    brokers: list[Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    for number, broker in enumerate(brokers):

        def claim(_: object, number: int = number) -> Any:
            looked.append(number)
            if number == 1:
                raise RuntimeError("planted")

        monkeypatch.setattr(broker, "claim", claim)
    feed = Feed(brokers)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="planted"):
            feed.claim(0)
    assert looked == [0, 1, 2, 2, 0, 1]
    feed.close()


class Outage:
    """The server of one queue does not answer, until it is over."""

    def __init__(self, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(backoff, "FIRST_S", 0.001)
        monkeypatch.setattr(backoff, "LAST_S", 0.01)
        self.claims = 0
        self.begun = threading.Event()
        self.asked = threading.Semaphore(0)
        self.is_over = threading.Event()
        own_claim, own_len = broker.claim, Broker.__len__

        def claim(timeout: float | None) -> Any:
            if self.is_over.is_set():
                return own_claim(timeout)
            self.claims += 1
            return self.trouble()

        def size(this: Broker) -> int:
            if this is broker and not self.is_over.is_set():
                self.asked.release()
                raise worq.BackendUnavailable("planted", "not_sent")
            return own_len(this)

        monkeypatch.setattr(broker, "claim", claim)
        monkeypatch.setattr(Broker, "__len__", size)

    def trouble(self) -> None:
        raise worq.BackendUnavailable("planted", "not_sent")


class Silence(Outage):
    """Who claims is not told that there is nothing."""

    def trouble(self) -> None:
        self.begun.set()
        assert self.is_over.wait(SECONDS)
        super().trouble()


@pytest.mark.spec("ENV-POOL-25")
def test_a_queue_whose_server_is_gone_is_left_alone_until_it_answers(
    brokers: list[Broker], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Outage(brokers[0], monkeypatch)
    feed = Feed(brokers)
    submit(brokers[1], 5)
    assert None not in [feed.claim(0) for _ in range(5)]
    assert feed.claim(0) is None
    assert outage.claims == 1
    for _ in range(2):
        assert outage.asked.acquire(timeout=SECONDS)
    submit(brokers[0], 1)
    waiting = start(lambda: feed.claim(None))
    assert waiting.sleeps()
    outage.is_over.set()
    assert waiting.answer() is not None
    assert outage.claims == 1
    feed.close()


@pytest.mark.spec("ENV-POOL-25")
def test_a_queue_whose_server_is_silent_holds_one_worker(
    brokers: list[Broker], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Silence(brokers[0], monkeypatch)
    feed = Feed(brokers)
    held = start(lambda: feed.claim(0))
    assert outage.begun.wait(SECONDS)
    submit(brokers[2], 5)
    assert None not in [feed.claim(0) for _ in range(5)]
    assert feed.claim(0) is None
    assert outage.claims == 1
    outage.is_over.set()
    assert isinstance(held.error(), worq.BackendUnavailable)
    feed.close()


@pytest.mark.spec("ENV-POOL-25")
def test_a_burst_is_not_over_while_a_queue_is_left_alone(
    brokers: list[Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Outage(brokers[0], monkeypatch)
    spent = threading.Event()
    ledger = Ledger(burst=True, spent=spent.set)
    feed = Feed(brokers, ledger)
    with pytest.raises(worq.BackendUnavailable):
        feed.claim(0)
    assert feed.claim(0) is None
    assert not ledger.is_spent
    outage.is_over.set()
    while not spent.is_set():
        assert feed.claim(0.01) is None
    feed.close()


@pytest.mark.spec("ENV-POOL-25")
def test_a_burst_is_not_over_while_another_worker_still_looks(
    brokers: list[Broker], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, begun, may_end = brokers[0].claim, threading.Event(), threading.Event()

    def claim(timeout: float | None) -> Any:
        begun.set()
        assert may_end.wait(SECONDS)
        return own(timeout)

    monkeypatch.setattr(brokers[0], "claim", claim)
    ledger = Ledger(burst=True)
    feed = Feed(brokers, ledger)
    submit(brokers[0], 1)
    slow = start(lambda: feed.claim(0))
    assert begun.wait(SECONDS)
    assert feed.claim(0) is None
    feed._lookout.aside.clear()  # noqa: SLF001 - as its server answers another
    monkeypatch.setattr(Lookout, "put_aside", lambda *_: None)
    monkeypatch.setattr(brokers[0], "claim", lambda _: None)
    assert feed.claim(0) is None
    assert not ledger.is_spent
    may_end.set()
    assert slow.answer() is not None
    feed.close()


@pytest.mark.spec("ENV-POOL-25")
def test_a_burst_is_not_over_while_a_queue_cannot_be_claimed_from(
    brokers: list[Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> Any:
        raise RuntimeError("planted")

    monkeypatch.setattr(brokers[0], "claim", fail)
    ledger = Ledger(burst=True)
    feed = Feed(brokers, ledger)
    with pytest.raises(RuntimeError, match="planted"):
        feed.claim(0)
    assert not ledger.is_spent
    feed.close()


def test_who_waited_and_got_a_task_has_it_while_another_still_looks(
    brokers: list[Broker], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger()
    feed = Feed(brokers[:1], ledger)
    own, waits = brokers[0].claim, threading.Event()

    def claim(timeout: float | None) -> Any:
        if timeout != 0:
            waits.set()
        return own(timeout)

    monkeypatch.setattr(brokers[0], "claim", claim)
    waiting = start(lambda: feed.claim(None))
    assert waits.wait(SECONDS)
    with ledger.turn:  # as who looks over a connection that has gone silent
        submit(brokers[0], 1)
        assert waiting.answer() is not None


def test_a_look_that_takes_long_keeps_nobody_from_a_task(brokers: list[Broker]) -> None:
    ledger = Ledger()
    feed = Feed(brokers, ledger)
    submit(brokers[0], 1)
    with ledger.turn:
        assert feed.claim(SECONDS) is not None
    feed.close()


def test_closing_ends_all_waiting(brokers: list[Broker], start: Start) -> None:
    feed = Feed(brokers).clone()
    claims = [start(lambda: feed.claim(None)) for _ in range(5)]
    for each in claims[3:]:
        each.sleeps()
    feed.close()
    for each in claims:
        assert each.error() is None or isinstance(each.error(), worq.QueueClosed)


def test_a_burst_waits_for_what_runs_and_for_what_that_makes_ready(brokers: list[Broker]) -> None:
    spent = threading.Event()
    feed = Feed(brokers, Ledger(burst=True, spent=spent.set))
    one = brokers[2].queue().len("a")
    two = worq.Task(brokers[2].queue().len, on_error="pass")(one)
    claim = feed.claim(0)
    assert claim is not None
    assert feed.claim(0) is None
    assert not spent.is_set()
    task = feed.read(claim)
    assert task is not None
    assert feed.heartbeat(task)
    feed.set_result(task, "b")
    feed.ended(task.token)
    again = feed.claim(0)
    assert again is not None
    assert feed.claim(0) is None
    assert not spent.is_set()
    assert feed.release(feed.glance(again))
    feed.ended(again.token)
    assert feed.claim(0) is None
    assert spent.is_set()
    assert two.wait(0)


def test_what_cannot_be_read_has_ended(brokers: list[Broker]) -> None:
    spent = threading.Event()
    failed = brokers[1].queue().len(Unreadable())
    with WorkerPool(Feed(brokers, Ledger(burst=True, spent=spent.set))):
        assert spent.wait(SECONDS)
    with pytest.raises(worq.TaskFailure, match="message cannot be read: RuntimeError: planted"):
        _ = failed.value


def test_an_outcome_that_is_stored_at_the_second_try_has_not_ended_at_the_first(
    brokers: list[Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = threading.Event()
    feed = Feed(brokers, Ledger(burst=True, spent=spent.set))
    other = feed.clone()
    too_early: list[bool] = []
    own = Broker.finish_many

    def finish(broker: Broker, ended: list[Ended], claims: int = 0) -> Any:
        if not all(each.again for each in ended):
            raise worq.BackendUnavailable("planted", "unknown")
        assert other.claim(0) is None
        too_early.append(spent.is_set())
        return own(broker, ended, claims)

    one = brokers[0].queue().len("a")
    last = worq.Task(brokers[0].queue().len, on_error="pass")(one)
    monkeypatch.setattr(Broker, "finish_many", finish)
    with WorkerPool(feed):
        assert spent.wait(SECONDS)
    other.close()
    assert too_early == [False, False]
    assert last.wait(0)


def test_what_is_given_up_has_ended(brokers: list[Broker], monkeypatch: pytest.MonkeyPatch) -> None:
    def finish(*_: Any, **__: Any) -> bool:
        raise RuntimeError("planted")

    monkeypatch.setattr(Broker, "finish_many", finish)
    lost = brokers[0].queue().len("a")
    spent = threading.Event()
    with WorkerPool(Feed(brokers, Ledger(burst=True, spent=spent.set))):
        assert spent.wait(SECONDS)
    brokers[0].task_failed(lost)


class Unreadable:
    def __reduce__(self) -> tuple[object, ...]:
        return planted, ()


def planted() -> None:
    raise RuntimeError("planted")


@pytest.mark.spec("ENV-POOL-30")
def test_a_server_that_cannot_be_reached_keeps_no_other_from_its_heartbeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise worq.BackendUnavailable("planted", "unknown")

    monkeypatch.setattr(keeper_module, "RETRY_MS", 10)
    down, up = servers = [worq.get_broker(f"sqlite:///{tmp_path}/{n}.db") for n in range(2)]
    beaten, signed, released = (threading.Semaphore(0) for _ in range(3))
    begun, go_on = threading.Semaphore(0), threading.Event()

    def run() -> None:
        begun.release()
        go_on.wait(SECONDS)

    down.expose(run)
    up.tasks = down.tasks
    feed = Feed(servers)
    monkeypatch.setattr(feed, "clone", lambda **_: feed)
    with WorkerPool(feed, 2, name="planted") as pool:
        for broker in servers:  # the claim of the one that is down was made first
            broker.queue(heartrate=0.05, attempts=2).run()
            assert begun.acquire(timeout=SECONDS)
        for name, done in (("heartbeat", beaten), ("sign", signed), ("release", released)):
            monkeypatch.setattr(down, name, fail)
            own = getattr(up, name)

            def noted(*args: Any, own: Any = own, done: Any = done, **kw: Any) -> Any:
                done.release()
                return own(*args, **kw)

            monkeypatch.setattr(up, name, noted)
        for _ in range(20):
            assert beaten.acquire(timeout=1)
        assert signed.acquire(timeout=SECONDS)
        pool.abort()
        assert released.acquire(timeout=SECONDS)
        go_on.set()
