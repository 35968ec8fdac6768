"""The rows of nodes and devices that a commit locks before it judges.

Invariant: they are read in the order of their ids, so that two who lock the same rows never wait for each other.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
from sqlalchemy import func, select

from tenure.model.amounts import RESOURCES, Amounts
from tenure.model.lifecycle import DeviceStatus
from tenure.model.plan import LockedDevice, LockedNode
from tenure.store.nodes import status_of
from tenure.store.schema import allocation, attempt, device, job, node, node_capacity, shape
from tenure.store.sql import InList, Link, const

LOCK_NODES = InList(
    lambda keys: (
        select(
            node.c.id,
            node.c.present,
            node.c.wanted,
            node.c.labels,
            node_capacity.c.resource,
            node_capacity.c.capacity,
            node_capacity.c.used,
        )
        .join(node_capacity, node_capacity.c.node_id == node.c.id)
        .where(node.c.id.in_(keys))
        .order_by(node_capacity.c.node_id, node_capacity.c.resource)
        .with_for_update()
    )
)
LOCK_DEVICES = InList(
    lambda keys: (
        select(
            device.c.id,
            device.c.node_id,
            device.c.status,
            device.c.model,
            device.c.capacity_milli,
            device.c.memory_bytes,
            device.c.used_milli,
            device.c.used_memory,
            device.c.capability,
        )
        .where(device.c.id.in_(keys))
        .order_by(device.c.id)
        .with_for_update()
    )
)
APPS = InList(
    lambda keys: (
        select(allocation.c.node_id, shape.c.app, func.count())
        .select_from(allocation.join(attempt, attempt.c.id == allocation.c.attempt_id).join(job, job.c.id == attempt.c.job_id))
        .join(shape, shape.c.id == job.c.shape_id)
        .where(allocation.c.released_at_ms.is_(None), allocation.c.node_id.in_(keys), shape.c.app != const(""))
        .group_by(allocation.c.node_id, shape.c.app)
        .order_by(allocation.c.node_id, shape.c.app)
    )
)
_SLOT = {name: position for position, name in enumerate(RESOURCES)}


def lock_nodes(link: Link, ids: list[int]) -> dict[int, LockedNode]:
    """Nodes with their capacity and use."""
    found: dict[int, tuple[list[int], list[int], int, str, str]] = {}
    for number, present, wanted, labels, resource, capacity, used in link.rows_in(LOCK_NODES, ids):
        entry = found.get(number)
        if entry is None:
            entry = found[number] = ([0] * len(RESOURCES), [0] * len(RESOURCES), present, wanted, labels)
        slot = _SLOT[resource]
        entry[0][slot] = capacity
        entry[1][slot] = used
    return {
        number: LockedNode(number, status_of(present, wanted), Amounts(*capacity), Amounts(*used), _labels(labels))
        for number, (capacity, used, present, wanted, labels) in found.items()
    }


@lru_cache(maxsize=1024)
def _labels(text: str) -> tuple[str, ...]:
    return tuple(msgspec.json.decode(text))


def lock_devices(link: Link, ids: list[int]) -> dict[int, LockedDevice]:
    """Devices with their use."""
    return {row[0]: LockedDevice(row[0], row[1], DeviceStatus(row[2]), *row[3:]) for row in link.rows_in(LOCK_DEVICES, ids)}
