"""From the first call to the last result, with a worker that runs: time, CPU and round trips."""

from typing import Any

from benchmarks import cpu
from benchmarks.visit import Visit

SINGLE, TOGETHER = "end to end", "end to end together"
MANY_TASKS = 500


def measure(visit: Visit) -> None:
    if not visit.offers(SINGLE, "worker"):
        return
    visit.ready_worker()
    _measure(visit, SINGLE, {})
    if visit.offers(TOGETHER, "enqueue_many", "fetch_many"):
        _measure(visit, TOGETHER, {"many": MANY_TASKS, "together": True})


def _measure(visit: Visit, measure: str, how: dict[str, Any]) -> None:
    visit.calibrate(measure, lambda: _run(visit, measure, how)[:2])
    visit.rated(measure, lambda: _accounted(visit, measure, how))


def _run(visit: Visit, measure: str, how: dict[str, Any]) -> tuple[float, float, float]:
    count = visit.tasks(measure)
    done = visit.client.ask("end_to_end", count=count, **how)
    return count, done["seconds"], done["cpu_seconds"]


def _accounted(visit: Visit, measure: str, how: dict[str, Any]) -> tuple[float, float]:
    worker_cpu = visit.start_worker().cpu_s
    before, worker_s = visit.server.counters(), worker_cpu() if cpu.IS_MEASURED else 0.0
    count, seconds, client_s = _run(visit, measure, how)
    after = visit.server.counters()
    # Of the reads two are of INFO.
    visit.add(f"{measure}, round trips", max(0.0, after.reads - before.reads - 2) / count)
    if cpu.IS_MEASURED:
        parts = (client_s, worker_cpu() - worker_s, after.cpu_s - before.cpu_s)
        for name, part_s in zip(("client", "worker", "server"), parts, strict=True):
            visit.add(f"{measure}, CPU of {name}", 1e6 * part_s / count)
        visit.add(f"{measure}, CPU", 1e6 * sum(parts) / count)
    else:
        visit.say(f"{measure}, CPU", "CPU of other processes is measured on Linux only")
    return count, seconds
