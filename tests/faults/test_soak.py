"""A short soak, and that one which does too little, or finds something, fails."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.backends.calls import PATIENCE_S
from tests.faults.evidence import Findings
from tests.faults.soak import Least, too_little
from tests.stateful.profile import by_profile

pytestmark = pytest.mark.redis

SECONDS = by_profile(4, 20, 300)
KILLS = by_profile(5, 15, 100)
# Others use the processors as well.
LEAST = Least(cycles=20, faults=1)


@pytest.mark.timeout(0)
@pytest.mark.spec("ENV-RETRY-1", "ENV-REDIS-5", "ENV-POOL-10", "ENV-POOL-15")
def test_nothing_is_lost_doubled_stranded_or_left_by_faults_at_random() -> None:
    options = {"--kills": KILLS, "--cycles-min": LEAST.cycles, "--faults-min": LEAST.faults}
    said = subprocess.run(
        [sys.executable, "-m", "tests.faults", str(SECONDS)]
        + [str(word) for option in options.items() for word in option],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout


@pytest.mark.parametrize(
    ("send", "number"),
    [(os.killpg, signal.SIGINT), (os.kill, signal.SIGTERM), (os.killpg, signal.SIGTERM)],
    ids=["INT to all", "TERM to it", "TERM to all"],
)
def test_a_soak_that_is_ended_leaves_nothing(
    send: Callable[[int, int], None], number: signal.Signals
) -> None:
    with (
        TemporaryDirectory() as folder,  # short enough for the path of a socket
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults", "600", "--folder", folder],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        ) as soak,
    ):
        wait_until(lambda: any(Path(folder).glob("*/logs-*/pool parent *.log")))
        send(soak.pid, number)
        assert soak.wait(PATIENCE_S) == 128 + number
        assert list(Path(folder).iterdir()) == []
        wait_until(lambda: not exists(soak.pid))


def exists(group: int) -> bool:
    """Does any process of it?"""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(holds: Callable[[], bool]) -> None:
    """For what nothing tells of."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_soak_that_does_too_little_fails() -> None:
    least = Least(cycles=100, faults=2)
    done = Findings(Counter(delivered=999, expired=1), 5_000, [])
    assert too_little(done, Counter(cut=20), 10, least) == []
    assert too_little(done, Counter(cut=19), 10, least) == ["less than 2 faults a second"]
    done.ends["expired"] = 0
    assert too_little(done, Counter(cut=20), 10, least) == ["less than 100 life cycles a second"]
