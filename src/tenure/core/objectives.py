"""How good a plan is by five objectives at once, from what the board says now: each in millionths, higher is better.

- *utilisation*: of what is free and asked for (of cpu, of memory, of GPUs: the lesser of both), the mean part that the plan takes;
- *response*: of the growth of all bounded slowdowns, what the plan ends. A job that waits grows its own by 1 / max(length, 10 s); the
  scale is what a fractional knapsack could end in the free room (G. Dantzig, "Discrete-variable extremum problems", 1957);
- *fairness*: of what max-min fairness would give every user (dominant shares: A. Ghodsi and others, "Dominant resource fairness",
  NSDI 2011), the part that they hold after the plan;
- *energy*: what the started work draws at least, on the most sparing node that could run it, by what it draws where the plan puts it;
- *cost*: the same of the price of its share of a node.

The scales follow from the board, never from the plans that are compared. Where not every node that takes work declares its power or
its price (`tenure.model.upkeep`), that objective is `WHOLE` for every plan. Invariant: an empty plan is judged like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tenure.core.board import Board
from tenure.core.columns import Floats
from tenure.core.feasibility import Ask, NodeRoom, is_allowed
from tenure.core.rooms import Rooms
from tenure.core.waiting import CPU_MILLI, EXPECTED, FIRST_ID, GPU_MILLI, LIMIT, USER, Group
from tenure.model.amounts import MILLI
from tenure.model.job import PendingJob
from tenure.model.plan import Start
from tenure.model.upkeep import Upkeep, upkeep_of

WHOLE = 1_000_000
BOUND_MS = 10_000
"""Shorter jobs count as if they took so long, as in the bounded slowdown."""
UNKNOWN_MS = 3_600_000
"""The length of a job of which nothing is known."""


class Objectives(NamedTuple):
    """One plan's worth, each 0 to `WHOLE`."""

    utilisation: int
    response: int
    fairness: int
    energy: int
    cost: int


def share_of(ask: Ask, node: NodeRoom) -> float:
    """What one task takes of a node: of its cpu, its memory or its devices, whichever is the larger part."""
    share = max(ask.need[0] / max(1, node.capacity[0]), ask.need[1] / max(1, node.capacity[1]))
    if not ask.wants_devices:
        return share
    return max(share, (ask.whole * MILLI + ask.milli) / (max(1, len(node.devices)) * MILLI))


def length_ms(job: PendingJob) -> int:
    """How long a job is expected to run."""
    return job.expected_ms or job.limit_ms or UNKNOWN_MS


class Judge:
    """Judges plans made on one board; made anew for each cycle. The board's groups must tell users apart."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._upkeep = [upkeep_of(node.labels) for node in board.rooms.nodes]
        self.has_power, self.has_price = declares(board.rooms)
        self._least: dict[int, tuple[float, float]] = {}
        self._many = {group.slot: _startable(board, group) for group in board.waiting.groups.values()}
        self._capacity = _capacity(board.rooms.nodes)
        self._reach = self._reachable()
        self._stoppable = self._knapsack()
        self._held = self._shares_held()
        self._entitled = self._entitlements()

    def judge(self, starts: Sequence[Start]) -> Objectives:
        """All five of a plan that starts these."""
        energy, cost = self._thrift(starts)
        return Objectives(
            self._utilisation(starts),
            self._response(starts),
            self._fairness(starts),
            energy if self.has_power else WHOLE,
            cost if self.has_price else WHOLE,
        )

    # --- utilisation

    def _reachable(self) -> list[float]:
        """Of cpu, memory and GPUs: the lesser of what is free and what is asked for."""
        offered = [node for node in self._board.rooms.nodes if node.offered]
        free = [sum(max(node.free[0], 0) for node in offered), sum(max(node.free[1], 0) for node in offered)]
        free.append(sum(node.gpu_free for node in offered))
        asked = [0.0, 0.0, 0.0]
        for group in self._board.waiting.groups.values():
            for place, amount in enumerate(_taken(self._board.asks[group.shape])):
                asked[place] += amount * self._many[group.slot]
        return [min(have, want) for have, want in zip(free, asked, strict=True)]

    def _utilisation(self, starts: Sequence[Start]) -> int:
        taken = [0.0, 0.0, 0.0]
        for start in starts:
            for place, amount in enumerate(_taken(self._ask(start))):
                taken[place] += amount
        parts = [min(took / reach, 1.0) for took, reach in zip(taken, self._reach, strict=True) if reach > 0]
        return _millionths(sum(parts) / len(parts) if parts else 1.0)

    # --- response

    def _knapsack(self) -> float:
        """The largest sum of rates whose jobs' shares together are no more than the free ones; jobs may be cut."""
        columns = self._board.waiting.columns
        slots = np.flatnonzero(columns[FIRST_ID] >= 0)
        if not len(slots):
            return 0.0
        counts = np.array([self._many[slot] for slot in slots.tolist()], dtype=np.float64)
        cpu, gpu = self._capacity
        sizes: Floats = columns[CPU_MILLI, slots] / cpu + columns[GPU_MILLI, slots] / gpu
        told = np.where(columns[EXPECTED, slots] > 0, columns[EXPECTED, slots], columns[LIMIT, slots])
        rates: Floats = 1.0 / np.maximum(np.where(told > 0, told, UNKNOWN_MS), BOUND_MS)
        offered = [node for node in self._board.rooms.nodes if node.offered]
        room = sum(max(node.free[0], 0) for node in offered) / cpu + sum(node.gpu_free for node in offered) / gpu
        order = np.lexsort((slots, -rates / np.maximum(sizes, 1e-12)))
        ends = np.cumsum((sizes * counts)[order])
        fitting = np.clip((room - np.concatenate(([0.0], ends[:-1]))) / np.maximum((sizes * counts)[order], 1e-12), 0.0, 1.0)
        return float((fitting * (rates * counts)[order]).sum())

    def _response(self, starts: Sequence[Start]) -> int:
        if self._stoppable <= 0:
            return WHOLE
        stopped = sum(1.0 / max(length_ms(self._job(start)), BOUND_MS) for start in starts)
        return _millionths(stopped / self._stoppable)

    # --- fairness

    def _shares_held(self) -> dict[int, tuple[int, int]]:
        """What each user holds: thousandths of cpus and of GPUs."""
        held: dict[int, tuple[int, int]] = {}
        for job in self._board.running.values():
            cpu, gpu = held.get(job.user, (0, 0))
            cpu += sum(allocation.amounts.cpu_milli for allocation in job.allocations)
            gpu += sum(share.milli for allocation in job.allocations for share in allocation.devices)
            held[job.user] = (cpu, gpu)
        return held

    def _entitlements(self) -> dict[int, float]:
        """The dominant share of each user under max-min fairness, who wants no more than is held and asked for."""
        wanted = dict(self._held)
        columns = self._board.waiting.columns
        for group in self._board.waiting.groups.values():
            cpu, gpu = int(columns[CPU_MILLI, group.slot]), int(columns[GPU_MILLI, group.slot])
            user, many = int(columns[USER, group.slot]), self._many[group.slot]
            held = wanted.get(user, (0, 0))
            wanted[user] = (held[0] + cpu * many, held[1] + gpu * many)
        return filled({user: self._dominant(amounts) for user, amounts in wanted.items()}, 1.0)

    def _dominant(self, amounts: tuple[int, int]) -> float:
        return max(amounts[0] / self._capacity[0], amounts[1] / self._capacity[1])

    def _fairness(self, starts: Sequence[Start]) -> int:
        total = sum(self._entitled.values())
        if total <= 0:
            return WHOLE
        held = dict(self._held)
        for start in starts:
            cpu, _, gpu = _taken(self._ask(start))
            user = self._job(start).user
            before = held.get(user, (0, 0))
            held[user] = (before[0] + cpu, before[1] + gpu)
        found = sum(min(self._dominant(held.get(user, (0, 0))), entitled) for user, entitled in self._entitled.items())
        return _millionths(found / total)

    # --- energy and cost

    def _thrift(self, starts: Sequence[Start]) -> tuple[int, int]:
        """(energy, cost): the least that the same work could draw and cost, by what it does."""
        if not (self.has_power or self.has_price):
            return WHOLE, WHOLE
        rooms, woken = self._board.rooms, set[int]()
        least_j = drawn_j = least_price = price = 0.0
        for start in starts:
            ask, hours = self._ask(start), length_ms(self._job(start)) / UNKNOWN_MS
            least = self._least_of(self._job(start).shape, ask)
            for placement in start.placements:
                index = rooms.index[placement.node_id]
                upkeep, share = self._upkeep[index], share_of(ask, rooms.nodes[index])
                wakes = index not in woken and not rooms.holdings[index]
                woken.add(index)
                drawn_j += (upkeep.span_w * share + (upkeep.wake_w if wakes else 0)) * hours
                price += upkeep.price_milli * share * hours
                least_j += least[0] * hours
                least_price += least[1] * hours
        return _millionths(least_j / drawn_j if drawn_j > 0 else 1.0), _millionths(least_price / price if price > 0 else 1.0)

    def _least_of(self, shape: int, ask: Ask) -> tuple[float, float]:
        """What one task draws and costs at least, on any node it may use that is awake already."""
        found = self._least.get(shape)
        if found is None:
            pairs: Iterable[tuple[NodeRoom, Upkeep]] = zip(self._board.rooms.nodes, self._upkeep, strict=True)
            usable = [(share_of(ask, node), upkeep) for node, upkeep in pairs if is_allowed(ask, node) and _could_hold(ask, node)]
            watts = min((share * upkeep.span_w for share, upkeep in usable), default=0.0)
            price = min((share * upkeep.price_milli for share, upkeep in usable), default=0.0)
            found = self._least[shape] = (watts, price)
        return found

    def _job(self, start: Start) -> PendingJob:
        return self._board.waiting.rows[start.job_id]

    def _ask(self, start: Start) -> Ask:
        return self._board.asks[self._job(start).shape]


def declares(rooms: Rooms) -> tuple[bool, bool]:
    """Whether every node that takes work declares its power, and its price."""
    offered = [upkeep_of(node.labels) for node in rooms.nodes if node.offered]
    return all(upkeep.has_power for upkeep in offered) and bool(offered), all(upkeep.has_price for upkeep in offered) and bool(offered)


def filled(wanted: Mapping[int, float], room: float) -> dict[int, float]:
    """Max-min fair parts of ``room``: everybody gets what they want up to one level, the same for all."""
    found: dict[int, float] = {}
    left = sorted(wanted, key=lambda user: (wanted[user], user))
    while left:
        level = room / len(left)
        user = left.pop(0)
        found[user] = min(wanted[user], level)
        room -= found[user]
    return found


def _startable(board: Board, group: Group) -> int:
    """How many jobs and elements of arrays of this group may start now."""
    rows = board.waiting.rows
    return sum(min(rows[job_id].array_left, rows[job_id].array_room) for _, job_id in group.entries)


def _capacity(nodes: Iterable[NodeRoom]) -> tuple[int, int]:
    """Thousandths of cpus and of devices of the nodes that take work; at least 1 each."""
    offered = [node for node in nodes if node.offered]
    return max(sum(node.capacity[0] for node in offered), 1), max(sum(len(node.devices) * MILLI for node in offered), 1)


def _taken(ask: Ask) -> tuple[int, int, int]:
    """What all tasks take together of cpu, memory and GPUs."""
    return ask.need[0] * ask.tasks, ask.need[1] * ask.tasks, (ask.whole * MILLI + ask.milli) * ask.tasks


def _could_hold(ask: Ask, node: NodeRoom) -> bool:
    """Whether an empty node of this kind could hold one task, going by amounts and by the number and kind of its devices."""
    if any(need > size for need, size in zip(ask.need, node.capacity, strict=True)):
        return False
    if not ask.wants_devices:
        return True
    able = [device for device in node.devices if device.offered and ask.gpu_model in device.model]
    return len([device for device in able if device.memory_bytes >= ask.gpu_memory_bytes]) >= max(ask.whole, 1)


def _millionths(part: float) -> int:
    return round(min(max(part, 0.0), 1.0) * WHOLE)
