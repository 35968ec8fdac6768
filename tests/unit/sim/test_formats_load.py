"""Loading any log: the format is known by the first line, and an option that would be ignored is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenure.sim.formats import FORMATS, detect, load
from tenure.sim.machines import parse_nodes
from tenure.sim.workload import BadWorkload

SWF = "\n; MaxProcs: 4\n1 0 -1 5 1 -1 -1 1 -1 -1 1 -1 -1 -1 -1 -1 -1 -1\n"
OPENB = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\np,1,1,1,1000\n"
PHILLY = "timestamp,duration,num_gpus,gpu_time,cluster\n2017-10-09 07:01:55,66,1,66,a\n"
CHRONUS = "job_id,user,num_gpu,submit_time,duration,expect_time_list\n0,a,4,1,2,3\n"
DLRM = (
    "instance_sn,role,app_name,cpu_request,gpu_request,rdma_request,memory_request,disk_request,max_instance_per_node,"
    "creation_time,scheduled_time,deletion_time\ni,HN,a,1,0,1,1,1,-1,,,\n"
)
NODES = parse_nodes("4x8xA100:80G,64c,512G")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.mark.parametrize(("name", "text"), list(zip(FORMATS, (SWF, OPENB, PHILLY, CHRONUS, DLRM), strict=True)))
def test_a_log_is_known_by_its_first_line(log: Path, name: str, text: str) -> None:
    log.write_text(text)
    assert detect(str(log)) == name
    workload = load(str(log), nodes=NODES)
    assert len(workload.jobs) == 1
    assert [node.id for node in workload.nodes] == [1, 2, 3, 4]
    assert load(str(log), name, nodes=NODES) == workload


def test_a_log_without_comments_is_known_by_its_18_fields(log: Path) -> None:
    log.write_text(SWF.splitlines()[2] + "\n")
    assert detect(str(log)) == "swf"
    assert len(load(str(log), nodes=NODES).jobs) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no format that Tenure recognises"),
        ("a,b\n", "no format that Tenure recognises"),
        ("sn,cpu_milli,memory_mib,gpu,model\n", "lists nodes, not jobs"),
        (",machineId,number of GPUs\n", "lists nodes, not jobs"),
        (OPENB, "says nothing of machines"),
    ],
)
def test_what_is_no_log_says_so(log: Path, text: str, told: str) -> None:
    log.write_text(text)
    with pytest.raises(BadWorkload, match=told):
        load(str(log))


def test_options_that_would_be_ignored_are_refused(log: Path) -> None:
    log.write_text(PHILLY)
    with pytest.raises(BadWorkload, match="share of arrivals is for openb"):
        load(str(log), arrival=1.3)
    with pytest.raises(BadWorkload, match="'csv' is no format of a log"):
        load(str(log), "csv")


def test_a_share_of_arrivals_makes_openb_a_placement_study(log: Path) -> None:
    log.write_text(OPENB)
    workload = load(str(log), nodes=NODES, arrival=0.25, seed=3)
    assert [job.name for job in workload.jobs] == ["p", *(f"p#{k}" for k in range(1, 8))]
