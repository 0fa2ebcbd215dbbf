"""Bytes of the server: of a task that is queued, and what is left when a result has been fetched."""

import time

from benchmarks.visit import Visit

QUEUED, LEFT, KEYS_LEFT = "bytes queued", "bytes left", "keys left"
TASKS = 3000
SETTLE_S = 0.3


def measure(visit: Visit) -> None:
    """Once a run: it does not vary."""
    if not visit.first:
        return
    visit.stop_worker()
    visit.empty()
    count = min(TASKS, visit.plan.tasks_max)
    visit.client.ask("fill", count=1)  # connections and scripts are there
    visit.empty()
    before = visit.server.used_bytes()
    visit.client.ask("fill", count=count)
    visit.add(QUEUED, (visit.server.used_bytes() - before) / count)
    visit.empty()
    if visit.offers(LEFT, "worker"):
        _left(visit, min(count, 2 * visit.tasks("end to end")))


def _left(visit: Visit, count: int) -> None:
    visit.ready_worker()
    visit.client.ask("end_to_end", count=min(3, count))
    before, keys = visit.server.used_bytes(), visit.server.keys()
    visit.client.ask("end_to_end", count=count)
    time.sleep(SETTLE_S)
    visit.add(LEFT, max(0.0, (visit.server.used_bytes() - before) / count))
    visit.add(KEYS_LEFT, max(0.0, (visit.server.keys() - keys) / count))
    visit.stop_worker()
    visit.empty()
