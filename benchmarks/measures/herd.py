"""What one task costs in round trips when one worker is idle, and when 32 are."""

import time
from statistics import median

from benchmarks.visit import Visit

ONE, MANY = "round trips, 1 idle worker", "round trips, 32 idle workers"
TASKS = 15
PAUSE_S = 0.05


def measure(visit: Visit) -> None:
    """Of worq only: the others don't all take a number of workers."""
    if not (visit.peer.is_worq and visit.first):
        return
    for name, threads in ((ONE, 1), (MANY, 32)):
        visit.stop_worker()
        visit.ready_worker(threads=threads)
        visit.add(name, median(_one_task(visit) for _ in range(min(TASKS, visit.plan.tasks_max))))
    visit.stop_worker()


def _one_task(visit: Visit) -> int:
    time.sleep(PAUSE_S)
    before = visit.server.counters().reads
    visit.client.ask("turns", count=1)
    time.sleep(PAUSE_S)
    # Less the two of INFO in between.
    return visit.server.counters().reads - before - 2
