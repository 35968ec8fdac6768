"""How much of the free GPU capacity is of no use to the jobs that typically come.

The measure of Q. Weng, L. Yang, Y. Yu and others, "Beware of fragmentation: scheduling GPU-sharing workloads with fragmentation
gradient descent", USENIX ATC 2023: for a task drawn from the workload, what is free on a node counts as stranded when the task cannot
run there (or needs no GPU); where it can run, only the devices with too little left for it do. The figure is the mean over tasks,
summed over nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tenure.core.feasibility import Ask, NodeRoom, ask_of, device_fits, fits
from tenure.sim.workload import TraceJob

Demand = list[tuple[Ask, int]]
"""Kinds of tasks and how many there are of each."""


def demand_of(jobs: Iterable[TraceJob]) -> Demand:
    """The tasks of a workload."""
    count: Counter[Ask] = Counter()
    for job in jobs:
        count[ask_of(job.shape)] += job.shape.tasks
    return sorted(count.items(), key=lambda item: repr(item[0]))


def stranded_milli(nodes: Iterable[NodeRoom], demand: Demand) -> float:
    """Thousandths of GPUs that are free and, for a task drawn at random, of no use. Nodes that are alike are looked at once."""
    total = sum(count for _, count in demand)
    alike: dict[tuple[object, ...], float] = {}
    found = 0.0
    for node in nodes:
        if not node.gpu_free or not total:
            continue
        key = _state(node)
        if key not in alike:
            alike[key] = sum(_stranded_for(ask, node) * count for ask, count in demand) / total
        found += alike[key]
    return found


def _state(node: NodeRoom) -> tuple[object, ...]:
    """Everything about a node that matters here."""
    devices = tuple((room.model, room.free_milli, room.free_memory_bytes, room.offered) for room in node.devices)
    return (node.offered, node.labels, tuple(node.free), devices)


def _stranded_for(ask: Ask, node: NodeRoom) -> int:
    if not ask.wants_devices or not fits(ask, node):
        return node.gpu_free
    return sum(room.free_milli for room in node.devices if room.offered and not device_fits(ask, room))
