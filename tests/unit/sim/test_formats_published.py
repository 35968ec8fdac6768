"""The published logs themselves, where `TENURE_TRACES` names their folder: every record is accounted for."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tenure.sim.formats import load
from tenure.sim.formats.philly import MACHINES
from tenure.sim.machines import parse_nodes

FOLDER = Path(os.environ.get("TENURE_TRACES", "/nonexistent"))
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="TENURE_TRACES does not name a folder of published logs")


@pytest.mark.parametrize(
    ("path", "jobs", "skipped", "processors"),
    [
        ("swf/KTH-SP2.swf.gz", 28_481, 0, 100),
        ("swf/SDSC-SP2.swf.gz", 54_006, 0, 128),
        ("swf/mira-2018.swf.gz", 22_508, 0, 49_152),
        ("swf/NASA-iPSC-1993-3.1-cln.swf.gz", 18_239, 0, 128),
        ("swf/lublin-1.swf.gz", 10_000, 0, 256),
    ],
)
def test_swf_logs(path: str, jobs: int, skipped: int, processors: int) -> None:
    workload = load(str(FOLDER / path))
    assert (len(workload.jobs), sum(workload.skipped.values())) == (jobs, skipped)
    assert workload.nodes[0].capacity.cpu_milli == processors * 1000


@pytest.mark.parametrize(
    ("path", "jobs", "skipped"),
    [
        ("philly/philly_jobs_82k.csv.gz", 82_247, {}),
        ("deadlines/chronus_philly_slo.csv.gz", 30_940 - 205, {"no GPU": 205}),
        ("dlrm-2025.csv.gz", 23_871, {}),
    ],
)
def test_gpu_logs(path: str, jobs: int, skipped: dict[str, int]) -> None:
    workload = load(str(FOLDER / path))
    assert (len(workload.jobs), workload.skipped) == (jobs, skipped)


def test_phillys_machines_are_those_published() -> None:
    published = parse_nodes(str(FOLDER / "philly/philly_machine_list_revised.csv"))
    assert Counter(len(node.devices) for node in published) == Counter(len(node.devices) for node in parse_nodes(MACHINES))


def test_openb_nodes_and_pods() -> None:
    nodes = parse_nodes(str(FOLDER / "openb/openb_node_list_gpu_node.csv.gz"))
    assert (len(nodes), sum(len(node.devices) for node in nodes)) == (1213, 6212)
    assert sum(node.capacity.cpu_milli for node in nodes) == 107_018_000
    path = str(FOLDER / "openb/openb_pod_list_default.csv.gz")
    workload = load(path, nodes=nodes)
    assert len(workload.jobs) + workload.skipped["never scheduled"] == 8152
    study = load(path, nodes=nodes, arrival=1.3, seed=42)
    arrived = sum(job.shape.gpu_milli for job in study.jobs)
    assert 1.299 * 6_212_000 < arrived <= 1.3 * 6_212_000
    assert sum("#" not in job.name for job in study.jobs) == 8152
