"""A workload on nodes that are pooled: its nodes and jobs with the labels that production gives them, by the same functions."""

from __future__ import annotations

from dataclasses import replace

from tenure.model.pool import MAY, Pool, class_of, labels_in, of_class
from tenure.model.shape import Shape
from tenure.sim.workload import BadWorkload, Workload


def in_pools(workload: Workload, pools: tuple[Pool, ...]) -> Workload:
    """The same workload with each node in its pools and each job of a class, by what it asks for. Raises BadWorkload for a class of
    work that no node may run: its jobs would wait for ever."""
    if not pools:
        return workload
    nodes = tuple(
        replace(node, labels=labels_in(pools, node.name, node.labels, [device.model for device in node.devices]))
        for node in workload.nodes
    )
    known: dict[tuple[Shape, str], Shape] = {}
    jobs = []
    for job in workload.jobs:
        kind = class_of(job.shape, job.requested_ms, serves=job.lives)
        shape = known.setdefault((job.shape, kind), of_class(job.shape, kind, pools))
        jobs.append(replace(job, shape=shape))
    for _, kind in known:
        if not any(MAY + kind in node.labels for node in nodes):
            raise BadWorkload(f"{workload.name}: no pool takes {kind} work; let one be for it, or be borrowed")
    return replace(workload, nodes=nodes, jobs=tuple(jobs))
