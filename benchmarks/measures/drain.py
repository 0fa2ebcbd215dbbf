"""A worker that finds a full queue: from the first task that it runs to the last, by its own clock."""

from benchmarks.visit import Visit

DRAIN = "drain"


def measure(visit: Visit) -> None:
    if not visit.offers(DRAIN, "worker"):
        return
    visit.calibrate(DRAIN, lambda: _drain(visit))
    visit.rated(DRAIN, lambda: _drain(visit))


def _drain(visit: Visit) -> tuple[float, float]:
    count = visit.tasks(DRAIN)
    visit.stop_worker()
    visit.empty()
    visit.forget_marks()
    visit.client.ask("fill", count=count, marks=True)
    worker = visit.start_worker()
    # "first" is over when the clock begins to run, "last" is not when it ends.
    return count + 1, visit.seconds_between_marks(worker)
