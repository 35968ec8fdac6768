"""Microsoft's Philly log (2017): GPU training jobs of 15 virtual clusters, with the time they ran and the GPUs they had.

M. Jeon et al., "Analysis of Large-Scale Multi-Tenant GPU Clusters for DNN Training Workloads", USENIX ATC 2019. The table has no ids:
a job's name is its row. Invariant: every row is a job or counted in ``skipped``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tenure.model.node import Node
from tenure.sim.formats.gpu_jobs import MAX_JOB_GPUS, GpuJob, gpu_workload
from tenure.sim.formats.text import milliseconds, shown, table, whole
from tenure.sim.machines import parse_nodes
from tenure.sim.workload import Workload

WANTED = ("timestamp", "duration", "num_gpus", "cluster")
MACHINES = "264x8xGPU+271x4xGPU+1x3xGPU+3x2xGPU"
"""What the published list of machines adds up to: 539 with GPUs, 3,205 GPUs."""

_EPOCH = datetime(1970, 1, 1)
_MS = timedelta(milliseconds=1)


def read_philly(path: str, nodes: tuple[Node, ...] = ()) -> Workload:
    """The jobs on the given nodes, else on as many as the cluster had. Raises BadWorkload with file, line and reason."""
    rows = [GpuJob(ms, row, str(row), gpus, run_ms, vc) for row, (ms, gpus, run_ms, vc) in enumerate(table(path, WANTED, _row), 1)]
    asking = [job for job in rows if job.gpus]
    skipped = {"no GPU": len(rows) - len(asking)} if len(asking) < len(rows) else {}
    return gpu_workload(path, asking, nodes or parse_nodes(MACHINES), skipped)


def _row(row: Sequence[str]) -> tuple[int, int, int, str]:
    """Submission, GPUs, run time and virtual cluster of one row."""
    stamp, duration, gpus, cluster = row
    return _timestamp_ms(stamp), whole(gpus, "num_gpus", most=MAX_JOB_GPUS), milliseconds(duration, "duration"), cluster


def _timestamp_ms(text: str) -> int:
    """A date and time without a zone as milliseconds; only differences matter. Raises ValueError for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is not None:
        raise ValueError(f"timestamp is {shown(text)}, not a time such as 2017-10-09 07:01:55")
    return (found - _EPOCH) // _MS
