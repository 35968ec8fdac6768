"""Nodes and the devices on them, as the scheduler sees them: what they have, whether they take work. Use is never stored here."""

from __future__ import annotations

from dataclasses import dataclass

from tenure.model.amounts import MILLI, Amounts
from tenure.model.lifecycle import DeviceStatus, NodeStatus


@dataclass(frozen=True, slots=True)
class Device:
    """One accelerator. ``uuid`` is its identity across restarts, ``index`` the one that people see, ``group`` its NVLink/NUMA island,
    ``capability`` its compute capability in tenths (80 is 8.0, 0 unknown).

    A pretend device exists only in the settings: nothing computes on it.
    """

    id: int
    node_id: int
    index: int
    uuid: str
    model: str
    memory_bytes: int
    group: int = 0
    status: DeviceStatus = DeviceStatus.OK
    pretend: bool = False
    capacity_milli: int = MILLI
    capability: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One machine. ``devices`` are sorted by index. Only a node that is ``up`` is offered to new work."""

    id: int
    name: str
    capacity: Amounts
    devices: tuple[Device, ...] = ()
    status: NodeStatus = NodeStatus.UP
    labels: tuple[str, ...] = ()
    executor: str = "local"
    pretend: bool = False
    drain_reason: str = ""
