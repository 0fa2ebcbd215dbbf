"""Bytes that nobody has written: whatever they are, nothing is executed, and they are refused as documented."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, Seeds, seeds_of

ROOT = Path(__file__).parents[2]
MUTATIONS = st.lists(
    st.tuples(st.sampled_from(["flip", "drop", "insert", "repeat"]), st.integers(0), st.binary()),
    min_size=1,
    max_size=4,
)


def mutated(message: bytes, mutations: list[tuple[str, int, bytes]]) -> bytes:
    for what, at, more in mutations:
        place = at % (len(message) + 1)
        head, tail = message[:place], message[place:]
        match what:
            case "flip":
                message = head + bytes(each ^ (1 << at % 8) for each in tail[:1]) + tail[1:]
            case "drop":
                message = head + tail[1 + len(more) :]
            case "insert":
                message = head + more + tail
            case _:
                message = head + head[-8:] * (1 + at % 200) + tail
    return message


@pytest.mark.spec("ENV-SER-4", "ENV-SER-6")
@pytest.mark.parametrize("name", TARGETS)
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(message=st.binary())
def test_arbitrary_bytes_are_refused_or_data(name: str, message: bytes) -> None:
    TARGETS[name](message)


@pytest.mark.spec("ENV-SER-4", "ENV-SER-6")
@pytest.mark.parametrize("name", TARGETS)
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), mutations=MUTATIONS)
def test_mutated_messages_are_refused_or_data(
    name: str, data: st.DataObject, mutations: list[tuple[str, int, bytes]]
) -> None:
    seeds: Seeds = seeds_of(name)
    message = data.draw(st.sampled_from(seeds))
    TARGETS[name](mutated(message, mutations))


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_good_messages(name: str) -> None:
    """Or mutating them would show nothing."""
    assert sum(map(TARGETS[name], seeds_of(name))) >= 3


def test_make_fuzz_fuzzes_or_says_that_it_can_not() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "1", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if importlib.util.find_spec("atheris") is None:
        assert done.returncode == 1
        assert done.stdout.startswith("NOT FUZZED: atheris is not installed.")
    else:
        assert done.stdout.endswith("0 of 1 targets failed\n"), done.stderr
        assert done.returncode == 0
