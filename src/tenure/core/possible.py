"""What could hold a shape if nobody else held anything, and what stands in the way where nothing offered could.

This depends on the nodes alone, so it is worked out once per shape and set of nodes. Invariant: a shape that `could_hold` is never
reported as impossible, however full the nodes are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tenure.core.board import Board
from tenure.core.feasibility import Ask, NodeRoom, count_tasks, lack, node_room, pick_devices, shortfalls, take
from tenure.core.placement import is_enough
from tenure.model.lifecycle import DeviceStatus, NodeStatus
from tenure.model.node import Node
from tenure.model.reasons import DeviceUnavailable, NeverFits, NodeUnavailable, Shortfall

Obstacle = NodeUnavailable | DeviceUnavailable | NeverFits


def holds_empty(ask: Ask, rooms: Iterable[NodeRoom]) -> bool:
    """Whether these rooms together could hold all tasks; looks no further than needed."""
    counts: list[int] = []
    total = 0
    for room in rooms:
        count = count_tasks(ask, room, ask.tasks)
        if count:
            counts.append(count)
            total += count
            if total >= ask.tasks and len(counts) >= ask.nodes and is_enough(ask, counts):
                return True
    return False


def with_all_nodes(nodes: Iterable[Node]) -> list[Node]:
    """The same nodes, all up."""
    return [replace(node, status=NodeStatus.UP) for node in nodes]


def with_all_devices(nodes: Iterable[Node]) -> list[Node]:
    """The same nodes, all their devices ok."""
    return [replace(node, devices=tuple(replace(device, status=DeviceStatus.OK) for device in node.devices)) for node in nodes]


def obstacle(ask: Ask, nodes: Sequence[Node], empty: Iterable[NodeRoom] | None = None) -> Obstacle | None:
    """Why nothing that is offered could hold it even when empty; None when something could. ``empty``: the nodes' rooms, if at hand."""
    if holds_empty(ask, map(node_room, nodes) if empty is None else empty):
        return None
    everywhere = with_all_nodes(nodes)
    if holds_empty(ask, map(node_room, everywhere)):
        return NodeUnavailable(_down(ask, nodes, everywhere))
    repaired = with_all_devices(nodes)
    if holds_empty(ask, map(node_room, repaired)):
        return DeviceUnavailable(_unavailable_devices(ask, repaired, nodes))
    everything = with_all_nodes(repaired)
    if holds_empty(ask, map(node_room, everything)):
        return NodeUnavailable(_down(ask, nodes, everything))
    node_id, short = nearest(ask, [node_room(node) for node in everything])
    return NeverFits(node_id, short, tuple(label for label in ask.labels if not any(label in node.labels for node in nodes)))


def second_obstacle(ask: Ask, nodes: Sequence[Node]) -> DeviceUnavailable | None:
    """The devices that are missing as well where the nodes that are missing would not be enough; None where they would."""
    everywhere = with_all_nodes(nodes)
    if holds_empty(ask, map(node_room, everywhere)):
        return None
    return DeviceUnavailable(_unavailable_devices(ask, with_all_devices(everywhere), everywhere))


def _down(ask: Ask, nodes: Iterable[Node], restored: Iterable[Node]) -> tuple[int, ...]:
    """The nodes that take no work now and that could hold a task once they are restored."""
    pairs = zip(nodes, restored, strict=True)
    return tuple(sorted(node.id for node, up in pairs if node.status != NodeStatus.UP and count_tasks(ask, node_room(up), 1)))


def _unavailable_devices(ask: Ask, repaired: Sequence[Node], nodes: Sequence[Node]) -> tuple[int, ...]:
    useful = {node.id for node in repaired if count_tasks(ask, node_room(node), 1)}
    devices = [device for node in nodes if node.id in useful for device in node.devices]
    wanted = [device for device in devices if device.status != DeviceStatus.OK and ask.is_kind(device.model.lower(), device.capability)]
    return tuple(sorted(device.id for device in wanted))


def nearest(ask: Ask, rooms: Iterable[NodeRoom]) -> tuple[int, tuple[Shortfall, ...]]:
    """The node that comes nearest and what it lacks for one more task; (0, ()) when no node takes work.

    Missing labels decide first, then how many tasks fit already, then how much is lacking (`lack`), then the id. Of a gang, the tasks
    that fit there are thought placed before the shortfall is taken.
    """
    best: tuple[int, int, int, int] | None = None
    found: NodeRoom | None = None
    for room in rooms:
        if room.offered:
            missing = sum(label not in room.labels for label in ask.labels)
            rank = (missing, -count_tasks(ask, room, ask.tasks), lack(ask, room), room.id)
            if best is None or rank < best:
                best, found = rank, room
    return (0, ()) if found is None else (found.id, shortfall_of_next(ask, found))


def shortfall_of_next(ask: Ask, room: NodeRoom) -> tuple[Shortfall, ...]:
    """What the room lacks for one more task after all that fit there; of a single task that fits, nothing."""
    count = count_tasks(ask, room, ask.tasks)
    if count and ask.tasks > 1:
        room = room.copy()
        for _ in range(count):
            take(room, ask.need, pick_devices(ask, room), ask.app)
    return shortfalls(ask, room)


class Possible:
    """The obstacles of all shapes that were asked about, for the board's present nodes."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._empty: list[NodeRoom] = []
        self._obstacles: dict[int, Obstacle | None] = {}

    @staticmethod
    def of(board: Board) -> Possible:
        """Those kept with the board, or new ones."""
        kept: Possible | None = board.caches.get("possible")
        if kept is None:
            kept = board.caches["possible"] = Possible(board)
        return kept

    def obstacle(self, shape: int) -> Obstacle | None:
        """Why nothing that is offered could ever hold the shape; None when something could."""
        if shape not in self._obstacles:
            self._obstacles[shape] = obstacle(self.board.asks[shape], self.board.nodes, self._rooms())
        return self._obstacles[shape]

    def _rooms(self) -> Iterator[NodeRoom]:
        """The nodes when empty; each is made when somebody looks so far for the first time."""
        yield from self._empty
        for node in self.board.nodes[len(self._empty) :]:
            self._empty.append(node_room(node))
            yield self._empty[-1]

    def could_hold(self, shape: int) -> bool:
        """Whether what is offered could hold the shape if it were empty."""
        return self.obstacle(shape) is None
