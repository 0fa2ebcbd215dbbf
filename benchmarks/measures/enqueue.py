"""Submitting: one task a call, and many a call. No worker runs."""

from benchmarks.visit import Visit

SINGLE, MANY = "enqueue", "enqueue many"
# Of the tasks of one call.
MANY_TASKS = 500


def measure(visit: Visit) -> None:
    _single(visit)
    if visit.offers(MANY, "enqueue_many"):
        _many(visit)
    visit.empty()


def _single(visit: Visit) -> None:
    _rated(visit, SINGLE, 0)


def _many(visit: Visit) -> None:
    _rated(visit, MANY, min(MANY_TASKS, visit.plan.tasks_max))


def _rated(visit: Visit, measure: str, many: int) -> None:
    def enqueue() -> tuple[float, float]:
        done = visit.client.ask("enqueue", seconds=visit.plan.slice_s, many=many)
        return done["tasks"], done["seconds"]

    visit.calibrate(measure, enqueue)
    visit.empty()
    visit.rated(measure, enqueue)
    visit.empty()
