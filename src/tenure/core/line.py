"""The waiting jobs in an order that changes while they start: each start moves the project and the user it is for.

Groups stand in runs, one for each user of a project; within a run the order's own scores hold for the whole cycle. Only the first turn
of each run is compared. A start changes the standing of nobody but its own user and project, and these are the ones at the top: so two
heaps, of projects and of a project's users, are right again when their tops are, and a start costs a logarithm.
Invariant: each turn is the smallest by (project, user, turn) of all that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush, heapreplace

import numpy as np

from tenure.core.columns import Bools
from tenure.core.stages import Scores, Standing, Vector
from tenure.core.turns import Turn
from tenure.core.waiting import FIRST_ID, FIRST_SUBMITTED, PROJECT, USER, Columns

PART = 64
"""So many groups of a run are looked at together."""


class NoStanding:
    """Everybody stands the same: the order's scores alone decide."""

    def of_project(self, _project: int) -> int:
        """The same for all."""
        return 0

    def of_user(self, _project: int, _user: int) -> int:
        """The same for all."""
        return 0

    def started(self, _project: int, _user: int, _bundle: object) -> None:
        """Changes nothing."""


class Run:
    """The groups of one user of one project: those not begun in the order of their first jobs, and the turns of those begun."""

    def __init__(self, slots: Vector, scores: Scores, columns: Columns, is_worth: Callable[[Vector], Bools]) -> None:
        self.begun: list[Turn] = []
        self._slots = slots[np.lexsort((columns[FIRST_ID, slots], columns[FIRST_SUBMITTED, slots], -scores[slots]))]
        self._scores, self._columns, self._is_worth = scores, columns, is_worth
        self._at = 0
        self._part: Iterator[Turn] = iter(())
        self._next: Turn | None = None
        self._draw()

    def _draw(self) -> None:
        """Have the next group that is worth a look at hand, if there is one."""
        self._next = next(self._part, None)
        while self._next is None and self._at < len(self._slots):
            part = self._slots[self._at : self._at + PART]
            self._at += PART
            part = part[self._is_worth(part)]
            of = self._columns[:, part]
            rows = ((-self._scores[part]).tolist(), of[FIRST_SUBMITTED].tolist(), of[FIRST_ID].tolist(), part.tolist())
            self._part = zip(*rows, strict=True)
            self._next = next(self._part, None)

    @property
    def first(self) -> Turn | None:
        """The run's next turn, None at its end."""
        if self.begun and (self._next is None or self.begun[0] < self._next):
            return self.begun[0]
        return self._next

    def pop(self) -> Turn:
        """Take the next turn."""
        turn = self.first
        assert turn is not None, "a run in the line has a turn"
        if turn is self._next:
            self._draw()
        else:
            heappop(self.begun)
        return turn


class Line:
    """The turns of these groups. ``begun`` are turns of groups that have started jobs, whose first turns must not be among ``slots``.

    Groups that are not ``is_worth`` a look when they come near are left out.
    """

    def __init__(
        self,
        standing: Standing,
        columns: Columns,
        scores: Scores,
        slots: Vector,
        begun: Iterable[Turn],
        is_worth: Callable[[Vector], Bools],
    ) -> None:
        self._standing = standing
        self._columns = columns
        self._runs: dict[tuple[int, int], Run] = {}
        apart = standing.__class__ is not NoStanding
        for account, part in _by_account(columns, slots) if apart else [((0, 0), slots)]:
            self._runs[account] = Run(part, scores, columns, is_worth)
        for turn in begun:
            account = self._account(turn) if apart else (0, 0)
            if account not in self._runs:
                self._runs[account] = Run(slots[:0], scores, columns, is_worth)
            self._runs[account].begun.append(turn)
        for run in self._runs.values():
            heapify(run.begun)
        self._current: Run | None = None

    def _account(self, turn: Turn) -> tuple[int, int]:
        return int(self._columns[PROJECT, turn[3]]), int(self._columns[USER, turn[3]])

    def push(self, turn: Turn) -> None:
        """One more turn for the user whose turn it was last: that of the next job of the group, or the same once more."""
        assert self._current is not None, "nobody had a turn"
        heappush(self._current.begun, turn)

    def __iter__(self) -> Iterator[Turn]:
        """Each next turn; what starts meanwhile is taken into account."""
        standing = self._standing
        users: dict[int, list[tuple[int, Turn, int]]] = {}
        for (project, user), run in self._runs.items():
            if run.first is not None:
                users.setdefault(project, []).append((standing.of_user(project, user), run.first, user))
        projects = []
        for project, heap in users.items():
            heapify(heap)
            projects.append((standing.of_project(project), heap[0], project))
        heapify(projects)
        while projects:
            project = projects[0][2]
            heap = users[project]
            user = heap[0][2]
            self._current = run = self._runs[project, user]
            yield run.pop()
            if run.first is None:
                heappop(heap)
            else:
                heapreplace(heap, (standing.of_user(project, user), run.first, user))
            if heap:
                heapreplace(projects, (standing.of_project(project), heap[0], project))
            else:
                heappop(projects)


def _by_account(columns: Columns, slots: Vector) -> Iterator[tuple[tuple[int, int], Vector]]:
    """The slots of each user of each project."""
    projects, users = columns[PROJECT, slots], columns[USER, slots]
    order = np.lexsort((users, projects))
    slots, projects, users = slots[order], projects[order], users[order]
    ends = np.flatnonzero((np.diff(projects) != 0) | (np.diff(users) != 0)) + 1
    for part in np.split(slots, ends):
        if len(part):
            yield (int(columns[PROJECT, part[0]]), int(columns[USER, part[0]])), part
