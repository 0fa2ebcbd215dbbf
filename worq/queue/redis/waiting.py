"""Waiting without polling: look, block on the server until woken, look again. [ENV-WAIT-2] [ENV-WAIT-3]"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from worq.clock import Clock
from worq.queue.redis.channel import Channel
from worq.queue.redis.link import Link
from worq.queue.redis.scripts import Script
from worq.queue.redis.url import BLOCK_MS_MAX

FOREVER = -1


Perform: TypeAlias = Callable[[Script, Sequence[Any]], bytes]
"""Does a script with these arguments, and returns its reply."""


class Question(Protocol):
    """What a waiting operation asks the server, and goes on asking."""

    def ask(self, perform: Perform, wait_ms: int, *, slept: bool) -> bytes:
        """The answer: N if there is none yet, W and for how long to block, ms (4 bytes), or another."""
        ...

    def wait_keys(self, channel: Channel) -> Sequence[bytes]:
        """The lists of which an element means that it is time to look again."""
        ...


def wait(link: Link, question: Question, timeout_ms: int | None) -> bytes:
    """The answer, which is N if the timeout has passed; None waits for ever."""
    if timeout_ms == 0:
        return question.ask(lambda script, arguments: link.call(script, *arguments), 0, slept=False)
    channel = link.take(waits=True)
    try:
        if link.clock is None:
            return _wait(link, channel, question, timeout_ms)
        return _wait_by(link.clock, link, channel, question, timeout_ms)
    finally:
        link.give(channel)


def _wait(link: Link, channel: Channel, question: Question, timeout_ms: int | None) -> bytes:
    """In two round trips: the second one blocks, and has the script behind it."""
    end_s = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
    block_ms = 0
    slept = False
    while True:
        left_ms = FOREVER if end_s is None else _ms_until(end_s)
        wait_ms = FOREVER if end_s is None else max(0, left_ms - block_ms)
        block = None
        if block_ms:
            block = (b"BLPOP", *question.wait_keys(channel), seconds(block_ms))
        reply = question.ask(_performing(link, channel, block), wait_ms, slept=slept)
        if reply[:1] == b"W":
            slept, block_ms = True, max(1, int.from_bytes(reply[1:5], "big"))
        elif reply == b"N" and (end_s is None or time.monotonic() < end_s):
            slept, block_ms = False, 0  # woken early, for something else
        else:
            return reply


def _wait_by(
    clock: Clock, link: Link, channel: Channel, question: Question, timeout_ms: int | None
) -> bytes:
    """By a clock that is advanced by hand, the time after a block is not known before it. [ENV-WAIT-8]"""
    end_ms = None if timeout_ms is None else clock.now_ms() + timeout_ms
    slept = False
    while True:
        seen_ms = clock.now_ms()
        wait_ms = FOREVER if end_ms is None else max(0, end_ms - seen_ms)
        reply = question.ask(_performing(link, channel), wait_ms, slept=slept)
        if reply[:1] != b"W":
            return reply
        slept = True
        # A clock that was advanced after the script looked has woken nobody yet.
        if clock.now_ms() == seen_ms:
            link.block(channel, (b"BLPOP", *question.wait_keys(channel), seconds(BLOCK_MS_MAX)))


def _performing(link: Link, channel: Channel, block: Sequence[Any] | None = None) -> Perform:
    """Over a channel; the first script right behind the command that blocks."""
    blocks = [block]

    def perform(script: Script, arguments: Sequence[Any]) -> bytes:
        return link.perform(channel, script, arguments, blocks.pop() if blocks else None)

    return perform


def _ms_until(end_s: float) -> int:
    """Rounded up: what is left of a timeout is 0 only when it has passed."""
    return max(0, -int((time.monotonic() - end_s) * 1000 // 1))


def seconds(ms: int) -> bytes:
    """For BLPOP, and a millisecond more: a wait may end late, but not early."""
    return b"%.3f" % ((ms + 1) / 1000)
