"""The nearest thing that can run, for a request that cannot: which node comes closest, what it lacks, what would fit there.

Used when a job is submitted (against empty nodes) and when it is explained (against the room there is). Invariant: a shape that is
offered here has been judged to fit by the planner's own functions, asks for no more of anything than the original, and can be typed:
its amounts are ones that the options of a submission spell exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tenure.core.feasibility import NodeRoom, ask_of, count_tasks, device_fits, lack, node_room, places_left, shortfalls
from tenure.core.placement import is_enough
from tenure.core.possible import holds_empty, with_all_devices, with_all_nodes
from tenure.model.amounts import MILLI, MIN_MEMORY_BYTES, RESOURCES, Amounts, spelled_bytes
from tenure.model.node import Node
from tenure.model.reasons import Shortfall
from tenure.model.shape import Shape


@dataclass(frozen=True, slots=True)
class Nearest:
    """The node that comes closest (name and id; empty and 0 without nodes), what it lacks for one task, the labels it does not
    carry, and a smaller shape that fits (None: nothing does)."""

    node: str
    node_id: int
    short: tuple[Shortfall, ...]
    shape: Shape | None
    labels: tuple[str, ...] = ()


def never_fits(nodes: Sequence[Node], shape: Shape) -> Nearest | None:
    """None when the declared nodes, all up and empty, could hold the shape; else the nearest thing that they can."""
    rooms = [node_room(node) for node in with_all_devices(with_all_nodes(nodes))]
    if holds_empty(ask_of(shape), rooms):
        return None
    best = closest(shape, rooms)
    if best is None:
        return Nearest("", 0, (), None)
    missing = tuple(label for label in shape.labels if label not in best.labels)
    short = shortfalls(ask_of(shape), best)
    return Nearest(best.name, best.id, short, smaller(shape, rooms, keep_devices=False), missing)


def closest(shape: Shape, rooms: Iterable[NodeRoom]) -> NodeRoom | None:
    """The room that lacks least for one task: labels first, then amounts, then the lower id; None when none is offered."""
    return next(iter(_by_distance(shape, rooms)), None)


def _by_distance(shape: Shape, rooms: Iterable[NodeRoom]) -> list[NodeRoom]:
    ask = ask_of(shape)

    def distance(room: NodeRoom) -> tuple[int, int, int]:
        return (sum(label not in room.labels for label in shape.labels), lack(ask, room), room.id)

    return sorted((room for room in rooms if room.offered), key=distance)


def smaller(shape: Shape, rooms: Sequence[NodeRoom], *, keep_devices: bool) -> Shape | None:
    """The largest part of a shape that fits into these rooms, starting from the room that lacks least; None when nothing does.

    ``keep_devices``: a job that asks for GPUs keeps at least a fraction of one, and its labels and model stay as they are.
    """
    for room in _by_distance(shape, rooms):
        task = _task_in(shape, room, keep_devices=keep_devices)
        if task is not None:
            found = _gang_in(task, rooms)
            return found if found != shape else None
    return None


def _task_in(shape: Shape, room: NodeRoom, *, keep_devices: bool) -> Shape | None:
    """The shape with its amounts per task cut down to the room; None where that leaves nothing, or where its app has no place left."""
    if not places_left(ask_of(shape), room):
        return None
    free = [max(amount, 0) for amount in room.free]
    wanted = shape.amounts.as_tuple()
    cut = tuple(_cut(*item) for item in zip(RESOURCES, wanted, free, strict=True))
    if any(before and not after for before, after in zip(wanted, cut, strict=True)):
        return None
    labels = tuple(label for label in shape.labels if label in room.labels)
    if keep_devices and labels != shape.labels:
        return None
    task = replace(shape, amounts=Amounts(*cut), labels=labels)
    return _devices_in(task, room, keep_devices=keep_devices) if shape.gpu_milli else task


def _cut(resource: str, wanted: int, free: int) -> int:
    """So much of what is wanted that is free, and that people can ask for; 0 when that is nothing."""
    if wanted <= free:
        return wanted
    if resource == "cpu_milli":
        return free
    spelled = spelled_bytes(free) if resource in ("memory_bytes", "storage_bytes") else 0
    return spelled if resource != "memory_bytes" or spelled >= MIN_MEMORY_BYTES else 0


def _devices_in(shape: Shape, room: NodeRoom, *, keep_devices: bool) -> Shape | None:
    """The shape with its GPUs cut down to what the room's devices have."""
    for model in (shape.gpu_model, "") if shape.gpu_model and not keep_devices else (shape.gpu_model,):
        for memory in dict.fromkeys((shape.gpu_memory_bytes, 0)):
            ask = ask_of(replace(shape, gpu_model=model, gpu_memory_bytes=memory, gpu_milli=min(shape.gpu_milli, MILLI)))
            usable = sum(device_fits(ask, device) for device in room.devices)
            if usable and shape.is_fraction:
                return replace(shape, gpu_model=model, gpu_memory_bytes=memory)
            if usable:
                count = min(usable, shape.gpu_count)
                return replace(shape, gpu_model=model, gpu_memory_bytes=memory, gpu_milli=count * MILLI)
    fraction = _fraction_in(shape, room)
    if fraction is not None or keep_devices:
        return fraction
    return replace(shape, gpu_milli=0, gpu_memory_bytes=0, gpu_model="")


def _fraction_in(shape: Shape, room: NodeRoom) -> Shape | None:
    """The largest fraction of one device that is free. Memory that was asked for by itself is cut by itself, else it is the share."""
    asked, ask = shape.gpu_memory_bytes if shape.is_fraction else 0, ask_of(shape)
    found: list[tuple[int, int, int]] = []
    for device in room.devices:
        milli = min(device.free_milli, shape.gpu_milli, MILLI - 1)
        memory = asked if asked <= device.free_memory_bytes else spelled_bytes(device.free_memory_bytes)
        if not asked and device.memory_bytes:
            milli = min(milli, device.free_memory_bytes * MILLI // device.memory_bytes)
        if milli > 0 and (memory or not asked) and device.offered and ask.is_kind(device.model, device.capability):
            found.append((-milli, -memory, device.id))
    if not found:
        return None
    milli, memory, _ = min(found)
    return replace(shape, gpu_milli=-milli, gpu_memory_bytes=-memory)


def _gang_in(shape: Shape, rooms: Iterable[NodeRoom]) -> Shape:
    """The shape with as many of its tasks, on as many of its nodes, as fit; at least one task does."""
    counts = [count_tasks(ask_of(shape), room, shape.tasks) for room in rooms]
    if not shape.nodes:
        return replace(shape, tasks=min(shape.tasks, sum(counts)))
    nodes = min(shape.nodes, sum(count > 0 for count in counts))
    sizes = (replace(shape, tasks=tasks, nodes=nodes) for tasks in range(shape.tasks, nodes - 1, -1))
    return next(size for size in sizes if is_enough(ask_of(size), counts))
