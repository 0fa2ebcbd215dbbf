"""A graph: so many tasks that feed one."""

from benchmarks.visit import Visit

GRAPH = "graph"


def measure(visit: Visit) -> None:
    if not visit.first or not visit.offers(GRAPH, "worker", "graph"):
        return
    visit.ready_worker()
    count = visit.plan.graph_tasks
    visit.client.ask("graph", count=2)
    before = visit.server.lpush_per_s(visit.plan.lpush_s)
    seconds = visit.client.ask("graph", count=count)
    after = visit.server.lpush_per_s(visit.plan.lpush_s)
    visit.add(GRAPH, count / seconds)
    visit.add(f"{GRAPH}, x", count / seconds / ((before + after) / 2))
