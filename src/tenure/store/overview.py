"""Nodes, devices and queues with what is held of them: derived from rows that are not released, never from a counter of its own."""

from __future__ import annotations

import msgspec
from sqlalchemy import case, func, select

from tenure.model.access import Caller
from tenure.model.amounts import RESOURCES
from tenure.model.gpu_kind import format_capability
from tenure.store.listing import ids_of
from tenure.store.nodes import status_of
from tenure.store.reader import ask
from tenure.store.schema import WAITING, allocation, allocation_device, device, job, node, node_capacity, queue
from tenure.store.sight import seen
from tenure.store.sql import Link, Statement, const
from tenure.wire.dto import DeviceView, NodesReply, NodeView, QueuesReply, QueueView

#: A template stands for its elements that have not started.
WAITING_IN = Statement(
    select(job.c.queue_id, func.sum(case((job.c.array_size > const(0), const(0)), else_=const(1))), func.sum(job.c.array_left))
    .where(WAITING)
    .group_by(job.c.queue_id)
)
RUNNING_IN = Statement(
    select(job.c.queue_id, func.count(func.distinct(job.c.id)))
    .select_from(allocation.join(job, job.c.id == allocation.c.job_id))
    .where(allocation.c.released_at_ms.is_(None), allocation.c.behind == const(0), job.c.ended_ms.is_(None))
    .group_by(job.c.queue_id)
)


def nodes_view(link: Link, caller: Caller) -> NodesReply:
    """All nodes and devices, by name and index; of jobs the ids of those that the caller may see."""
    amounts: dict[tuple[int, str], tuple[int, int]] = {}
    clause = select(node_capacity.c.node_id, node_capacity.c.resource, node_capacity.c.capacity, node_capacity.c.used)
    for node_id, resource, capacity, used in ask(link, clause):
        amounts[node_id, resource] = (capacity, used)
    live = select(allocation.c.node_id, func.count(func.distinct(allocation.c.job_id)))
    live = live.where(allocation.c.released_at_ms.is_(None), allocation.c.behind == const(0))
    jobs: dict[int, int] = dict(ask(link, live.group_by(allocation.c.node_id)))
    devices = _devices(link, caller)
    names = ("id", "name", "executor", "present", "wanted", "drain_reason", "labels", "pretend")
    views = []
    for row in ask(link, select(*(node.c[name] for name in names)).order_by(node.c.name)):
        node_id, name, executor, present, wanted, drain_reason, labels, pretend = row
        cpu, memory, storage, bandwidth = (amounts.get((node_id, resource), (0, 0)) for resource in RESOURCES)
        own = [view for view in devices if view.node == name]
        views.append(
            NodeView(
                name=name,
                status=status_of(present, wanted).value,
                executor=executor,
                pretend=bool(pretend),
                drain_reason=drain_reason,
                labels=msgspec.json.decode(labels),
                cpu_milli=cpu[0],
                memory_bytes=memory[0],
                used_cpu_milli=cpu[1],
                used_memory_bytes=memory[1],
                storage_bytes=storage[0],
                used_storage_bytes=storage[1],
                bandwidth_bps=bandwidth[0],
                used_bandwidth_bps=bandwidth[1],
                devices=len(own),
                devices_used_milli=sum(view.used_milli for view in own),
                jobs=jobs.get(node_id, 0),
            )
        )
    return NodesReply(nodes=views, devices=devices)


def _devices(link: Link, caller: Caller) -> list[DeviceView]:
    holders = _holders(link, caller)
    names = (
        "id",
        "device_index",
        "uuid",
        "model",
        "memory_bytes",
        "status",
        "why",
        "pretend",
        "used_milli",
        "used_memory",
        "capability",
    )
    clause = select(*(device.c[name] for name in names), node.c.name).select_from(device.join(node, node.c.id == device.c.node_id))
    return [
        DeviceView(
            node=node_name,
            index=index,
            uuid=uuid,
            model=model,
            memory_bytes=memory_bytes,
            status=status,
            why=why,
            pretend=bool(pretend),
            used_milli=used_milli,
            used_memory_bytes=used_memory,
            jobs=holders.get(device_id, []),
            capability=format_capability(capability),
        )
        for device_id, index, uuid, model, memory_bytes, status, why, pretend, used_milli, used_memory, capability, node_name in ask(
            link, clause.order_by(node.c.name, device.c.device_index)
        )
    ]


def _holders(link: Link, caller: Caller) -> dict[int, list[str]]:
    """Who holds which device: ids as people type them."""
    both = (allocation.c.attempt_id == allocation_device.c.attempt_id) & (allocation.c.task == allocation_device.c.task)
    clause = select(allocation_device.c.device_id, allocation.c.job_id).select_from(allocation_device.join(allocation, both))
    rows = ask(link, clause.where(allocation_device.c.released_at_ms.is_(None)).order_by(allocation.c.job_id))
    shown = ids_of(link, [row[1] for row in rows])
    found: dict[int, list[str]] = {}
    visible = seen(link, caller, [row[1] for row in rows])
    for device_id, job_id in (row for row in rows if row[1] in visible):
        found.setdefault(device_id, []).append(shown.get(job_id, str(job_id)))
    return found


def queues_view(link: Link) -> QueuesReply:
    """All queues, by name, with how many jobs wait and run in each."""
    waiting: dict[int, int] = {}
    for queue_id, count, rest in link.rows(WAITING_IN):
        waiting[queue_id] = int(count) + int(rest)
    running: dict[int, int] = dict(link.rows(RUNNING_IN))
    names = ("id", "name", "paused", "default_limit_ms", "max_limit_ms", "bonus")
    return QueuesReply(
        queues=[
            QueueView(
                name=name,
                paused=bool(paused),
                default_limit_ms=default_limit_ms,
                max_limit_ms=max_limit_ms,
                bonus=bonus,
                pending=waiting.get(number, 0),
                running=running.get(number, 0),
            )
            for number, name, paused, default_limit_ms, max_limit_ms, bonus in ask(
                link, select(*(queue.c[name] for name in names)).order_by(queue.c.name)
            )
        ]
    )
