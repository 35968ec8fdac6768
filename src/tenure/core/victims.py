"""Who must go so that a waiting job certainly starts: the cheapest set of running jobs.

With these jobs, and those that are being stopped anyway, gone, all tasks of the job fit beside everybody else. A victim has run for
`PlanSettings.preempt_min_run_ms`, was not displaced within the cool-down, and would not end by itself as soon. Of one node the cheapest
set is found exactly where few jobs could go; else, and for gangs, those that could go are thought gone, and come back one by one, the
dearest first, while the job still fits. Invariant: without any one of the victims' departures the job would not start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from tenure.core.board import Board
from tenure.core.feasibility import Ask, NodeRoom, count_tasks, fits, give, is_allowed, take
from tenure.core.lost import told
from tenure.core.placement import Option, arrange, deal, is_enough
from tenure.core.rooms import RUNNING
from tenure.core.stages import Reclaim, Score
from tenure.model.allocation import DeviceShare, Placement
from tenure.model.amounts import MILLI
from tenure.model.job import PendingJob, RunningJob
from tenure.model.plan import ClaimRequest, Decision, Evict
from tenure.model.settings import HOUR_MS

CLOSELY = 4
"""On so many nodes, the cheapest at first sight, every set of victims is looked at."""

FEW_VICTIMS = 6
"""There, where no more jobs than this could go."""

Move = Callable[[NodeRoom, Sequence[int], Iterable[DeviceShare]], None]
"""`give` or `take`."""


@dataclass(frozen=True, slots=True)
class _Set:
    """Jobs that could be displaced together: what that costs, the nodes' rooms then, and where the tasks would go."""

    cost: int
    victims: tuple[RunningJob, ...]
    placements: tuple[Placement, ...]


class Search:
    """The search of one cycle. ``retry_ms`` is when the next job may be displaced that could not be now, 0 for never."""

    def __init__(self, board: Board, now_ms: int, part: Reclaim, score: Score) -> None:
        self.board, self.now_ms, self.part, self.score = board, now_ms, part, score
        self.settings = board.settings
        self.running = [job for _, job in sorted(self.board.running.items()) if not job.stopping and job.allocations]
        self.evicted = {eviction.job_id: eviction.at_ms for eviction in sorted(self.board.evictions)}
        self.retry_ms = 0
        self.most = self._most()
        self._costs: dict[int, int] = {}
        self._per_cpu = _exchange(self.board)

    def _most(self) -> int:
        """How many jobs may be displaced now."""
        recent = sorted(eviction.at_ms for eviction in self.board.evictions if eviction.at_ms > self.now_ms - HOUR_MS)
        left = self.settings.preempt_per_hour - len(recent)
        if left <= 0 and recent:
            self.retry_ms = recent[0] + HOUR_MS
        return min(self.settings.preempt_per_cycle, left)

    def decision_for(self, job: PendingJob) -> Decision | None:
        """The cheapest way to make room for the job, None for none."""
        found = self._victims_of(job) if self.most > 0 else []
        if not found:
            return None
        self._costs = {v.id: self.part.cost(job, v, self._size(v), self.now_ms, self.settings) for v in found}
        ask = self.board.asks[job.shape]
        best = self._on_one_node(job, ask, found) if ask.tasks == 1 else self._on_many(ask, self._together(job, found))
        return self._decision(job, best) if best is not None else None

    def _victims_of(self, job: PendingJob) -> list[RunningJob]:
        """The jobs that may be displaced for it now."""
        settings = self.settings
        found: list[RunningJob] = []
        for victim in self.running:
            if not self.part.outranks(job, victim, settings):
                continue
            due_ms = victim.started_ms + settings.preempt_min_run_ms
            if victim.id in self.evicted:
                due_ms = max(due_ms, self.evicted[victim.id] + settings.preempt_cool_down_ms)
            if due_ms > self.now_ms:
                self.retry_ms = min(self.retry_ms or due_ms, due_ms)
            elif not self._ends_soon(victim):
                found.append(victim)
        return found

    def _ends_soon(self, victim: RunningJob) -> bool:
        """Whether it is over by its limit before it could be stopped and had been worth it."""
        left_ms = victim.ends_by_ms - self.now_ms
        return victim.ends_by_ms > 0 and left_ms <= victim.grace_ms + self.settings.preempt_restart_ms

    def _size(self, victim: RunningJob) -> int:
        """What it holds in thousandths of a GPU, cpus counted as so much of one as there are GPUs for them; of cpus without GPUs."""
        cpu_milli = sum(held.amounts.cpu_milli for held in victim.allocations)
        gpu_milli = sum(share.milli for held in victim.allocations for share in held.devices)
        return max(gpu_milli, cpu_milli * self._per_cpu // MILLI, 1)

    def _decision(self, job: PendingJob, found: _Set) -> Decision:
        victims = sorted(found.victims, key=lambda victim: victim.id)
        why = f"it makes room for job {job.id}, of priority {job.priority}"
        lost = {victim.id: told(victim, self.now_ms, self.settings) for victim in victims}
        grace_ms = max(victim.grace_ms for victim in victims)
        return Decision(
            evicts=tuple(Evict(victim.id, victim.attempt_id, job.id, f"{why}, and loses {lost[victim.id]}") for victim in victims),
            claims=(ClaimRequest(job.id, found.placements, self.now_ms + grace_ms + self.settings.preempt_hold_ms),),
        )

    # --- who goes

    def _room(self, index: int, gone: Iterable[RunningJob] = ()) -> NodeRoom:
        """A node without those that are being stopped, and without these."""
        room = self.board.rooms.nodes[index].copy()
        for key, holding in self.board.rooms.holdings[index].items():
            if key[0] == RUNNING and self.board.running[key[1]].stopping:
                give(room, holding.need, holding.devices)
        for victim in gone:
            self._move(room, victim, give)
        return room

    def _move(self, room: NodeRoom, victim: RunningJob, move: Move) -> None:
        """Give back to the room of a node, or take from it, what the job holds there."""
        for held in victim.allocations:
            if held.node_id == room.id:
                move(room, held.amounts.as_tuple(), held.devices)

    def _by_node(self, victims: Sequence[RunningJob]) -> dict[int, list[RunningJob]]:
        """Those that hold something on a node, by its index."""
        found: dict[int, dict[int, RunningJob]] = {}
        for victim in victims:
            for held in victim.allocations:
                index = self.board.rooms.index.get(held.node_id)
                if index is not None:
                    found.setdefault(index, {})[victim.id] = victim
        return {index: list(found[index].values()) for index in sorted(found)}

    def _cost(self, victims: Iterable[RunningJob]) -> int:
        return sum(self._costs[victim.id] for victim in victims)

    def _rank(self, index: int, victims: Sequence[RunningJob]) -> tuple[int, int, int]:
        return self._cost(victims), len(victims), index

    def _together(self, job: PendingJob, victims: Iterable[RunningJob]) -> list[RunningJob]:
        """Those that may go together, the cheapest first."""
        by_cost = sorted(victims, key=lambda victim: (self._costs[victim.id], victim.id))
        return self.part.together(job, by_cost, self.settings)

    def _on_one_node(self, job: PendingJob, ask: Ask, victims: Sequence[RunningJob]) -> _Set | None:
        """For a job of one task: the cheapest set of all nodes."""
        nodes = self.board.rooms.nodes
        if any(fits(ask, self._room(index)) for index in self._being_left()):
            return None  # it starts as soon as they are gone
        found: list[tuple[tuple[int, int, int], Sequence[RunningJob]]] = []
        by_node = {index: self._together(job, here) for index, here in self._by_node(victims).items()}
        for index, here in by_node.items():
            chosen = self._needed(ask, index, here) if is_allowed(ask, nodes[index]) else None
            if chosen is not None:
                found.append((self._rank(index, chosen), chosen))
        found.sort(key=lambda item: item[0])
        for position, (rank, _) in enumerate(found[:CLOSELY]):
            closer = self._cheapest(ask, rank[2], by_node[rank[2]])
            found[position] = (self._rank(rank[2], closer), closer) if closer else found[position]
        found = sorted((item for item in found if item[0][1] <= self.most), key=lambda item: item[0])
        if not found:
            return None
        (cost, _, index), best = found[0]
        return _Set(cost, tuple(best), deal(ask, [(index, 1)], {index: self._room(index, best)}))

    def _being_left(self) -> list[int]:
        """The nodes that somebody is leaving."""
        leaving = [held.node_id for job in self.board.running.values() if job.stopping for held in job.allocations]
        return sorted(self.board.rooms.index[node_id] for node_id in set(leaving) if node_id in self.board.rooms.index)

    def _needed(self, ask: Ask, index: int, victims: Sequence[RunningJob]) -> list[RunningJob] | None:
        """Those of them that must go: all are thought gone and come back, the dearest first, while the task still fits."""
        room = self._room(index, victims)
        if not fits(ask, room):
            return None
        needed = []
        for victim in sorted(victims, key=lambda victim: (-self._costs[victim.id], victim.id)):
            self._move(room, victim, take)
            if not fits(ask, room):
                self._move(room, victim, give)
                needed.append(victim)
        return needed

    def _cheapest(self, ask: Ask, index: int, victims: Sequence[RunningJob]) -> Sequence[RunningJob]:
        """The cheapest set of few; nobody where they are many."""
        if len(victims) > FEW_VICTIMS:
            return ()
        sets = [chosen for size in range(1, len(victims) + 1) for chosen in combinations(victims, size)]
        sets.sort(key=lambda chosen: (self._cost(chosen), len(chosen)))
        return next((chosen for chosen in sets if fits(ask, self._room(index, chosen))), ())

    def _on_many(self, ask: Ask, victims: Sequence[RunningJob]) -> _Set | None:
        """For a gang: the cheapest go until all its tasks fit, then those come back that need not go."""
        rooms = {index: self._room(index) for index, node in enumerate(self.board.rooms.nodes) if is_allowed(ask, node)}
        counts = {index: count_tasks(ask, room, ask.tasks) for index, room in rooms.items()}
        if is_enough(ask, list(counts.values())):
            return None
        by_cost = sorted(victims, key=lambda victim: (self._costs[victim.id], victim.id))
        chosen: list[RunningJob] = []
        for victim in by_cost:
            self._move_all(ask, victim, rooms, counts, give)
            chosen.append(victim)
            if is_enough(ask, list(counts.values())):
                break
        else:
            return None
        for victim in reversed(tuple(chosen)):
            self._move_all(ask, victim, rooms, counts, take)
            if is_enough(ask, list(counts.values())):
                chosen.remove(victim)
            else:
                self._move_all(ask, victim, rooms, counts, give)
        return self._arranged(ask, chosen, rooms, counts) if len(chosen) <= self.most else None

    def _move_all(self, ask: Ask, victim: RunningJob, rooms: dict[int, NodeRoom], counts: dict[int, int], move: Move) -> None:
        for index in self._by_node([victim]):
            if index in rooms:
                self._move(rooms[index], victim, move)
                counts[index] = count_tasks(ask, rooms[index], ask.tasks)

    def _arranged(self, ask: Ask, chosen: list[RunningJob], rooms: dict[int, NodeRoom], counts: dict[int, int]) -> _Set | None:
        layout = arrange(ask, [Option(self.score.score(ask, rooms[index]), index, count) for index, count in counts.items() if count])
        if layout is None:
            return None
        return _Set(self._cost(chosen), tuple(chosen), deal(ask, layout, rooms))


def _exchange(board: Board) -> int:
    """Thousandths of a GPU that go with a cpu; of a cpu where there are no GPUs."""
    cpu_milli = sum(node.capacity.cpu_milli for node in board.nodes)
    gpu_milli = sum(device.capacity_milli for node in board.nodes for device in node.devices)
    return gpu_milli * MILLI // cpu_milli if gpu_milli and cpu_milli else MILLI
