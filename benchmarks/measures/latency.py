"""One task after the other: how long each takes, and the first after a while in which nothing happened."""

import time
from statistics import median

from benchmarks.visit import Visit

LATENCY, IDLE = "latency", "latency after idling"
TURNS_MIN, TURNS_MAX = 3, 100


def measure(visit: Visit) -> None:
    if not visit.offers(LATENCY, "worker"):
        return
    visit.ready_worker()
    once_s = median(visit.client.ask("turns", count=TURNS_MIN))
    turns = max(TURNS_MIN, min(TURNS_MAX, int(visit.plan.slice_s / once_s)))
    visit.add(LATENCY, 1000 * median(visit.client.ask("turns", count=turns)))
    if visit.first or visit.plan.idle_each_round:
        time.sleep(visit.plan.idle_s)
        visit.add(IDLE, 1000 * visit.client.ask("turns", count=1)[0])
