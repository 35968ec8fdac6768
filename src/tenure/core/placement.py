"""Where the tasks of a job go: all of them or none.

`arrange` decides how many tasks go to which nodes; `deal` turns that into one placement per task with its very devices. Tasks are
numbered along the nodes in the order of their ids, so that neighbours in rank are neighbours on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tenure.core.feasibility import Ask, NodeRoom, pick_devices, take
from tenure.model.allocation import Placement


class Option(NamedTuple):
    """A node (by index, which follows its id) that could take so many tasks. Sorts by rank (lower is better), then by node."""

    rank: int
    node: int
    tasks: int


Layout = list[tuple[int, int]]
"""(node index, tasks there), sorted by index."""


def arrange(ask: Ask, options: Iterable[Option]) -> Layout | None:
    """How many tasks go where, or None when not all of them fit. Packed on few nodes unless the shape names a number of nodes."""
    ranked = sorted(option for option in options if option.tasks > 0)
    chosen = _evenly(ask, ranked) if ask.nodes else _packed(ask.tasks, ranked)
    return sorted(chosen) if chosen is not None else None


def is_enough(ask: Ask, counts: Sequence[int]) -> bool:
    """Whether nodes that could take so many tasks each are enough for all tasks together."""
    if not ask.nodes:
        return sum(counts) >= ask.tasks
    share, larger = divmod(ask.tasks, ask.nodes)
    return sum(count >= share for count in counts) >= ask.nodes and sum(count > share for count in counts) >= larger


def is_dealt_evenly(ask: Ask, node_ids: Sequence[int]) -> bool:
    """Whether tasks on these nodes, one entry per task, are dealt evenly over exactly as many nodes as the shape names."""
    counts = [node_ids.count(node_id) for node_id in dict.fromkeys(node_ids)]
    return len(counts) == ask.nodes and max(counts) - min(counts) <= 1


def _packed(tasks: int, ranked: Sequence[Option]) -> Layout | None:
    """The fullest node that holds the rest, else the node that holds most; ties by rank."""
    if sum(option.tasks for option in ranked) < tasks:
        return None
    chosen: Layout = []
    left = list(ranked)
    while tasks:
        whole = next((option for option in left if option.tasks >= tasks), None)
        best = whole or min(left, key=lambda option: (-option.tasks, option.rank, option.node))
        left.remove(best)
        chosen.append((best.node, min(best.tasks, tasks)))
        tasks -= chosen[-1][1]
    return chosen


def _evenly(ask: Ask, ranked: Sequence[Option]) -> Layout | None:
    """Exactly ``ask.nodes`` nodes, each with its equal share; the first ones by rank take what does not divide."""
    if not is_enough(ask, [option.tasks for option in ranked]):
        return None
    share, larger = divmod(ask.tasks, ask.nodes)
    chosen: Layout = [(option.node, share + 1) for option in ranked if option.tasks > share][:larger]
    taken = {index for index, _ in chosen}
    rest = [(option.node, share) for option in ranked if option.tasks >= share and option.node not in taken]
    return chosen + rest[: ask.nodes - larger]


def deal(ask: Ask, layout: Layout, rooms: dict[int, NodeRoom]) -> tuple[Placement, ...]:
    """One placement per task, taken from these rooms (by node index) as they are dealt; the rooms are changed."""
    placements: list[Placement] = []
    for index, count in layout:
        room = rooms[index]
        for _ in range(count):
            devices = pick_devices(ask, room)
            take(room, ask.need, devices, ask.app)
            placements.append(Placement(len(placements), room.id, devices))
    return tuple(placements)
