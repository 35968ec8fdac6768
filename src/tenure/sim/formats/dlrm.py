"""Alibaba's recommendation inference (GPU cluster 2025): instances that ask for five resources and keep away from their own kind.

An instance asks for cores, GPUs, RDMA, memory and disk, and its app says how many of its instances one node may hold. An RDMA unit is
taken as 1 Gbit/s, a hundredth of a common adapter. An instance without a creation time was there when the log began; one without a
deletion time outlives it. Invariant: every row is a job; time 0 is the beginning of the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tenure.model.amounts import GIB, MILLI, Amounts
from tenure.model.node import Node
from tenure.model.shape import Shape
from tenure.sim.formats.text import milliseconds, scaled, shown, table, whole
from tenure.sim.machines import MAX_GPUS, parse_nodes
from tenure.sim.workload import TraceJob, Workload, workload_of

WANTED = (
    *("instance_sn", "role", "app_name", "cpu_request", "gpu_request", "rdma_request", "memory_request", "disk_request"),
    *("max_instance_per_node", "creation_time", "scheduled_time", "deletion_time"),
)
MACHINES = "520x8xGPU,128c,1T,disk=8T,net=200G+2200x192c,2T,disk=4T,net=100G"
"""No list of machines is published with the log: these hold its peak (3,412 GPUs, 422,578 cores at once) at 82 and 86 per cent."""

RDMA_BPS = 10**9
_MOST = 10**6


class _Instance(NamedTuple):
    """One row. ``run_ms`` is None for an instance that stays."""

    created_ms: int
    row: int
    name: str
    role: str
    app: str
    shape: Shape
    run_ms: int | None


def read_dlrm(path: str, nodes: tuple[Node, ...] = ()) -> Workload:
    """The instances on the given nodes, else on a cluster that holds them. Raises BadWorkload with file, line and reason."""
    found = sorted(instance._replace(row=row) for row, instance in enumerate(table(path, WANTED, _row), 1))
    shapes: dict[Shape, Shape] = {}
    jobs = (_job(number, instance, shapes.setdefault(instance.shape, instance.shape)) for number, instance in enumerate(found, 1))
    return workload_of(path, nodes or parse_nodes(MACHINES), jobs)


def _job(number: int, instance: _Instance, shape: Shape) -> TraceJob:
    return TraceJob(
        number,
        instance.name,
        shape,
        instance.created_ms,
        instance.run_ms or 0,
        lives=instance.run_ms is None,
        user=instance.app,
        project=instance.role,
    )


def _row(row: Sequence[str]) -> _Instance:
    name, role, app, cpu, gpu, rdma, memory, disk, together, created, scheduled, deleted = row
    amounts = Amounts(
        whole(cpu, "cpu_request", most=_MOST) * MILLI,
        scaled(memory, "memory_request", GIB, _MOST),
        scaled(disk, "disk_request", GIB, _MOST),
        whole(rdma, "rdma_request", most=_MOST) * RDMA_BPS,
    )
    max_per_node = max(0, whole(together, "max_instance_per_node", -1, _MOST))
    gpu_milli = whole(gpu, "gpu_request", most=MAX_GPUS) * MILLI
    shape = Shape(amounts, gpu_milli=gpu_milli, app=app, max_per_node=max_per_node)
    created_ms = milliseconds(created, "creation_time") if created else 0
    return _Instance(created_ms, 0, name, role, app, shape, _run_ms(created_ms, scheduled, deleted))


def _run_ms(created_ms: int, scheduled: str, deleted: str) -> int | None:
    """How long it ran from being scheduled, else from its creation; None when nothing says that it ended."""
    if not deleted:
        return None
    began_ms = milliseconds(scheduled, "scheduled_time") if scheduled else created_ms
    run_ms = milliseconds(deleted, "deletion_time") - began_ms
    if run_ms < 0:
        raise ValueError(f"deletion_time {shown(deleted)} is before the instance began")
    return run_ms
