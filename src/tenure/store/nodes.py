"""Nodes and devices: making rows agree with what an executor found, and reading them as values.

Invariant: only a real difference is written (and makes one event), because executors report every few seconds. A machine that shrank
below what is held keeps its rows: the excess is written to ``over`` and melts as work ends, nothing new fits meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import case, select

from tenure.model.amounts import MILLI, RESOURCES, Amounts
from tenure.model.lifecycle import DeviceStatus, NodeStatus
from tenure.model.node import Device, Node
from tenure.model.observations import DeviceFound, NodeFound
from tenure.store.schema import device, node, node_capacity
from tenure.store.sql import Link, Row, Statement, const, insert, param
from tenure.store.tx import Transaction, to_json

NODES = Statement(
    select(
        node.c.id, node.c.name, node.c.executor, node.c.present, node.c.wanted, node.c.drain_reason, node.c.labels, node.c.pretend
    ).order_by(node.c.id)
)
CAPACITIES = Statement(
    select(node_capacity.c.node_id, node_capacity.c.resource, node_capacity.c.capacity, node_capacity.c.used, node_capacity.c.over)
)
_DEVICE_COLUMNS = (
    "id",
    "node_id",
    "device_index",
    "uuid",
    "model",
    "memory_bytes",
    "group_number",
    "status",
    "why",
    "pretend",
    "capability",
    "capacity_milli",
)
DEVICES = Statement(
    select(*(device.c[name] for name in _DEVICE_COLUMNS)).order_by(device.c.node_id, device.c.device_index, device.c.id)
)

INSERT_NODE = insert(node, "id", "name", "executor", "labels", "pretend")
UPDATE_NODE = Statement(
    node.update()
    .ordered_values(
        (node.c.executor, param("executor")),
        (node.c.present, param("present")),
        (node.c.labels, param("labels")),
        (node.c.pretend, param("pretend")),
    )
    .where(node.c.id == param("id")),
    "executor",
    "present",
    "labels",
    "pretend",
    "id",
)
INSERT_CAPACITY = insert(node_capacity, "node_id", "resource", "capacity")


def _excess(used: Any, bound: Any) -> Any:
    """What ``used`` is beyond ``bound``, never below 0."""
    return case((used > bound, used - bound), else_=const(0))


SET_CAPACITY = Statement(
    node_capacity.update()
    .ordered_values(
        (node_capacity.c.capacity, param("capacity")),
        (node_capacity.c.over, _excess(node_capacity.c.used, param("bound"))),
    )
    .where(node_capacity.c.node_id == param("node"), node_capacity.c.resource == param("resource")),
    "capacity",
    "bound",
    "bound",
    "node",
    "resource",
)
INSERT_DEVICE = insert(device, *(name for name in _DEVICE_COLUMNS if name != "capacity_milli"))
UPDATE_DEVICE = Statement(
    device.update()
    .ordered_values(
        (device.c.node_id, param("node")),
        (device.c.device_index, param("index")),
        (device.c.model, param("model")),
        (device.c.memory_bytes, param("memory")),
        (device.c.group_number, param("group")),
        (device.c.status, param("status")),
        (device.c.why, param("why")),
        (device.c.pretend, param("pretend")),
        (device.c.capability, param("capability")),
        (device.c.over_memory, _excess(device.c.used_memory, param("bound"))),
    )
    .where(device.c.id == param("id")),
    "node",
    "index",
    "model",
    "memory",
    "group",
    "status",
    "why",
    "pretend",
    "capability",
    "bound",
    "bound",
    "id",
)

WRITE_WANTED = Statement(
    node.update()
    .ordered_values((node.c.wanted, param("wanted")), (node.c.drain_reason, param("reason")))
    .where(node.c.id == param("id")),
    "wanted",
    "reason",
    "id",
)
NODE_BY_NAME = Statement(select(node.c.id, node.c.wanted, node.c.drain_reason).where(node.c.name == param("name")), "name")


def status_of(present: int, wanted: str) -> NodeStatus:
    """A node that its executor does not offer is down, whatever a person wants of it."""
    return NodeStatus(wanted) if present else NodeStatus.DOWN


def read_capacities(link: Link) -> dict[int, Amounts]:
    """What each node has, by id."""
    found: dict[int, dict[str, int]] = {}
    for node_id, resource, capacity, _, _ in link.rows(CAPACITIES):
        found.setdefault(node_id, {})[resource] = capacity
    return {node_id: Amounts(**amounts) for node_id, amounts in found.items()}


def read_nodes(link: Link) -> tuple[Node, ...]:
    """All nodes with their devices, by id."""
    amounts = read_capacities(link)
    devices: dict[int, list[Device]] = {}
    for row in link.rows(DEVICES):
        devices.setdefault(row[1], []).append(_device_of(row))
    return tuple(
        Node(
            number,
            name,
            amounts.get(number, Amounts()),
            tuple(devices.get(number, ())),
            status_of(present, wanted),
            tuple(msgspec.json.decode(labels)),
            executor,
            bool(pretend),
            drain_reason,
        )
        for number, name, executor, present, wanted, drain_reason, labels, pretend in link.rows(NODES)
    )


def _device_of(row: Row) -> Device:
    number, node_id, index, uuid, model, memory, group, status, _, pretend, capability, milli = row
    return Device(number, node_id, index, uuid, model, memory, group, DeviceStatus(status), bool(pretend), milli, capability)


def define_nodes(tx: Transaction, executor: str, found: Sequence[NodeFound]) -> None:
    """Make the rows of an executor's nodes agree with what it found."""
    rows = {row[1]: row for row in tx.link.rows(NODES)}
    capacities = {(row[0], row[1]): row[2] for row in tx.link.rows(CAPACITIES)}
    devices = {row[3]: row for row in tx.link.rows(DEVICES)}
    next_node = max((row[0] for row in rows.values()), default=0) + 1
    changed: list[str] = []
    for item in sorted(found, key=lambda item: item.name):
        row = rows.get(item.name)
        number = row[0] if row else next_node
        next_node += row is None
        differs = _write_node(tx, number, row, item, executor)
        differs |= _write_capacity(tx, number, capacities, item.capacity)
        differs |= _write_devices(tx, number, devices, item.devices)
        if differs:
            changed.append(item.name)
    offered = {item.name for item in found}
    for name in sorted(rows):
        row = rows[name]
        if row[2] == executor and row[3] and name not in offered:
            tx.link.write(UPDATE_NODE, executor, 0, row[6], row[7], row[0])
            changed.append(name)
    if changed:
        tx.names.forget_nodes()
        tx.emit("node.changed", data=to_json({"nodes": changed}))


def _write_node(tx: Transaction, number: int, row: Row | None, item: NodeFound, executor: str) -> bool:
    labels = msgspec.json.encode(sorted(set(item.labels))).decode()
    if row is None:
        tx.link.write(INSERT_NODE, number, item.name, executor, labels, int(item.pretend))
        return True
    if (row[2], row[3], row[6], row[7]) == (executor, 1, labels, int(item.pretend)):
        return False
    tx.link.write(UPDATE_NODE, executor, 1, labels, int(item.pretend), number)
    return True


def _write_capacity(tx: Transaction, number: int, known: dict[tuple[int, str], int], capacity: Amounts) -> bool:
    differs = False
    for resource, amount in zip(RESOURCES, capacity.as_tuple(), strict=True):
        old = known.get((number, resource))
        if old is None:
            tx.link.write(INSERT_CAPACITY, number, resource, amount)
        elif old != amount:
            tx.link.write(SET_CAPACITY, amount, amount, amount, number, resource)
        differs |= old != amount
    return differs


def _write_devices(tx: Transaction, node_id: int, known: dict[str, Row], found: Sequence[DeviceFound]) -> bool:
    differs = False
    next_device = max((row[0] for row in known.values()), default=0) + 1
    for item in sorted(found, key=lambda item: (item.index, item.uuid)):
        row = known.get(item.uuid)
        what = (item.model, item.memory_bytes, item.group, item.status, item.why, int(item.pretend), item.capability)
        content = (node_id, item.index, *what)
        if row is None:
            fresh = (next_device, node_id, item.index, item.uuid, *what)
            tx.link.write(INSERT_DEVICE, *fresh)
            known[item.uuid] = (*fresh, MILLI)
            next_device += 1
        elif (row[1], row[2], *row[4:11]) != content:
            tx.link.write(UPDATE_DEVICE, *content, item.memory_bytes, item.memory_bytes, row[0])
        else:
            continue
        differs = True
    offered = {item.uuid for item in found}
    for row in [row for row in known.values() if row[1] == node_id and row[3] not in offered and row[7] != DeviceStatus.LOST.value]:
        lost = (node_id, row[2], row[4], row[5], row[6], DeviceStatus.LOST.value, "its node does not show it any more", *row[9:11])
        tx.link.write(UPDATE_DEVICE, *lost, row[5], row[5], row[0])
        differs = True
    return differs
