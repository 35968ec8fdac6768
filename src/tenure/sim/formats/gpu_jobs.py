"""What the logs of GPU training clusters have in common: a number of GPUs, a run time, a virtual cluster, and nothing of cores.

Neither says what a job had beside its GPUs, so its shape asks for GPUs alone; neither names a user, so fairness is between virtual
clusters. Invariant: numbers are in the order of submission, ties in the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tenure.model.amounts import MILLI
from tenure.model.node import Node
from tenure.model.shape import Shape
from tenure.sim.formats.gangs import even_tasks
from tenure.sim.workload import BadWorkload, TraceJob, Workload, workload_of

MAX_JOB_GPUS = 100_000


class GpuJob(NamedTuple):
    """One record. ``expected_ms`` is the time from submission to deadline, 0 for none."""

    submitted_ms: int
    row: int
    name: str
    gpus: int
    run_ms: int
    cluster: str
    expected_ms: int = 0


def gpu_workload(path: str, records: Iterable[GpuJob], nodes: tuple[Node, ...], skipped: dict[str, int]) -> Workload:
    """The records on the nodes, as gangs where they are wider than the largest node. Those wider than all nodes are skipped."""
    sizes = [len(node.devices) for node in nodes]
    total, largest = sum(sizes), max(sizes, default=0)
    if not total:
        raise BadWorkload(f"{path} asks for GPUs and the machines have none; give machines such as 100x8xA100")
    found = sorted(records)
    fitting = [record for record in found if record.gpus <= total]
    if len(fitting) < len(found):
        skipped = skipped | {"more GPUs than the machines": len(found) - len(fitting)}
    shapes = {gpus: _shape(gpus, largest) for gpus in sorted({record.gpus for record in fitting})}
    first_ms = fitting[0].submitted_ms if fitting else 0
    jobs = [_job(number, record, shapes[record.gpus], first_ms) for number, record in enumerate(fitting, 1)]
    return workload_of(path, nodes, jobs, skipped)


def _job(number: int, record: GpuJob, shape: Shape, first_ms: int) -> TraceJob:
    submitted_ms = record.submitted_ms - first_ms
    deadline_ms = submitted_ms + record.expected_ms if record.expected_ms else 0
    return TraceJob(number, record.name, shape, submitted_ms, record.run_ms, project=record.cluster, deadline_ms=deadline_ms)


def _shape(gpus: int, largest: int) -> Shape:
    tasks, size = even_tasks(gpus, largest)
    return Shape(gpu_milli=size * MILLI, tasks=tasks)
