"""openb pods: what a row means, the published protocol of arrivals, and sets of device models as labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenure.model.amounts import MIB, Amounts
from tenure.model.shape import Shape
from tenure.sim.formats import load, openb
from tenure.sim.formats.openb import Pod, arrivals, labelled, read_pods, replayed, study
from tenure.sim.machines import Machine, nodes_of
from tenure.sim.workload import BadWorkload, Workload
from tests.unit.sim.outcome import outcome

HEADER = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"
NODES = nodes_of(Machine(f"n{model}", Amounts(96_000), 4, model) for model in ("T4", "P100", "G2"))
PODS = tuple(Pod(f"p{index}", Shape(gpu_milli=milli)) for index, milli in enumerate((500, 1000, 2000, 0)))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "pods.csv"


def test_a_row_is_a_pod(log: Path) -> None:
    log.write_text(HEADER + "a,8000,30517,1,460,,LS,Running,5,70,10\nb,1,2,4,1000,,,,,,\nc,1,2,0,0,T4,BE,Failed,0,1,0\n")
    (a, b, c), skipped = read_pods(str(log))
    assert a == Pod("a", Shape(Amounts(8000, 30517 * MIB), gpu_milli=460), created_ms=5000, run_ms=60_000)
    assert (b.shape.gpu_milli, b.run_ms) == (4000, None)
    assert (c.shape.gpu_milli, c.shape.labels) == (0, ())
    assert skipped == {}


def test_parts_of_several_gpus_are_skipped(log: Path) -> None:
    log.write_text(HEADER + "a,1,2,2,500,,,,,,\nb,1,2,3,1,,,,,,\n")
    assert read_pods(str(log)) == ((), {"parts of several GPUs": 2})


def test_a_list_without_the_optional_columns(log: Path) -> None:
    log.write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli\nb,1,2,1,1000\na,1,2,1,1000\n")
    workload = load(str(log), nodes=NODES)
    assert [(job.number, job.name, job.submitted_ms, job.lives) for job in workload.jobs] == [(1, "a", 0, True), (2, "b", 1, True)]


@pytest.mark.parametrize("spec", ["T4|P100", "P100|T4|P100", " P100 | T4"])
def test_a_set_of_models_is_a_label_on_the_nodes_in_it(log: Path, spec: str) -> None:
    log.write_text(HEADER + f"a,1,2,1,1000,{spec},,,,,\nb,1,2,1,1000,G3,,,,,\n")
    pods, _ = read_pods(str(log))
    assert pods[0].shape.labels == ("gpu_spec:P100|T4",)
    marked = labelled(NODES, pods)
    assert [node.labels for node in marked] == [("gpu_spec:P100|T4",), ("gpu_spec:P100|T4",), ()]
    assert [node.id for node in marked] == [1, 2, 3]


def test_arrivals_are_every_pod_once_and_then_repeats() -> None:
    jobs = arrivals(PODS, NODES, 1.3, seed=42)
    assert sorted(job.name for job in jobs[:4]) == ["p0", "p1", "p2", "p3"]
    assert [(job.number, job.submitted_ms) for job in jobs] == [(index + 1, index) for index in range(len(jobs))]
    assert all(job.lives for job in jobs)
    assert len({job.name for job in jobs}) == len(jobs)
    for name in ("p0", "p1", "p2", "p3"):
        repeats = [job.name for job in jobs if job.name.split("#")[0] == name]
        assert repeats == [name, *(f"{name}#{k}" for k in range(1, len(repeats)))]


def test_arrivals_end_before_the_draw_that_would_pass_the_share() -> None:
    pods = (Pod("a", Shape(gpu_milli=1000)),)
    assert [len(arrivals(pods, NODES, ratio, 1)) for ratio in (0.25, 1.0, 1.3, 0.01)] == [3, 12, 15, 0]


def test_arrivals_depend_on_the_seed_and_not_on_the_order_of_the_file() -> None:
    assert arrivals(PODS, NODES, 1.3, 7) == arrivals(PODS[::-1], NODES, 1.3, 7)
    assert arrivals(PODS, NODES, 1.3, 7) != arrivals(PODS, NODES, 1.3, 8)


@pytest.mark.parametrize("ratio", [0.0, -1.0, 1e9, float("nan")])
def test_a_share_of_arrivals_has_bounds(ratio: float) -> None:
    with pytest.raises(BadWorkload, match="share of arrivals is"):
        arrivals(PODS, NODES, ratio, 1)


def test_arrivals_need_gpus_on_both_sides() -> None:
    for pods, nodes in ((PODS[3:], NODES), (PODS, nodes_of([Machine("n", Amounts(1000))])), ((), NODES)):
        with pytest.raises(BadWorkload, match="arrivals are measured in GPUs"):
            arrivals(pods, nodes, 1.3, 1)


def test_arrivals_are_bounded_when_pods_are_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openb, "MAX_RECORDS", 50)
    pods = (Pod("crumb", Shape(gpu_milli=1)),)
    assert len(arrivals(pods, NODES, 50 / 12_000, 1)) == 50
    with pytest.raises(BadWorkload, match="more than 50 pods"):
        arrivals(pods, NODES, 1.0, 1)


def test_a_study_has_labelled_nodes_and_what_was_skipped() -> None:
    pods = (Pod("a", Shape(gpu_milli=1000, labels=("gpu_spec:T4",))),)
    found = study("x", pods, NODES, 0.5, 1, {"why": 2})
    assert [node.labels for node in found.nodes] == [("gpu_spec:T4",), (), ()]
    assert (len(found.jobs), found.skipped) == (6, {"why": 2})


def test_a_replay_keeps_the_times_of_the_log() -> None:
    pods = (Pod("late", Shape(gpu_milli=500), 9000, 100), Pod("early", Shape(gpu_milli=500), 4000, 200), Pod("never", Shape(), 0, None))
    found = replayed("x", pods, NODES)
    assert [(job.name, job.submitted_ms, job.run_ms, job.lives) for job in found.jobs] == [
        ("early", 0, 200, False),
        ("late", 5000, 100, False),
    ]
    assert found.skipped == {"never scheduled": 1}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("a,1,2,1,1001,,,,,,", "gpu_milli is '1001'"),
        ("a,1,2,1,0,,,,,,", "gpu_milli is '0'"),
        ("a,1,2,999,1000,,,,,,", "num_gpu is '999'"),
        ("a,lots,2,1,1000,,,,,,", "cpu_milli is 'lots'"),
        (",1,2,1,1000,,,,,,", "the pod has no name"),
        ("a,1,2,1,1000,,,,0,5,9", "deletion_time '5' is before scheduled_time '9'"),
        ("a,1,2,1,1000," + "T4|" * 200 + ",,,,,", "longer than any list of models"),
        ("a,1,2", "3 fields where the header names 11"),
    ],
)
def test_a_broken_row_says_where_and_why(log: Path, row: str, told: str) -> None:
    log.write_text(HEADER + row + "\n")
    with pytest.raises(BadWorkload, match="line 2: ") as caught:
        read_pods(str(log))
    assert told in str(caught.value)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.integers(-2, 2000), st.floats(), st.text(max_size=6)), min_size=10, max_size=12), st.booleans())
def test_a_mangled_list_is_read_or_refused_with_a_reason(log: Path, fields: list[object], study_it: bool) -> None:
    log.write_bytes((HEADER + ",".join(map(str, fields)) + "\n").encode(errors="replace"))
    found = outcome(lambda: load(str(log), nodes=NODES, arrival=1.3 if study_it else 0.0))
    assert isinstance(found, Workload) or str(log) in found or "measured in GPUs" in found
