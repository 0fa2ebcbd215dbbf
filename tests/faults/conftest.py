"""Servers of these tests' own, which may be stopped, killed and filled up."""

from collections.abc import Iterator

import pytest

from tests.faults.trials import Court
from worq.testing.servers import RedisServer


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One that keeps nothing."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def durable() -> Iterator[RedisServer]:
    """One that has written down each change before it answers."""
    with RedisServer(append_only=True) as server:
        yield server


@pytest.fixture
def court(server: RedisServer) -> Iterator[Court]:
    with Court(server.url) as court:
        yield court


@pytest.fixture
def durable_court(durable: RedisServer) -> Iterator[Court]:
    with Court(durable.url) as court:
        yield court
