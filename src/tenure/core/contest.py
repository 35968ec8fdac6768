"""Whose turn it is where a start changes that: orders that share (`tenure.core.stages.Sharing`), and projects with quotas.

A cycle without either sorts its groups once. With one of them it asks here after every start, so that what was just given counts: the
turns come from `tenure.core.line`, an array has a turn for each of its elements, and jobs within their project's quota come before all
that borrow. What a project may not hold has no turn at all, but keeps others of the project from passing for ever
(`tenure.core.allowances`). The head is the first job in this order that has no room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from tenure.core.allowances import Allowances
from tenure.core.columns import Bools, is_among
from tenure.core.ledger import asked_by
from tenure.core.line import Line, NoStanding
from tenure.core.quotas import Quotas, has_bounds, holdings
from tenure.core.stages import Order, Scores, Standing, Vector, as_sharing
from tenure.core.turns import GUARDED, Turn, scores_of
from tenure.core.waiting import FIRST_ID, PROJECT, SHAPE, USER, Group
from tenure.model.job import PendingJob
from tenure.model.project import NO_BOUNDS, Bundle

if TYPE_CHECKING:
    from tenure.core.board import Board
    from tenure.core.cycle import Cycle


def quotas_on(board: Board) -> Quotas | None:
    """The bounds of a board's projects and what they hold now, with what their jobs are promised; None when no project has any."""
    if not has_bounds(board.projects):
        return None
    quotas = Quotas(board.projects, holdings(board.ledger))
    for claim in board.standing:
        job = board.waiting.rows[claim.job_id]
        quotas.started(job.project, asked_by(board.asks[job.shape]))
    return quotas


class Contest:
    """The turns of one cycle; used once."""

    def __init__(self, cycle: Cycle, standing: Standing, quotas: Quotas | None) -> None:
        self._cycle = cycle
        self._standing = standing
        self._quotas = quotas
        self.allowances = Allowances(cycle, quotas) if quotas is not None else None
        self._columns = cycle.board.waiting.columns
        self._bundles: dict[int, Bundle] = {}
        self._elements: dict[int, int] = {}
        self._line: Line | None = None
        self._holdable: Bools = np.empty(0, dtype=np.bool_)

    @staticmethod
    def of(cycle: Cycle, quotas: Quotas | None) -> Contest | None:
        """The contest of a cycle, None where the order of its beginning holds to its end."""
        sharing = as_sharing(cycle.stages.order)
        if sharing is not None:
            return Contest(cycle, sharing.standing(cycle.board, cycle.now_ms), quotas)
        return Contest(cycle, NoStanding(), quotas) if quotas is not None else None

    def turns(self) -> Iterator[Turn]:
        """The jobs that may start and have or could have room, in order; behind the head in that of the candidates, or not at all."""
        cycle = self._cycle
        order, backfill, columns = cycle.stages.order, cycle.stages.backfill, self._columns
        cycle.look_for_room()
        holdable = [shape for shape in cycle.sought.shapes if cycle.possible.could_hold(shape)]
        self._holdable = is_among(columns[SHAPE], holdable)
        slots = np.flatnonzero(self._holdable & (columns[FIRST_ID] >= 0))
        switches = not backfill.passing or backfill.candidates is not None
        for turn in self._in_line(order, self._standing, slots):
            if switches and cycle.window is not None:
                break
            yield turn
        if cycle.window is not None and backfill.passing and backfill.candidates is not None:
            cycle.follow_in(backfill.candidates)
            yield from self._in_line(backfill.candidates, NoStanding(), slots)

    def _in_line(self, order: Order, standing: Standing, slots: Vector) -> Iterator[Turn]:
        """The turns of these groups, guaranteed ones first."""
        cycle = self._cycle
        scores: Scores = scores_of(cycle.board, cycle.now_ms, order)
        fresh = np.array([slot for slot in slots.tolist() if slot not in cycle.done], dtype=np.int64)
        begun = [turn for slot in cycle.done if (turn := cycle.next_of(cycle.group(slot))) is not None]
        for is_in_front, among in self._parts(standing):
            self._line = Line(among, self._columns, scores, fresh, begun, self._is_worth)
            fresh, begun = fresh[:0], []
            for turn in self._line:
                group = cycle.group(turn[3])
                if not is_in_front(turn, group):
                    begun.append(turn)
                elif not self._is_held_back(turn, group) and self._has_room(turn, group):
                    yield turn

    def _parts(self, standing: Standing) -> Iterator[tuple[Callable[[Turn, Group], bool], Standing]]:
        """Who goes before whom, and how they stand among themselves: the guard's jobs, guaranteed ones, all."""
        if self._cycle.board.settings.guard_ms:
            yield (lambda turn, _group: turn[0] == GUARDED), NoStanding()
        if self._quotas is not None:
            yield (lambda _turn, group: self._is_guaranteed(group)), standing
        yield (lambda _turn, _group: True), standing

    def _is_worth(self, slots: Vector) -> Bools:
        """Groups that may start, and while there is no head those that could become it."""
        cycle = self._cycle
        due = cycle.sought.are_due(slots)
        if cycle.promises is not None:
            return self._holdable[slots]
        if self.allowances is not None:
            due |= self._holdable[slots] & is_among(self._columns[PROJECT, slots], self._open_projects())
        return due | self._holdable[slots] if cycle.window is None and cycle.may_reserve else due

    def _has_room(self, turn: Turn, group: Group) -> bool:
        """Whether the turn is worth a look; the first one without room is reserved for."""
        cycle = self._cycle
        if group.shape not in cycle.sought.blocked or cycle.promises is not None:
            return True
        if cycle.window is None and cycle.may_reserve:
            cycle.reserve(turn)
        return False

    def _is_guaranteed(self, group: Group) -> bool:
        assert self._quotas is not None, "only with quotas is anything guaranteed"
        return self._quotas.is_guaranteed(self._project(group), self._bundle(group))

    def _open_projects(self) -> list[int]:
        """The projects with bounds of which nothing is kept yet: their jobs have a turn also where there is no room for them."""
        projects = self._cycle.board.projects.values()
        assert self.allowances is not None, "only with quotas has anybody bounds"
        return [project.id for project in projects if project.most != NO_BOUNDS and self.allowances.is_open(project.id)]

    def _is_held_back(self, turn: Turn, group: Group) -> bool:
        """Whether a project may not hold the job of a turn, now or beside what is kept for another one."""
        if self.allowances is None:
            return False
        job = self._cycle.board.waiting.rows[turn[2]]
        if self.is_barred(group):
            self.allowances.keep(turn, job, self._bundle(group))
            return True
        promises = self._cycle.promises
        if promises is not None and promises.has_promised(job.id):
            return False
        return self.allowances.held_back(job) is not None

    def forbids(self, job: PendingJob, position: int) -> bool:
        """Whether its project may not hold a job, or that element of an array, now or beside what is kept for others."""
        if self._quotas is None or self.allowances is None:
            return False
        is_barred = self._quotas.bar_of(job.project, self._cycle.board.asks[job.shape]) is not None
        return is_barred or self.allowances.held_back(job, position) is not None

    def is_barred(self, group: Group) -> bool:
        """Whether the project of a group may not hold one more of its jobs."""
        return self._quotas is not None and self._quotas.bar(self._project(group), self._bundle(group)) is not None

    def _project(self, group: Group) -> int:
        return int(self._columns[PROJECT, group.slot])

    def _bundle(self, group: Group) -> Bundle:
        found = self._bundles.get(group.shape)
        if found is None:
            found = self._bundles[group.shape] = asked_by(self._cycle.board.asks[group.shape])
        return found

    def goes_on(self, group: Group, job: PendingJob) -> bool:
        """A job of the group, or one element of this array, holds its room from now on; whether another element may start."""
        self._elements[job.id] = self._elements.get(job.id, 0) + 1
        bundle = self._bundle(group)
        self._standing.started(self._project(group), int(self._columns[USER, group.slot]), bundle)
        if self._quotas is not None:
            self._quotas.started(self._project(group), bundle)
        return self._elements[job.id] < min(job.array_left, job.array_room)

    def push(self, turn: Turn) -> None:
        """The next turn of whom the last one was for."""
        assert self._line is not None, "nobody had a turn"
        self._line.push(turn)
