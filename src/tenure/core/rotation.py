"""Taking turns: who has run for a time slice rests for who has waited longest, and goes on later where it was.

Jobs of equal standing, the same priority or a lower one, that want the same cpus form a line: those that wait to start, by the order,
and those that rest, each since when it waits. For the first of the line, jobs that have run for `PlanSettings.slice_ms` without a break
are suspended, as few and as long in their turn as may be, if it then certainly fits. A job that rests keeps its place, its memory and
everything else but its cpus, and gives those back only once it is reported to have stopped. Who holds a GPU is never suspended: a
stopped process keeps the GPU's memory. Under a policy without turns nobody is suspended any more, and who rests goes on before anybody
starts. Invariant: whoever starts or goes on runs for a whole slice before it rests, so there is at most one rotation per slice and cpu.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from tenure.core.feasibility import Ask, NodeRoom, count_tasks, fits, is_allowed
from tenure.core.placement import is_enough
from tenure.core.rooms import KEPT, RUNNING, Holding
from tenure.core.turns import in_order, scores_of
from tenure.model.job import RESTS, STOPS, PendingJob, RunningJob
from tenure.model.plan import Decision, Resume, Suspend
from tenure.model.project import Bundle
from tenure.model.settings import LEAST_SLICE_MS

if TYPE_CHECKING:
    from tenure.core.cycle import Cycle

LOOKED_AT = 16
"""So many waiting jobs, the first of their groups, stand in the line of one cycle."""

Line = tuple[int, int, bool, int]
"""A place in the line: (minus the priority, since when it waits, whether it rests, id). Smaller goes first. Who rests since the
moment at which another came rests for that one, so it stands behind it."""

Enough = Callable[[Mapping[int, NodeRoom]], bool]
"""Whether rooms, by node index, are enough for somebody."""


@dataclass(frozen=True, slots=True)
class Chance:
    """When somebody may have its turn on these nodes (indexes): at once if ``is_free``, else when these have rested."""

    at_ms: int
    victims: tuple[RunningJob, ...]
    nodes: tuple[int, ...]
    is_free: bool = False

    @property
    def rank(self) -> tuple[bool, int, int, tuple[int, ...]]:
        """The soonest first, then who disturbs the fewest."""
        return not self.is_free, self.at_ms, len(self.victims), self.nodes


class Rotation:
    """The line of one cycle. ``retry_ms`` is when the next one in it may have its turn (0: nobody waits for that); ``waits`` are those
    that do not have it yet, with the time of their turn."""

    def __init__(self, cycle: Cycle) -> None:
        self.cycle, self.board, self.now_ms = cycle, cycle.board, cycle.now_ms
        self.slice_ms = max(cycle.board.settings.slice_ms, LEAST_SLICE_MS)
        self.slices = cycle.stages.slices
        self.decisions: list[Decision] = []
        self.waits: dict[int, int] = {}
        self.retry_ms = 0
        self._used: set[int] = set()
        self._able = self._who_may_rest() if self.slices else {}
        self._stopping = self._by_node(job for job in self.board.resting.values() if job.rest == STOPS)

    def run(self) -> None:
        """Give everybody in the line its turn whose turn it is; to be done before anybody starts."""
        resting = [job for job in self.board.resting.values() if job.rest == RESTS and job.slice_ms >= 0 and not job.stopping]
        line: list[tuple[Line, PendingJob | RunningJob]] = [((-job.priority, job.slice_ms, True, job.id), job) for job in resting]
        if self.slices:
            line += [((-job.priority, max(job.submitted_ms, job.eligible_ms), False, job.id), job) for job in self._first_waiting()]
        for _, job in sorted(line, key=lambda item: item[0]):
            if isinstance(job, RunningJob):
                self._of_resting(job)
            else:
                self._of_waiting(job)

    def goes_on_after(self, starts: int) -> bool:
        """Whether, with so many starts, somebody still waits for a turn whose time depends on what this plan decides."""
        resumed = sum(len(decision.resumes) for decision in self.decisions)
        others = self.slices and len(self.board.waiting.rows) + len(self.board.resting) > starts + resumed
        return bool(starts or self.decisions) and bool(self.waits or others)

    # --- the line

    def _first_waiting(self) -> list[PendingJob]:
        """The first waiting jobs in the order that nothing else keeps from starting."""
        cycle, board = self.cycle, self.board
        shapes = [shape for shape in sorted(board.waiting.shapes) if cycle.possible.could_hold(shape)]
        scores = scores_of(board, self.now_ms, cycle.stages.order)
        turns = in_order(board.waiting, scores, shapes, lambda slots: np.ones(len(slots), dtype=np.bool_))
        rows = [board.waiting.rows[turn[2]] for turn in islice(turns, LOOKED_AT)]
        quotas = cycle.quotas
        return [row for row in rows if quotas is None or quotas.bar_of(row.project, board.asks[row.shape]) is None]

    def _of_waiting(self, job: PendingJob) -> None:
        """The turn of a job that has not started: it is only made room for, and starts in its place in the order."""
        ask = self.board.asks[job.shape]
        spare = self.cycle.outside_of(job)
        nodes = self.board.rooms.nodes
        allowed = [i for i, node in enumerate(nodes) if i not in self._used and i not in spare and is_allowed(ask, node)]
        if ask.tasks == 1:
            found = (self._chance((index,), _one_fits(ask, index), job.priority) for index in allowed)
            chance = min((one for one in found if one is not None), key=lambda one: one.rank, default=None)
        else:
            chance = self._chance(tuple(allowed), _all_fit(ask), job.priority)
        if chance is None:
            return
        if not chance.is_free:
            self._take_turn(job.id, chance)
            if ask.tasks == 1:
                self._keep(job.id, chance, {chance.nodes[0]: ask.need[0]})
        self._used.update(chance.nodes if ask.tasks == 1 else self._by_node(chance.victims))

    def _of_resting(self, job: RunningJob) -> None:
        """The turn of a job that rests: it goes on where it is, or its cpus are kept for it as they come free."""
        need, quotas = self._cpus_of(job), self.cycle.quotas
        more = Bundle(sum(need.values()))
        if quotas is not None and quotas.bar(job.project, more) is not None:
            return
        spare = self.cycle.outside(1, self.board.owner(job.id))
        if any(index in spare and spare[index].free[0] < cpus for index, cpus in need.items()):
            return  # it is set aside for others now
        if self._used.intersection(need):
            self.waits[job.id] = self.now_ms
            return
        chance = self._chance(tuple(sorted(need)), _has_cpus(need), job.priority)
        if chance is not None and chance.is_free:
            self._resume(job)
            if quotas is not None:
                quotas.started(job.project, more)
            return
        if chance is not None:
            self._take_turn(job.id, chance)
            self._used.update(need)
        if chance is not None or not self.slices:
            self._keep(job.id, chance, need)

    def _take_turn(self, job_id: int, chance: Chance) -> None:
        """Let others rest for this job, if they have run long enough."""
        self.waits[job_id] = chance.at_ms
        if chance.at_ms > self.now_ms:
            self.retry_ms = min(self.retry_ms or chance.at_ms, chance.at_ms)
        elif chance.victims:
            suspends = tuple(Suspend(victim.id, victim.attempt_id, job_id) for victim in chance.victims)
            self.decisions.append(Decision(suspends=suspends))

    # --- room

    def _chance(self, nodes: tuple[int, ...], enough: Enough, priority: int) -> Chance | None:
        """The soonest chance on all of these nodes together, None if even all who may rest are not enough."""
        rooms = {index: self.board.rooms.nodes[index].copy() for index in nodes}
        if enough(rooms):
            return Chance(self.now_ms, (), nodes, is_free=True)
        for victim in self._on(self._stopping, nodes):
            _move(rooms, victim, self.board.rooms.index, 1)
        if enough(rooms):
            return Chance(self.now_ms, (), nodes)
        able = [victim for victim in self._on(self._able, nodes) if victim.priority <= priority]
        able.sort(key=lambda victim: (max(self._due_ms(victim), self.now_ms), victim.priority, victim.slice_ms, victim.id))
        chosen: list[RunningJob] = []
        for victim in able:
            _move(rooms, victim, self.board.rooms.index, 1)
            chosen.append(victim)
            if enough(rooms):
                break
        else:
            return None
        for victim in chosen[-2::-1]:
            _move(rooms, victim, self.board.rooms.index, -1)
            if enough(rooms):
                chosen.remove(victim)
            else:
                _move(rooms, victim, self.board.rooms.index, 1)
        return Chance(max(self.now_ms, *(self._due_ms(victim) for victim in chosen)), tuple(chosen), nodes)

    def _due_ms(self, victim: RunningJob) -> int:
        """When its slice is over."""
        return victim.slice_ms + self.slice_ms

    def _who_may_rest(self) -> dict[int, list[RunningJob]]:
        """The jobs that take turns and run, by the index of each of their nodes."""
        return self._by_node(
            job
            for _, job in sorted(self.board.running.items())
            if job.slice_ms >= 0 and not job.rest and not job.stopping and not any(held.devices for held in job.allocations)
        )

    def _by_node(self, jobs: Iterable[RunningJob]) -> dict[int, list[RunningJob]]:
        found: dict[int, list[RunningJob]] = {}
        for job in jobs:
            for index in dict.fromkeys(self.board.rooms.index.get(held.node_id, -1) for held in job.allocations):
                found.setdefault(index, []).append(job)
        return found

    @staticmethod
    def _on(jobs: Mapping[int, list[RunningJob]], nodes: Iterable[int]) -> list[RunningJob]:
        """Those on these nodes, each once."""
        return list({job.id: job for index in nodes for job in jobs.get(index, ())}.values())

    def _cpus_of(self, job: RunningJob) -> dict[int, int]:
        """What a job that rests needs of each of its nodes to go on."""
        need: dict[int, int] = {}
        for held in job.allocations:
            index = self.board.rooms.index.get(held.node_id)
            if index is not None:
                need[index] = need.get(index, 0) + self._awake_milli(job) - held.amounts.cpu_milli
        return need

    def _awake_milli(self, job: RunningJob) -> int:
        """The cpus of each of its tasks when it goes on."""
        return job.cpu_milli or self.board.shapes[job.shape].amounts.cpu_milli

    def _resume(self, job: RunningJob) -> None:
        """Let it go on, and take its cpus for the rest of the cycle."""
        rooms, cpu_milli = self.board.rooms, self._awake_milli(job)
        for held in job.allocations:
            index = rooms.index.get(held.node_id)
            if index is not None:
                old = rooms.holdings[index][RUNNING, job.id, held.task]
                rooms.release(index, (RUNNING, job.id, held.task))
                rooms.hold(index, (RUNNING, job.id, held.task), replace(old, need=(cpu_milli, *old.need[1:])))
        self.decisions.append(Decision(resumes=(Resume(job.id, job.attempt_id),)))

    def _keep(self, job_id: int, chance: Chance | None, need: Mapping[int, int]) -> None:
        """Keep what is free of the cpus that somebody will take, so that nobody comes in between."""
        rooms, who = self.board.rooms, self.board.owner(job_id)
        until_ms = max(chance.at_ms if chance is not None else 0, self.now_ms + 1)
        for index, cpus in need.items():
            kept = min(rooms.nodes[index].free[0], cpus)
            if kept > 0:
                rooms.hold(index, (KEPT, job_id, 0), Holding(job_id, until_ms, (kept, 0, 0, 0), (), who=who))


def _one_fits(ask: Ask, index: int) -> Enough:
    return lambda rooms: fits(ask, rooms[index])


def _has_cpus(need: Mapping[int, int]) -> Enough:
    return lambda rooms: all(rooms[index].free[0] >= cpus for index, cpus in need.items())


def _all_fit(ask: Ask) -> Enough:
    return lambda rooms: is_enough(ask, [count_tasks(ask, room, ask.tasks) for room in rooms.values()])


def _move(rooms: Mapping[int, NodeRoom], job: RunningJob, index: Mapping[int, int], sign: int) -> None:
    """Give the cpus of a job that rests to the rooms (1), or take them back (-1)."""
    for held in job.allocations:
        room = rooms.get(index.get(held.node_id, -1))
        if room is not None:
            room.free[0] += sign * held.amounts.cpu_milli
