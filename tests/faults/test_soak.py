"""A short soak, and that one which does too little, or finds something, fails."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

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


def test_a_soak_that_does_too_little_fails() -> None:
    least = Least(cycles=100, faults=2)
    done = Findings(Counter(delivered=999, expired=1), 5_000, [])
    assert too_little(done, Counter(cut=20), 10, least) == []
    assert too_little(done, Counter(cut=19), 10, least) == ["less than 2 faults a second"]
    done.ends["expired"] = 0
    assert too_little(done, Counter(cut=20), 10, least) == ["less than 100 life cycles a second"]
