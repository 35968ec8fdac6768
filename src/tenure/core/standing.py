"""How the cluster stands at one moment: what there is of each resource, what is held, and what those wait for who wait.

Made from a picture of the planner's board and the last plan's reasons, so it says what the planner knows and nothing else, and it costs
the planner nothing. Pure. Invariant: nothing counts as free that is not offered, nor more of a node or device than it has: one that
holds more than it has since it shrank has nothing free, and lends nothing to the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tenure.core.conflicts import room_of
from tenure.core.feasibility import ask_of
from tenure.core.picture import Picture
from tenure.model.amounts import MILLI
from tenure.model.lifecycle import DeviceStatus, NodeStatus
from tenure.model.plan import Hold, Plan
from tenure.model.reasons import (
    Capacity,
    DeviceUnavailable,
    MaximumReached,
    NodeUnavailable,
    QuotaReached,
    Reserved,
    WouldDelay,
)

KINDS = ("cpu", "memory", "storage", "network", "gpu", "gpu_memory")
"""What is reported, in this order: thousandths of cpus and GPUs, bytes, bits per second."""
_WAITS_FOR = {
    "cpu_milli": "cpu",
    "memory_bytes": "memory",
    "storage_bytes": "storage",
    "bandwidth_bps": "network",
    "gpu_devices": "gpu",
    "gpu_milli": "gpu",
    "gpu_memory_bytes": "gpu_memory",
}
CRITICAL = 8
MOST_BOTTLENECKS = 8


@dataclass(frozen=True, slots=True)
class Stock:
    """One kind of resource on the nodes that take work. ``offered`` is all there is, ``free`` what nobody holds."""

    kind: str
    offered: int
    free: int

    @property
    def held(self) -> int:
        """What is held."""
        return self.offered - self.free


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What ``jobs`` waiting jobs wait for: a kind of resource, or ``quota``, ``node``, ``device``, ``reservation``, ``gang`` or
    ``place``. ``first`` is one of them; ``until_ms`` is when the plan expects the first of them to start (0: it cannot tell)."""

    resource: str
    jobs: int
    first: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Standing:
    """The whole. ``utilisation_milli`` is the largest used share of cpus and GPUs, by which strategies are chosen as well."""

    now_ms: int
    revision: int
    utilisation_milli: int
    stocks: tuple[Stock, ...]
    running: int
    pending: int
    critical: int
    bottlenecks: tuple[Bottleneck, ...]


def standing_of(picture: Picture, plan: Plan | None) -> Standing:
    """The standing at the picture's moment, by the plan that was made last."""
    stocks = _stocks(picture)
    by_kind = {stock.kind: stock for stock in stocks}
    shares = [by_kind[kind].held * MILLI // by_kind[kind].offered for kind in ("cpu", "gpu") if by_kind[kind].offered]
    return Standing(
        picture.now_ms,
        picture.revision,
        max(shares, default=0),
        stocks,
        len(picture.running),
        sum(job.array_left for job in picture.waiting),
        sum(job.array_left for job in picture.waiting if job.priority >= CRITICAL),
        _bottlenecks(picture, plan) if plan is not None else (),
    )


def _stocks(picture: Picture) -> tuple[Stock, ...]:
    """What is there and what is free, summed over nodes and devices that take work."""
    nodes = {node.id: node for node in picture.nodes if node.status is NodeStatus.UP}
    devices = {device.id: device for node in nodes.values() for device in node.devices if device.status is DeviceStatus.OK}
    held: dict[int, list[int]] = {node_id: [0, 0, 0, 0] for node_id in nodes}
    milli, memory = dict.fromkeys(devices, 0), dict.fromkeys(devices, 0)
    for job in picture.running:
        for part in job.allocations:
            if part.node_id in held:
                held[part.node_id] = [one + more for one, more in zip(held[part.node_id], part.amounts.as_tuple(), strict=True)]
            for share in part.devices:
                if share.device_id in devices:
                    milli[share.device_id] += share.milli
                    memory[share.device_id] += share.memory_bytes
    offered = [node.capacity.as_tuple() for node in nodes.values()]
    free = [
        [max(0, size - used) for size, used in zip(node.capacity.as_tuple(), held[node.id], strict=True)] for node in nodes.values()
    ]
    divisible = [
        Stock(kind, sum(row[at] for row in offered), sum(row[at] for row in free))
        for at, kind in enumerate(("cpu", "memory", "storage", "network"))
    ]
    gpus = Stock(
        "gpu",
        sum(device.capacity_milli for device in devices.values()),
        sum(max(0, device.capacity_milli - milli[device.id]) for device in devices.values()),
    )
    gpu_memory = Stock(
        "gpu_memory",
        sum(device.memory_bytes for device in devices.values()),
        sum(max(0, device.memory_bytes - memory[device.id]) for device in devices.values()),
    )
    return (*divisible, gpus, gpu_memory)


def _bottlenecks(picture: Picture, plan: Plan) -> tuple[Bottleneck, ...]:
    """What waiting jobs wait for, that for which most do first."""
    waiting: dict[tuple[int, int], list[int]] = {}
    for job in picture.waiting:
        if not (job.held or job.blocked or job.eligible_ms > picture.now_ms):
            waiting.setdefault((job.shape, job.queue), []).append(job.array_left)
    found: dict[str, list[tuple[int, int, int]]] = {}
    for hold in plan.holds:
        counts = waiting.get((hold.shape, hold.queue))
        if counts and hold.shape in picture.shapes:
            until_ms = _expected(hold, plan)
            for resource in _resources(hold, picture):
                found.setdefault(resource, []).append((hold.first_job, sum(counts), until_ms))
    bottlenecks = [
        Bottleneck(resource, sum(count for _, count, _ in rows), min(first for first, _, _ in rows), _soonest(rows))
        for resource, rows in found.items()
    ]
    return tuple(sorted(bottlenecks, key=lambda one: (-one.jobs, one.resource))[:MOST_BOTTLENECKS])


def _soonest(rows: Iterable[tuple[int, int, int]]) -> int:
    return min((until_ms for _, _, until_ms in rows if until_ms), default=0)


def _expected(hold: Hold, plan: Plan) -> int:
    """When the first job of a hold should start, as far as the plan says."""
    head = plan.reservation
    if head is not None and head.job_id == hold.first_job:
        return head.start_ms
    promised = next((promise.start_ms for promise in plan.promises if promise.job_id == hold.first_job), 0)
    return promised or int(getattr(hold.reason, "until_ms", 0))


def _resources(hold: Hold, picture: Picture) -> Sequence[str]:
    """What a reason says is lacking; nothing for reasons that no resource would cure."""
    reason = hold.reason
    if isinstance(reason, Capacity):
        lacking = [_WAITS_FOR.get(short.resource, "place") for short in reason.short]
        # Nothing is lacking on any one node, and still there is no room: all tasks at once do not fit.
        return sorted(set(lacking), key=lacking.index) or ["gang"]
    if isinstance(reason, WouldDelay):
        return [room_of(ask_of(picture.shapes[hold.shape])).partition(":")[0]]
    if isinstance(reason, QuotaReached | MaximumReached):
        return ["quota"]
    if isinstance(reason, NodeUnavailable):
        return ["node"]
    if isinstance(reason, DeviceUnavailable):
        return ["device"]
    return ["reservation"] if isinstance(reason, Reserved) else []
