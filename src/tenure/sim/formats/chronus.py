"""Chronus' traces of training jobs with deadlines: times in seconds, rescaled by their authors.

W. Gao et al., "Chronus: A Novel Deadline-aware Scheduler for Deep Learning Training Jobs", SoCC 2021. ``expect_time_list`` counts from
the submission; where it lists several times, the first is the deadline. Invariant: every row is a job or counted in ``skipped``.
"""

from __future__ import annotations

from collections.abc import Sequence

from tenure.model.node import Node
from tenure.sim.formats.gpu_jobs import MAX_JOB_GPUS, GpuJob, gpu_workload
from tenure.sim.formats.text import milliseconds, table, whole
from tenure.sim.machines import parse_nodes
from tenure.sim.workload import Workload

WANTED = ("job_id", "user", "num_gpu", "submit_time", "duration", "expect_time_list")
OPTIONAL = ("best_effort",)
MACHINES = "120x8xGPU"
"""The cluster on which the authors replay their Philly traces."""


def read_chronus(path: str, nodes: tuple[Node, ...] = ()) -> Workload:
    """The jobs on the given nodes, else on the authors' 120 of 8 GPUs. Raises BadWorkload with file, line and reason."""
    rows = [job._replace(row=row) for row, job in enumerate(table(path, WANTED, _row, OPTIONAL), 1)]
    asking = [job for job in rows if job.gpus]
    skipped = {"no GPU": len(rows) - len(asking)} if len(asking) < len(rows) else {}
    return gpu_workload(path, asking, nodes or parse_nodes(MACHINES), skipped)


def _row(row: Sequence[str]) -> GpuJob:
    name, cluster, gpus, submitted, duration, expected, best_effort = row
    in_time = expected.partition("-")[0]
    return GpuJob(
        milliseconds(submitted, "submit_time"),
        0,
        name,
        whole(gpus, "num_gpu", most=MAX_JOB_GPUS),
        milliseconds(duration, "duration"),
        cluster,
        0 if best_effort == "1" else milliseconds(in_time, "expect_time_list"),
    )
