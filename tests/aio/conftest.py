"""Queues of each backend, and brokers of `worq.aio` for them."""

from tests.backends.conftest import clock, make_queue, queue, start

__all__ = ["clock", "make_queue", "queue", "start"]
