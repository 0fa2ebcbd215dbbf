"""Where the claims of a pool of processes meet those of its workers that are free."""

import threading
from collections.abc import Iterator

import pytest

from tests.backends.calls import Call
from worq.pool.desk import Desk, Job
from worq.task import FunctionTask
from worq.values import Claim, Token

RUNNING = threading.Event()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk(2)
    desk.open()
    yield desk
    for post in desk.posts:
        desk.leave(post)


def job(task_id: str) -> Job:
    token = Token.new()
    return Job(Claim(task_id, token, b"", {}), FunctionTask("f", task_id, token, (), {}))


def rung(desk: Desk) -> list[bool]:
    return [post.bell.poll() for post in desk.posts]


def test_job_goes_to_a_post_that_is_free_and_rings_its_bell(desk: Desk) -> None:
    first, second = desk.posts
    desk.offer(second)
    desk.place(placed := job("a"))
    assert rung(desk) == [False, True]
    second.still()
    assert rung(desk) == [False, False]
    assert [desk.take(first), desk.take(second)] == [None, placed]


def test_job_waits_for_the_first_post_that_is_free(desk: Desk) -> None:
    first, second = desk.posts
    jobs = [job("a"), job("b")]
    for each in jobs:
        desk.place(each)
    assert desk.waiting() == jobs
    desk.offer(second)
    desk.offer(first)
    assert [second.job, first.job] == jobs
    assert desk.waiting() == []


def test_post_that_was_taken_away_gets_no_job(desk: Desk) -> None:
    first, _ = desk.posts
    desk.offer(first)
    assert desk.take(first) is None
    desk.place(placed := job("a"))
    assert desk.waiting() == [placed]


def test_job_that_was_given_back_goes_to_another(desk: Desk) -> None:
    first, second = desk.posts
    desk.offer(first)
    desk.place(placed := job("a"))
    desk.offer(second)
    desk.give_back(first)
    assert [first.job, second.job] == [None, placed]


def test_post_that_goes_on_with_another_job_is_not_free_meanwhile(desk: Desk) -> None:
    first, _ = desk.posts
    desk.offer(first)
    desk.place(job("a"))
    desk.done(first)
    desk.keep(first, kept := job("b"))
    had_waiting = desk.has_waiting
    desk.place(placed := job("c"))
    assert [had_waiting, desk.has_waiting] == [False, True]
    assert [desk.take(first), desk.waiting()] == [kept, [placed]]


def test_nothing_is_claimed_before_the_desk_is_open_and_a_post_free() -> None:
    desk = Desk(1)
    claiming = Call(lambda: desk.wait_for_free(RUNNING))
    assert claiming.sleeps()
    desk.offer(desk.posts[0])
    assert claiming.sleeps()
    desk.open()
    assert claiming.answer()
    desk.leave(desk.posts[0])


def test_no_more_is_claimed_at_once_than_posts_are_free() -> None:
    desk = Desk(2, claimers=3)
    desk.open()
    first, second = desk.posts
    desk.offer(first)
    assert desk.wait_for_free(RUNNING)
    claiming = [Call(lambda: desk.wait_for_free(RUNNING)) for _ in range(2)]
    assert all(each.sleeps() for each in claiming)
    desk.fill(job("a"))
    assert first.job is not None
    assert all(each.sleeps() for each in claiming)
    desk.offer(second)
    assert sorted(each.sleeps() for each in claiming) == [False, True]
    assert desk.take(second) is None  # it has died
    desk.fill(placed := job("b"))
    assert desk.waiting() == [placed]
    stopping = [each for each in claiming if each.sleeps()]
    desk.done(first)
    desk.offer(first)
    assert first.job is placed
    desk.offer(second)
    assert all(each.answer() for each in stopping)
    for _ in range(2):
        desk.close()
        assert not desk.is_done()
    desk.close()
    assert desk.is_done()
    for post in desk.posts:
        desk.leave(post)


def test_stopping_ends_the_wait_for_a_free_post(desk: Desk) -> None:
    stopping = threading.Event()
    claiming = Call(lambda: desk.wait_for_free(stopping))
    assert claiming.sleeps()
    stopping.set()
    desk.wake()
    assert not claiming.answer()


def test_closed_desk_is_done_when_no_job_waits(desk: Desk) -> None:
    first, second = desk.posts
    desk.place(job("a"))
    waiting = Call(lambda: desk.wait(1000))
    desk.close()
    assert rung(desk) == [True, True]
    assert waiting.sleeps()
    desk.offer(first)
    assert waiting.answer()
    desk.give_back(first)
    assert not desk.is_done()
    desk.offer(second)
    assert desk.is_done()


def test_desk_that_is_over_is_done_whatever_waits(desk: Desk) -> None:
    desk.place(placed := job("a"))
    desk.end()
    assert desk.is_done()
    assert desk.is_over()
    assert rung(desk) == [True, True]
    assert desk.waiting() == [placed]


def test_desk_is_idle_when_no_post_has_a_job(desk: Desk) -> None:
    first, _ = desk.posts
    desk.offer(first)
    desk.place(job("a"))
    assert not desk.wait_until_idle(0)
    waiting = Call(lambda: desk.wait_until_idle(20))
    assert waiting.sleeps()
    desk.done(first)
    assert waiting.answer()


def test_bell_of_a_post_that_was_given_up_is_not_rung(desk: Desk) -> None:
    for post in desk.posts:
        desk.leave(post)
    desk.close()
    assert desk.is_done()
