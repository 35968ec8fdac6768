"""The living store's own past as a workload: what ended, replayed on the machines there are now or on others.

It takes the values of the wire, so that a client can hand over what it was told and nothing here needs a store. Labels are not part of
what the wire says of a job, so a past that depended on them is replayed without. Invariant: every job told is a job of the workload or
counted in ``skipped``.
"""

from __future__ import annotations

from collections.abc import Iterable

from tenure.model.amounts import Amounts
from tenure.model.node import Device, Node
from tenure.model.shape import Shape
from tenure.sim.workload import BadWorkload, TraceJob, Workload, workload_of
from tenure.wire.dto import JobView, NodesReply


def history_of(views: Iterable[JobView], nodes: tuple[Node, ...]) -> Workload:
    """The jobs that have run and ended, from their last start to their end. Raises BadWorkload when none has, or there are no nodes."""
    told = list(views)
    skipped: dict[str, int] = {}
    ran = []
    for view in told:
        reason = _fault(view)
        if reason:
            skipped[reason] = skipped.get(reason, 0) + 1
        else:
            ran.append(view)
    if not ran or not nodes:
        raise BadWorkload("there is no history to replay: no job has run and ended yet, or there are no nodes")
    ran.sort(key=lambda view: (view.submitted_ms, view.number, view.id))
    return workload_of("history", nodes, (_job(number, view, ran[0].submitted_ms) for number, view in enumerate(ran, 1)), skipped)


def machines_of(reply: NodesReply) -> tuple[Node, ...]:
    """The nodes and devices of a listing as the simulator wants them, in its order; what drains or is down counts as up."""
    numbers = {view.name: number for number, view in enumerate(reply.nodes, 1)}
    devices: dict[str, list[Device]] = {name: [] for name in numbers}
    for number, view in enumerate(sorted(reply.devices, key=lambda view: (numbers[view.node], view.index)), 1):
        device = Device(number, numbers[view.node], view.index, view.uuid, view.model, view.memory_bytes)
        devices[view.node].append(device)
    return tuple(
        Node(
            numbers[view.name],
            view.name,
            Amounts(view.cpu_milli, view.memory_bytes),
            tuple(devices[view.name]),
            labels=tuple(view.labels),
        )
        for view in reply.nodes
    )


def _fault(view: JobView) -> str:
    """Why a job is no part of a replay, or nothing."""
    if view.array is not None:
        return "array; its elements are jobs"
    if not view.ended_ms:
        return "not ended"
    return "" if view.started_ms else "never started"


def _job(number: int, view: JobView, first_ms: int) -> TraceJob:
    shape = Shape(
        Amounts(view.cpu_milli, view.memory_bytes), view.gpu_milli, view.gpu_memory_bytes, view.gpu_model, view.tasks, view.nodes
    )
    return TraceJob(
        number,
        view.id,
        shape,
        view.submitted_ms - first_ms,
        max(0, view.ended_ms - view.started_ms),
        view.limit_ms,
        user=view.user,
        project=view.project,
        priority=view.priority,
        deadline_ms=max(1, view.deadline_ms - first_ms) if view.deadline_ms else 0,
    )
