"""Where the jobs of a cycle go: seeking nodes with what may be taken of each, and holding what was found for the rest of the cycle.

What may be taken of a node is what is free of it, less what the head's reservation needs later (`Places.beside`), less what is promised
or set aside for others (`Places.outside`). Invariant: nothing is held that was not free in every one of these readings.
"""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import numpy as np

from tenure.core.backfill import Window
from tenure.core.board import Board
from tenure.core.calendar import Calendar, Layered, Narrowed, common_room
from tenure.core.candidates import Candidates, Scores
from tenure.core.days import who_of
from tenure.core.feasibility import Ask, NodeRoom, count_tasks, fits, pick_devices, take
from tenure.core.placement import Layout, arrange, deal
from tenure.core.promises import Promises
from tenure.core.rooms import FOREVER, NOBODY, PLANNED, Holding, Who
from tenure.core.sought import Sought
from tenure.core.stages import Stages
from tenure.core.tables import NOWHERE
from tenure.core.waiting import Group
from tenure.core.wishes import WISHED, patience_ends_ms
from tenure.model.allocation import Placement
from tenure.model.job import PendingJob
from tenure.model.plan import Start


class Places:
    """The rooms of one cycle, as far as they may be taken."""

    def __init__(self, board: Board, now_ms: int, stages: Stages) -> None:
        self.board = board
        self.now_ms = now_ms
        self.stages = stages
        self.candidates = Candidates.of(board, stages.score)
        self.starts: list[Start] = []
        self.sought = Sought(board.waiting, now_ms)
        self.window: Window | None = None
        self.calendar: Calendar | None = None
        self.promises: Promises | None = None
        self._shared: dict[int, NodeRoom] = {}

    def who(self, group: Group) -> Who:
        """Whose the jobs of a group are, where that matters: else nobody's."""
        return who_of(self.board.waiting.rows[group.entries[0][1]]) if self.calendar is not None else NOBODY

    def outside(self, limit_ms: int, who: Who) -> Mapping[int, NodeRoom]:
        """What is left by the windows that are not for who asks, of the nodes that have any."""
        return Narrowed(self.calendar, limit_ms, who) if self.calendar is not None else {}

    def outside_of(self, job: PendingJob) -> Mapping[int, NodeRoom]:
        """The same for a job."""
        return self.outside(job.limit_ms, who_of(job) if self.calendar is not None else NOBODY)

    def find(self, shape: int, *, careful: bool) -> Layout | None:
        """Where the tasks of a shape could go now; ``careful``: without taking what is reserved."""
        return self.find_beside(shape, self.beside() if careful else {})

    def find_beside(self, shape: int, spare: Mapping[int, NodeRoom]) -> Layout | None:
        """Where the tasks of a shape could go now, if possible where they wish; of some nodes no more than ``spare`` may be taken."""
        wish = self._seek(shape + WISHED, spare) if shape + WISHED in self.board.asks else None
        return wish or self._seek(shape, spare)

    def wishes_until(self, job: PendingJob) -> int:
        """Until when a job that could start waits for the place it wishes for; 0 where it does not."""
        until_ms = patience_ends_ms(self.board.shapes, job)
        if until_ms <= self.now_ms or not self.sought.may_find(job.shape, careful=self.sought.is_careful(job.limit_ms)):
            return 0
        spare = self.spare_for(job)
        return until_ms if self._seek(job.shape + WISHED, spare) is None and self._seek(job.shape, spare) is not None else 0

    def _seek(self, shape: int, spare: Mapping[int, NodeRoom]) -> Layout | None:
        """Where the tasks of an ask could go now."""
        ask = self.board.asks[shape]
        if ask.tasks == 1:
            index = self._find_node(shape, spare)
            return None if index is None else [(index, 1)]
        instead = {index: count_tasks(ask, room, ask.tasks) for index, room in spare.items()}
        return arrange(ask, self.candidates.options(shape, self.board.asks, instead))

    def _find_node(self, shape: int, spare: Mapping[int, NodeRoom]) -> int | None:
        ask, nodes = self.board.asks[shape], self.board.rooms.nodes
        if len(nodes) == 1:  # there is nothing to choose, so nothing is scored
            return 0 if fits(ask, nodes[0]) and (0 not in spare or fits(ask, spare[0])) else None
        scores = self.candidates.row(shape, self.board.asks)
        barred: list[tuple[int, int]] = []
        while True:
            index = self._best(scores) if len(scores) else -1
            found = index >= 0 and scores[index] != NOWHERE
            if not found or index not in spare or fits(ask, spare[index]):
                break
            barred.append((index, int(scores[index])))
            scores[index] = NOWHERE
        for position, score in barred:
            scores[position] = score
        return index if found else None

    def _best(self, scores: Scores) -> int:
        """The node with the lowest score; ties: the first by id, or by the lot that the policy draws."""
        index = int(scores.argmin())
        if not self.stages.lots:
            return index
        tied = np.flatnonzero(scores == scores[index])
        return int(tied[crc32(f"{self.stages.lots}:{self.board.revision}:{len(self.starts)}".encode()) % len(tied)])

    def rooms_for(self, job: PendingJob) -> list[NodeRoom]:
        """What a job may use of each node at this point of the cycle."""
        nodes, spare = self.board.rooms.nodes, self.spare_for(job)
        return [spare.get(index, node) for index, node in enumerate(nodes)] if spare else nodes

    def spare_for(self, job: PendingJob) -> Mapping[int, NodeRoom]:
        """What a job may use of the nodes on which something is promised or set aside."""
        outside = self.outside(job.limit_ms, who_of(job))
        if self.promises is not None or not self.sought.is_careful(job.limit_ms):
            return outside
        return Layered(self.beside(), outside) if outside else self.beside()

    def beside(self) -> dict[int, NodeRoom]:
        """What is free on the reserved nodes both now and beside the reservation."""
        shared, window = self._shared, self.window
        if window is not None and len(shared) < len(window.extra):
            for index, extra in window.extra.items():
                if index not in shared:
                    shared[index] = common_room(self.board.rooms.nodes[index], extra)
        return shared

    def hold_beside(
        self, group: Group, job_id: int, layout: Layout, window: Window, spare: Mapping[int, NodeRoom]
    ) -> tuple[Placement, ...]:
        """`hold` of a job that will still run when the head starts."""
        placements = self.hold(group, job_id, layout, spare)
        ask, index = self.board.asks[group.shape], self.board.rooms.index
        for placement in placements:
            extra = window.extra.get(index[placement.node_id])
            if extra is not None:
                take(extra, ask.need, placement.devices, ask.app)
        return placements

    def hold(self, group: Group, job_id: int, layout: Layout, spare: Mapping[int, NodeRoom]) -> tuple[Placement, ...]:
        """Let the job hold its room for the rest of the cycle; of some nodes it may take no more than ``spare``."""
        ask = self.board.asks[group.shape]
        placements = self._deal(ask, layout, spare)
        self.keep(job_id, group.limit_ms, ask, placements)
        for placement in placements:
            self._shared.pop(self.board.rooms.index[placement.node_id], None)
        return placements

    def keep(self, job_id: int, limit_ms: int, ask: Ask, placements: tuple[Placement, ...]) -> None:
        """Let the job that starts next hold these places for the rest of the cycle."""
        rooms, ends_ms, who = self.board.rooms, self.now_ms + limit_ms if limit_ms else FOREVER, self.board.owner(job_id)
        for placement in placements:
            index, key = rooms.index[placement.node_id], (PLANNED, len(self.starts), placement.task)
            rooms.hold(index, key, Holding(job_id, ends_ms, ask.need, placement.devices, ask.app, who))
            if self.calendar is not None:
                self.calendar.start(index, ends_ms, ask, placement.devices, who)

    def _deal(self, ask: Ask, layout: Layout, spare: Mapping[int, NodeRoom]) -> tuple[Placement, ...]:
        """The placements of a layout; devices are chosen among those that may be taken."""
        nodes = self.board.rooms.nodes
        if ask.tasks == 1:
            index = layout[0][0]
            room = spare.get(index, nodes[index])
            return (Placement(0, room.id, pick_devices(ask, room)),)
        return deal(ask, layout, {index: spare.get(index, nodes[index]).copy() for index, _ in layout})
