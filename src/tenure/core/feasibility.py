"""Whether one task fits on one node, and which devices it then takes.

One definition for the planner, the commit, the explanation and the tests: what the planner believes to fit is what the commit
accepts. A device is never summed with its neighbours: a fraction needs one device with that many thousandths and that much memory
free, a whole GPU needs an empty one. Invariant: nothing here changes a room except `take` and `give`, which are exact inverses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tenure.model.allocation import DeviceShare
from tenure.model.amounts import MILLI, RESOURCES
from tenure.model.gpu_kind import least_capability
from tenure.model.lifecycle import DeviceStatus, NodeStatus
from tenure.model.node import Device, Node
from tenure.model.reasons import Shortfall
from tenure.model.shape import Shape

UNBOUNDED = 2**31
"""More tasks than anybody asks for: how many fit where nothing is asked for."""


DeviceKind = tuple[int, int, str, int]
"""(thousandths or 0 for whole devices, memory, part of the model's name, least capability)."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A shape made ready for judging: what one task needs, in the order of `RESOURCES`, and of devices.

    ``whole`` is the number of whole devices (0 for a fraction or none), ``milli`` the fraction (0 for whole devices or none). Of the
    kind of device, ``gpu_model`` (part of its name in lower case, empty for any) and ``gpu_capability`` (at least so many tenths, 0 for
    any) are two readings of one text.
    """

    need: tuple[int, int, int, int]
    whole: int
    milli: int
    gpu_memory_bytes: int
    gpu_model: str
    labels: tuple[str, ...]
    tasks: int
    nodes: int
    gpu_capability: int = 0
    app: str = ""
    max_per_node: int = 0
    one_group: bool = False

    @property
    def wants_devices(self) -> bool:
        """Whether a task takes any device."""
        return self.whole > 0 or self.milli > 0

    @property
    def device_kind(self) -> DeviceKind:
        """What is demanded of one device: asks with the same find the same devices usable."""
        return (self.milli, self.gpu_memory_bytes, self.gpu_model, self.gpu_capability)

    @property
    def is_particular(self) -> bool:
        """Whether not every device of full size would do."""
        return bool(self.gpu_model or self.gpu_memory_bytes or self.gpu_capability)

    def is_kind(self, model: str, capability: int) -> bool:
        """Whether devices of this model (in lower case) and capability are of the kind that is asked for."""
        return self.gpu_model in model and capability >= self.gpu_capability

    def memory_of(self, device_memory_bytes: int) -> int:
        """What a fraction takes of a device of that memory (`Shape.device_share`)."""
        return self.gpu_memory_bytes or device_memory_bytes * self.milli // MILLI

    def share_of(self, device_memory_bytes: int) -> tuple[int, int]:
        """What one task takes of each of its devices: (thousandths, bytes)."""
        return (self.milli, self.memory_of(device_memory_bytes)) if self.milli else (MILLI, device_memory_bytes)


def ask_of(shape: Shape) -> Ask:
    """The shape, made ready for judging."""
    fraction = shape.gpu_milli if shape.is_fraction else 0
    capability = least_capability(shape.gpu_model)
    return Ask(
        need=shape.amounts.as_tuple(),
        whole=0 if fraction else shape.gpu_milli // MILLI,
        milli=fraction,
        gpu_memory_bytes=shape.gpu_memory_bytes,
        gpu_model="" if capability else shape.gpu_model.lower(),
        labels=shape.labels,
        tasks=shape.tasks,
        nodes=shape.nodes,
        gpu_capability=capability,
        app=shape.app,
        max_per_node=shape.max_per_node,
    )


@dataclass(slots=True)
class DeviceRoom:
    """What is free of one device. ``model`` is in lower case; ``offered`` is false while its status is not ok."""

    id: int
    group: int
    model: str
    memory_bytes: int
    capacity_milli: int
    free_milli: int
    free_memory_bytes: int
    offered: bool = True
    capability: int = 0

    def copy(self) -> DeviceRoom:
        """An independent copy."""
        return DeviceRoom(
            self.id,
            self.group,
            self.model,
            self.memory_bytes,
            self.capacity_milli,
            self.free_milli,
            self.free_memory_bytes,
            self.offered,
            self.capability,
        )


@dataclass(slots=True)
class NodeRoom:
    """What is free of one node: amounts in the order of `RESOURCES` (negative after a node shrank), devices sorted by id.

    ``offered`` is false unless the node is up. What others hold on a node or device that is not offered counts all the same.
    ``empty`` (the number of devices a task could take whole) and ``gpu_free`` (thousandths free of offered devices) follow from the
    devices; `take` and `give` keep them. ``apps`` counts the tasks of each app that hold something here. ``caps`` says how many
    of an app may, where a reservation counts on it; it is replaced, never changed.
    """

    id: int
    name: str
    labels: tuple[str, ...]
    offered: bool
    capacity: tuple[int, int, int, int]
    free: list[int]
    devices: list[DeviceRoom]
    apps: dict[str, int] = field(default_factory=dict)
    caps: dict[str, int] = field(default_factory=dict)
    empty: int = field(init=False)
    gpu_free: int = field(init=False)

    def __post_init__(self) -> None:
        self.recount()

    def recount(self) -> None:
        """Derive ``empty`` and ``gpu_free`` anew, after the devices were changed by hand."""
        self.empty = sum(is_whole(device) for device in self.devices)
        self.gpu_free = sum(device.free_milli for device in self.devices if device.offered)

    def copy(self) -> NodeRoom:
        """An independent copy. Written out, for each cycle makes some: through the constructor it takes three times as long."""
        other = NodeRoom.__new__(NodeRoom)
        other.id, other.name, other.labels, other.offered, other.capacity = self.id, self.name, self.labels, self.offered, self.capacity
        other.free, other.apps, other.caps = self.free.copy(), self.apps.copy(), self.caps
        other.devices = [device.copy() for device in self.devices]
        other.empty, other.gpu_free = self.empty, self.gpu_free
        return other


def is_whole(device: DeviceRoom) -> bool:
    """Whether a task could take the device whole: offered, of full size, and nobody uses any of it."""
    return device.offered and device.free_milli == device.capacity_milli >= MILLI and device.free_memory_bytes == device.memory_bytes


def device_room(device: Device) -> DeviceRoom:
    """An empty device."""
    return DeviceRoom(
        device.id,
        device.group,
        device.model.lower(),
        device.memory_bytes,
        device.capacity_milli,
        device.capacity_milli,
        device.memory_bytes,
        device.status == DeviceStatus.OK,
        device.capability,
    )


def node_room(node: Node) -> NodeRoom:
    """An empty node."""
    amounts = node.capacity.as_tuple()
    devices = sorted((device_room(device) for device in node.devices), key=lambda room: room.id)
    return NodeRoom(node.id, node.name, node.labels, node.status == NodeStatus.UP, amounts, list(amounts), devices)


def places_left(ask: Ask, node: NodeRoom, most: int = UNBOUNDED) -> int:
    """How many more tasks may stand beside those of the same app, at most ``most``."""
    cap = node.caps.get(ask.app, 0) if node.caps else 0
    if ask.max_per_node:
        cap = min(cap or ask.max_per_node, ask.max_per_node)
    return min(most, max(cap - node.apps.get(ask.app, 0), 0)) if cap else most


def is_allowed(ask: Ask, node: NodeRoom) -> bool:
    """Whether the node takes work and carries every label that is asked for; says nothing about room."""
    return node.offered and (not ask.labels or all(label in node.labels for label in ask.labels))


def device_fits(ask: Ask, device: DeviceRoom) -> bool:
    """Whether one device can be (one of) those of a task: empty for a whole one, enough of both for a fraction."""
    if ask.milli:
        if device.free_milli < ask.milli or device.free_memory_bytes < ask.memory_of(device.memory_bytes) or not device.offered:
            return False
    elif not is_whole(device) or device.memory_bytes < ask.gpu_memory_bytes:
        return False
    return ask.gpu_model in device.model and device.capability >= ask.gpu_capability


def count_tasks(ask: Ask, node: NodeRoom, most: int = UNBOUNDED) -> int:
    """How many tasks fit on the node together, at most ``most``; labels and status included."""
    if not is_allowed(ask, node):
        return 0
    count = places_left(ask, node, most)
    for need, free in zip(ask.need, node.free, strict=True):
        if need > free:
            return 0
        # Comparing, here and on other hot paths: min() of two costs ten times as much.
        if need and free < count * need:
            count = free // need
    if ask.whole and not (ask.is_particular or ask.one_group):
        return min(count, node.empty // ask.whole)
    if ask.wants_devices and count:
        count = min(count, _count_on_devices(ask, node.devices))
    return count


def _count_on_devices(ask: Ask, devices: Iterable[DeviceRoom]) -> int:
    usable = [device for device in devices if device_fits(ask, device)]
    if ask.one_group:
        return sum(count // ask.whole for count in Counter(device.group for device in usable).values())
    if ask.whole:
        return len(usable) // ask.whole
    return sum(_count_on_device(ask, device) for device in usable)


def _count_on_device(ask: Ask, device: DeviceRoom) -> int:
    memory = ask.memory_of(device.memory_bytes)
    by_milli = device.free_milli // ask.milli
    return min(by_milli, device.free_memory_bytes // memory) if memory else by_milli


def fits(ask: Ask, node: NodeRoom) -> bool:
    """Whether one task fits on the node now: `count_tasks` of at least one, found sooner."""
    free, need = node.free, ask.need
    if need[0] > free[0] or need[1] > free[1] or need[2] > free[2] or need[3] > free[3] or not node.offered:
        return False
    if ask.whole:
        if ask.whole > node.empty:
            return False
        if (ask.is_particular or ask.one_group) and not _count_on_devices(ask, node.devices):
            return False
    elif ask.milli:
        for device in node.devices:
            if device.free_milli >= ask.milli and device_fits(ask, device):
                break
        else:
            return False
    if (ask.max_per_node or node.caps) and not places_left(ask, node):
        return False
    return not ask.labels or is_allowed(ask, node)


def pick_devices(ask: Ask, node: NodeRoom) -> tuple[DeviceShare, ...]:
    """The devices one task takes on a node where it fits, sorted by id; empty when it needs none.

    A fraction goes to the fullest device that still holds it, so that whole ones stay whole. Whole devices come from the NVLink or
    NUMA group that they fill best; if no group holds them all, from the fewest groups. Ties end in the id.
    """
    if ask.milli:
        usable = [device for device in node.devices if device_fits(ask, device)]
        best = min(usable, key=lambda device: (device.free_milli, device.free_memory_bytes, device.id))
        return (DeviceShare(best.id, ask.milli, ask.memory_of(best.memory_bytes)),)
    if ask.whole:
        usable = [device for device in node.devices if device_fits(ask, device)]
        chosen = usable if len(usable) == ask.whole else _pick_groups(usable, ask.whole)
        return tuple(DeviceShare(device.id, MILLI, device.memory_bytes) for device in chosen)
    return ()


def _pick_groups(usable: Sequence[DeviceRoom], count: int) -> list[DeviceRoom]:
    groups: dict[int, list[DeviceRoom]] = {}
    for device in usable:
        groups.setdefault(device.group, []).append(device)
    chosen: list[DeviceRoom] = []
    while count > len(chosen):
        missing = count - len(chosen)
        enough = [(len(members), group) for group, members in groups.items() if len(members) >= missing]
        group = min(enough)[1] if enough else min((-len(members), group) for group, members in groups.items())[1]
        chosen += groups.pop(group)[:missing]
    return sorted(chosen, key=lambda device: device.id)


def take(node: NodeRoom, need: Sequence[int], devices: Iterable[DeviceShare], app: str = "") -> None:
    """Count amounts, device shares and a task of the app as there. A device that the node no longer has is passed over."""
    _move(node, need, devices, -1)
    if app:
        node.apps[app] = node.apps.get(app, 0) + 1


def give(node: NodeRoom, need: Sequence[int], devices: Iterable[DeviceShare], app: str = "") -> None:
    """The inverse of `take`."""
    _move(node, need, devices, 1)
    if app:
        node.apps[app] -= 1
        if not node.apps[app]:
            del node.apps[app]


def _move(node: NodeRoom, need: Sequence[int], devices: Iterable[DeviceShare], sign: int) -> None:
    free = node.free
    free[0] += sign * need[0]
    free[1] += sign * need[1]
    free[2] += sign * need[2]
    free[3] += sign * need[3]
    for share in devices:
        for room in node.devices:
            if room.id == share.device_id:
                node.empty -= is_whole(room)
                room.free_milli += sign * share.milli
                room.free_memory_bytes += sign * share.memory_bytes
                node.empty += is_whole(room)
                if room.offered:
                    node.gpu_free += sign * share.milli
                break


def shortfalls(ask: Ask, node: NodeRoom) -> tuple[Shortfall, ...]:
    """What the node lacks for one more task, per resource; empty when one fits (labels and status left aside)."""
    found = [
        Shortfall(name, need, max(free, 0)) for name, need, free in zip(RESOURCES, ask.need, node.free, strict=True) if need > free
    ]
    # Of a node that is shut or has shrunk less than nothing is free: that is lacking only to who asks for something of it.
    found = [item for item in found if item.needed] or found
    if ask.wants_devices and not _count_on_devices(ask, node.devices):
        found.append(_device_shortfall(ask, node))
    if not places_left(ask, node):
        found.append(Shortfall("places", 1, 0))
    return tuple(found)


def _device_shortfall(ask: Ask, node: NodeRoom) -> Shortfall:
    """Which property of the devices is missing: their number, the free part of the best one, or its memory."""
    known = [device for device in node.devices if device.offered and ask.is_kind(device.model, device.capability)]
    if ask.milli:
        if not known:
            return Shortfall("gpu_devices", 1, 0)
        best = max(device.free_milli for device in known)
        if best < ask.milli:
            return Shortfall("gpu_milli", ask.milli, max(best, 0))
        ample = [device for device in known if device.free_milli >= ask.milli]
        device = max(ample, key=lambda room: (room.free_memory_bytes - ask.memory_of(room.memory_bytes), -room.id))
        return Shortfall("gpu_memory_bytes", ask.memory_of(device.memory_bytes), max(device.free_memory_bytes, 0))
    large = [device for device in known if device.memory_bytes >= ask.gpu_memory_bytes]
    if len(large) < ask.whole <= len(known):
        sizes = sorted((device.memory_bytes for device in known), reverse=True)
        return Shortfall("gpu_memory_bytes", ask.gpu_memory_bytes, sizes[ask.whole - 1])
    return Shortfall("gpu_devices", ask.whole, sum(device_fits(ask, device) for device in large))


def lack(ask: Ask, node: NodeRoom) -> int:
    """How far one task is from fitting on the node, in thousandths of what is asked for, summed over resources: what *nearest* means.

    Labels and status are left aside. A fraction that finds the thousandths but not the memory counts as half. It is a measure for
    ranking only: 0 does not imply a fit after rounding.
    """
    total = 0
    for need, free in zip(ask.need, node.free, strict=True):
        if need > free:
            total += min((need - free) // max(1, need // MILLI), MILLI)
    if not places_left(ask, node):
        total += MILLI
    if not ask.wants_devices:
        return total
    usable = sum(device_fits(ask, device) for device in node.devices)
    if ask.whole:
        return total + (ask.whole - min(usable, ask.whole)) * MILLI // ask.whole
    if usable:
        return total
    known = [device.free_milli for device in node.devices if device.offered and ask.is_kind(device.model, device.capability)]
    return total + MILLI - max(min(max(known, default=0), ask.milli), 0) * (MILLI // 2) // ask.milli
