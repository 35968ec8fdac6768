"""What one task of an attempt holds, and capacity promised to a job."""

from __future__ import annotations

from dataclasses import dataclass

from tenure.model.amounts import Amounts
from tenure.model.lifecycle import AllocationState


@dataclass(frozen=True, slots=True)
class DeviceShare:
    """A part of one device: thousandths and bytes. A whole device is 1000 and all its memory."""

    device_id: int
    milli: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one task goes: a node and, for GPUs, the very devices (sorted by id). Amounts come from the job's shape."""

    task: int
    node_id: int
    devices: tuple[DeviceShare, ...] = ()


@dataclass(frozen=True, slots=True)
class Allocation:
    """A row that is not released: one task of one attempt holds these amounts on this node until evidence says otherwise."""

    id: int
    attempt_id: int
    job_id: int
    task: int
    node_id: int
    amounts: Amounts
    devices: tuple[DeviceShare, ...] = ()
    state: AllocationState = AllocationState.LAUNCHING


@dataclass(frozen=True, slots=True)
class Claim:
    """Capacity promised to a job until ``deadline_ms``; it counts as used for everybody else. ``victims`` were displaced for it."""

    id: int
    job_id: int
    placements: tuple[Placement, ...]
    amounts: Amounts
    deadline_ms: int
    victims: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Eviction:
    """A job was displaced so that another could start."""

    at_ms: int
    job_id: int
    beneficiary: int
