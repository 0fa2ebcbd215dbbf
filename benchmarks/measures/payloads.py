"""Larger tasks: a string that goes there and back."""

from benchmarks.visit import Visit

SECONDS_MIN = 1e-4


def name(payload: str) -> str:
    return f"payload {payload}"


def measure(visit: Visit) -> None:
    if not visit.first:
        return
    for payload, letters in visit.plan.payloads.items():
        if visit.offers(name(payload), "worker"):
            visit.ready_worker()
            visit.add(name(payload), _per_s(visit, letters))


def _per_s(visit: Visit, letters: int) -> float:
    once_s = visit.client.ask("end_to_end", count=2, letters=letters)["seconds"] / 2
    count = int(visit.plan.slice_s / max(once_s, SECONDS_MIN))
    count = max(3, min(visit.plan.tasks_max // 10, count))
    return count / float(visit.client.ask("end_to_end", count=count, letters=letters)["seconds"])
