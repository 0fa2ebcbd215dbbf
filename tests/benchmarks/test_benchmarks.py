"""The harness of benchmarks/ measures what it says; no figure is asserted."""

from xml.etree import ElementTree as ET

import pytest

from benchmarks import run as runs
from benchmarks.adapters import driver
from benchmarks.chart import chart
from benchmarks.environments import EnvironmentUnavailable
from benchmarks.measures import drain, end_to_end, enqueue, growth, latency, machines
from benchmarks.measures.pools import POOLS
from benchmarks.peers import FOLDER, Peer, read
from benchmarks.plan import TINY
from benchmarks.reach import Check, Row, rows
from benchmarks.report import Report
from benchmarks.run import Run
from benchmarks.samples import Samples

EVERYBODY, ENVIRONMENTS = read()
PLAN = TINY._replace(machine_s=0.01, explore_s=0.01)


def measured(*measures: str, names: tuple[str, ...]) -> Samples:
    run = Run(PLAN, [peer for peer in EVERYBODY if peer.name in names], ENVIRONMENTS, measures)
    run(lambda what, done, of: None)
    return run.samples


def test_worq_and_the_floor_are_measured_on_a_server() -> None:
    names = ("floor", "worq")
    samples = measured("enqueue", "drain", "end_to_end", "latency", names=names)
    taken = (enqueue.SINGLE, drain.DRAIN, end_to_end.SINGLE, latency.LATENCY)
    lacking = [(each, name) for each in taken for name in names if not samples.get(each, name)]
    assert (lacking, [said for said in samples.said() if "failed" in said[2]]) == ([], [])


def test_a_pool_in_memory_is_measured_against_pythons_own() -> None:
    samples = measured("pools", names=("ThreadPoolExecutor", "worq, threads"))
    assert (samples.get(f"{POOLS}, x", "worq, threads") or 0) > 0


def test_each_operation_is_measured_on_each_backend() -> None:
    samples = measured("growth", "machines", names=("worq",))
    column = growth.tasks_name(PLAN.growth[0])
    lacking = [
        (backend, operation)
        for backend in growth.BACKENDS
        for operation in growth.OPERATIONS
        if samples.get(growth.name(backend, operation), column) is None
    ]
    assert lacking == []
    assert samples.get(machines.STATES, machines.SPACE)


def test_a_peer_that_cannot_be_installed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, requirements: object) -> str:
        raise EnvironmentUnavailable("no such version")

    monkeypatch.setattr(runs, "python_of", fail)
    samples = measured(names=("huey, notify",))
    assert samples.why("drain", "huey, notify") == "can't be installed: no such version"


def test_a_peer_that_fails_is_reported_and_the_others_go_on() -> None:
    broken = Peer("broken", "redis", "on_nothing")
    floor = next(peer for peer in EVERYBODY if peer.name == "floor")
    run = Run(PLAN, [broken, floor], {}, ("enqueue",))
    run(lambda what, done, of: None)
    assert "No module named 'on_nothing'" in run.samples.why("*", "broken")
    assert run.samples.get(enqueue.SINGLE, "floor")


def test_a_wrong_result_is_no_result() -> None:
    with pytest.raises(AssertionError, match="the task of 2 gave 3"):
        driver.check([1, 3], [1, 2])


def test_what_was_not_measured_is_not_reached() -> None:
    samples = Samples()
    found = {row.verdict for row in rows(samples, EVERYBODY)}
    assert found == {"not measured"}


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.79, "**not reached**"), (0.8, "reached"), (None, "not measured")]
)
def test_a_bound_is_reached_when_it_is_met(value: float | None, verdict: str) -> None:
    row = Row("m", "", "", "", [Check(value, "≥", 0.8)])
    assert row.verdict == verdict


def test_the_report_and_the_chart_show_every_peer() -> None:
    samples = Samples()
    for peer in EVERYBODY:
        samples.rate(enqueue.SINGLE, peer.name, 1000, 2000)
    report = str(Report(samples, EVERYBODY, TINY, {"cores": "2"}, "make bench"))
    drawn = chart(samples, EVERYBODY)
    ET.fromstring(drawn)  # noqa: S314 - our own
    on_redis = [peer.name for peer in EVERYBODY if peer.group == "redis"]
    assert [name for name in on_redis if f"| {name} | 1,000 (0.50) |" not in report] == []
    assert [name for name in on_redis if f">{name}</text>" not in drawn] == []


def test_every_peer_has_an_adapter_and_a_pinned_environment() -> None:
    adapters = {peer.adapter for peer in EVERYBODY}
    assert [each for each in adapters if not (FOLDER / f"adapters/{each}.py").is_file()] == []
    assert {peer.environment for peer in EVERYBODY} - {""} == set(ENVIRONMENTS)
    requirements = [each for lines in ENVIRONMENTS.values() for each in lines]
    assert [each for each in requirements if "==" not in each] == []
