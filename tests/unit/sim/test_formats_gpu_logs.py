"""Philly, Chronus and DLRM: what a row means, what is skipped, and what a broken one says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenure.model.amounts import GIB, Amounts
from tenure.model.shape import Shape
from tenure.sim.formats.chronus import read_chronus
from tenure.sim.formats.dlrm import read_dlrm
from tenure.sim.formats.philly import read_philly
from tenure.sim.machines import parse_nodes
from tenure.sim.workload import BadWorkload, Workload
from tests.unit.sim.outcome import outcome

PHILLY = "timestamp,duration,num_gpus,gpu_time,cluster\n"
CHRONUS = (
    "job_id,user,num_gpu,submit_time,iterations,model_name,duration,interval,expect_time_list,expect_value_list,best_effort,job_type\n"
)
DLRM = (
    "instance_sn,role,app_name,cpu_request,cpu_limit,gpu_request,gpu_limit,rdma_request,rdma_limit,memory_request,memory_limit,"
    "disk_request,disk_limit,max_instance_per_node,creation_time,scheduled_time,deletion_time\n"
)
READERS = {"philly": (read_philly, PHILLY, 5), "chronus": (read_chronus, CHRONUS, 12), "dlrm": (read_dlrm, DLRM, 17)}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.csv"


def test_philly_rows_are_jobs_in_the_order_of_time(log: Path) -> None:
    log.write_text(PHILLY + "2017-10-09 07:01:55,66.5,1,66,vc1\n2017-10-09 07:00:55,10,16,160,vc2\n2017-10-10 00:00:00,5,0,0,vc1\n")
    workload = read_philly(str(log))
    first, second = workload.jobs
    assert (first.number, first.name, first.submitted_ms, first.run_ms, first.project) == (1, "2", 0, 10_000, "vc2")
    assert first.shape == Shape(gpu_milli=8000, tasks=2)
    assert (second.number, second.name, second.submitted_ms, second.run_ms) == (2, "1", 60_000, 66_500)
    assert second.shape == Shape(gpu_milli=1000)
    assert workload.skipped == {"no GPU": 1}


def test_phillys_own_machines_are_the_default(log: Path) -> None:
    log.write_text(PHILLY)
    sizes = [len(node.devices) for node in read_philly(str(log)).nodes]
    assert (len(sizes), sum(sizes), max(sizes)) == (539, 3205, 8)


def test_what_no_machine_holds_is_skipped(log: Path) -> None:
    log.write_text(PHILLY + "2017-10-09 07:01:55,66,9,66,a\n2017-10-09 07:01:55,66,8,66,a\n")
    workload = read_philly(str(log), parse_nodes("2x4xA100"))
    assert [job.shape for job in workload.jobs] == [Shape(gpu_milli=4000, tasks=2)]
    assert workload.skipped == {"more GPUs than the machines": 1}
    with pytest.raises(BadWorkload, match="the machines have none"):
        read_philly(str(log), parse_nodes("2x4c"))


def test_chronus_deadlines_count_from_the_submission(log: Path) -> None:
    log.write_text(
        CHRONUS
        + "0,vc_a,4,100,6910,vgg16,211,8,282-300,10-5,0,strict\n"
        + "1,vc_b,0,100,1,vgg16,1,1,1,1,0,strict\n2,vc_b,1,90,1,vgg16,7,1,8,1,1,best\n"
    )
    workload = read_chronus(str(log))
    best, strict = workload.jobs
    assert (best.name, best.submitted_ms, best.deadline_ms) == ("2", 0, 0)
    assert (strict.name, strict.submitted_ms, strict.run_ms, strict.deadline_ms) == ("0", 10_000, 211_000, 292_000)
    assert (strict.project, strict.shape) == ("vc_a", Shape(gpu_milli=4000))
    assert workload.skipped == {"no GPU": 1}
    assert len(workload.nodes) == 120


def test_dlrm_instances_ask_for_five_resources_and_keep_apart(log: Path) -> None:
    log.write_text(
        DLRM
        + "i0,HN,app_0,12,12,1,1,25,25,120.0,120.0,640.0,800.0,8,,,\n"
        + "i1,CN,app_1,64,64,0,0,1,1,937.5,937.5,255.0,300.0,-1,50.0,60.5,70.0\n"
        + "i2,CN,app_1,2,2,0,0,1,1,8.0,8.0,85.0,100.0,-1,,,70.0\n"
    )
    there, ended, ends = read_dlrm(str(log)).jobs
    assert there.shape == Shape(Amounts(12_000, 120 * GIB, 640 * GIB, 25 * 10**9), gpu_milli=1000, app="app_0", max_per_node=8)
    assert (there.submitted_ms, there.lives, there.shape.app, there.shape.max_per_node, there.project) == (0, True, "app_0", 8, "HN")
    assert (ended.name, ended.submitted_ms, ended.run_ms, ended.lives) == ("i2", 0, 70_000, False)
    assert (ends.name, ends.submitted_ms, ends.run_ms, ends.shape.max_per_node) == ("i1", 50_000, 9_500, 0)
    assert ends.shape.amounts.memory_bytes == 1875 * GIB // 2


@pytest.mark.parametrize(
    ("kind", "row", "told"),
    [
        ("philly", "yesterday,66,1,66,a", "timestamp is 'yesterday'"),
        ("philly", "2017-10-09 07:01:55+01:00,66,1,66,a", "timestamp is '2017-10-09 07:01:55\\+01:00'"),
        ("philly", "2017-10-09 07:01:55,-1,1,66,a", "duration is '-1'"),
        ("philly", "2017-10-09 07:01:55,1,one,66,a", "num_gpus is 'one'"),
        ("chronus", "0,a,4,100,1,vgg16,211,8,soon,10,0,strict", "expect_time_list is 'soon'"),
        ("dlrm", "i,HN,a,12,12,99999,1,25,25,1,1,1,1,8,,,", "gpu_request is '99999'"),
        ("dlrm", "i,HN,a,12,12,1,1,25,25,inf,1,1,1,8,,,", "memory_request is 'inf'"),
        ("dlrm", "i,HN,a,12,12,1,1,25,25,1_0,1,1,1,8,,,", "memory_request is '1_0'"),
        ("dlrm", "i,HN,a,12,12,1,1,25,25,much,1,1,1,8,,,", "memory_request is 'much'"),
        ("dlrm", "i,HN,a,12,12,1,1,25,25,1,1,1,1,8,9,10,5", "deletion_time '5' is before the instance began"),
    ],
)
def test_a_broken_row_says_where_and_why(log: Path, kind: str, row: str, told: str) -> None:
    read, header, _ = READERS[kind]
    log.write_text(header + row + "\n")
    with pytest.raises(BadWorkload, match=f"log.csv, line 2: {told}"):
        read(str(log))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(READERS)), st.data())
def test_a_mangled_log_is_read_or_refused_with_a_reason(log: Path, kind: str, data: st.DataObject) -> None:
    read: Callable[[str], Workload]
    read, header, width = READERS[kind]
    field = st.one_of(st.integers(-2, 10**14), st.floats(), st.text(max_size=6), st.just("2017-10-09 07:01:55"), st.just("1"))
    fields = data.draw(st.lists(field, min_size=width, max_size=width))
    log.write_bytes((header + ",".join(map(str, fields)) + "\n").encode(errors="replace"))
    found = outcome(lambda: read(str(log)))
    assert isinstance(found, Workload) or str(log) in found
