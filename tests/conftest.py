"""What every test has: a Hypothesis profile, an empty Redis, and nothing it may leave behind."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.leaks import left_behind, running
from worq.testing.servers import (
    URL_VARIABLE,
    ServerUnavailable,
    find_program,
    leftover_keys,
    program_version,
    redis_for_tests,
)

pytest_plugins = ("worq.testing.plugin", "pytester")

# Profile → examples of a test, steps of an example of a state machine.
PROFILES = {"dev": (100, 40), "ci": (200, 50), "deep": (20_000, 60)}

for name, (examples, steps) in PROFILES.items():
    # All is said here: what is not said comes from Hypothesis's own profile, which in CI repeats
    # the same examples in each run and remembers none that failed.
    settings.register_profile(
        name,
        max_examples=examples,
        stateful_step_count=steps,
        database=DirectoryBasedExampleDatabase(Path(__file__).parents[1] / ".hypothesis/examples"),
        deadline=None,
        derandomize=False,
        print_blob=True,
    )
settings.load_profile(os.environ.get("WORQ_PROFILE", "dev"))

# What a shell runs in the background ignores SIGINT, and so would each program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Say which server the tests use."""
    if URL_VARIABLE in os.environ:
        return f"redis: the server of {URL_VARIABLE}"
    try:
        program = find_program()
    except ServerUnavailable as error:
        return str(error)
    return f"redis: {program_version(program)} ({program})"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses Redis, so that `-m redis` and `-m 'not redis'` need no care."""
    for item in items:
        if "redis_url" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.redis)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Lend the URL of a real Redis: one server for all tests of this process, empty for each."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    try:
        with redis_for_tests(index=int(worker.removeprefix("gw"))) as url:
            yield url
    except ServerUnavailable as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture(autouse=True)
def _nothing_left_in_redis(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("redis") is None:
        yield
        return
    url = request.getfixturevalue("redis_url")
    yield
    with redis.Redis.from_url(url) as client:
        left = leftover_keys(client)
        client.flushdb()
    if left:
        pytest.fail(f"left in Redis: {', '.join(left)}", pytrace=False)


@pytest.fixture(autouse=True)
def _nothing_left_running(_nothing_left_in_redis: None) -> Iterator[None]:
    before = running()
    yield
    if left := left_behind(before):
        pytest.fail(f"left running: {', '.join(left)}", pytrace=False)
