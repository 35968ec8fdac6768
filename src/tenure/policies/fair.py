"""Fair share: who has had least goes first, projects by their weights, then the users within a project; of one user's jobs the oldest.

Hierarchical dominant-resource fairness over what is held and what was held of late: `tenure.core.shares` says how it is counted and
which papers it follows. Each start counts at once, so one cycle deals its room out evenly. Invariant: no job starts while one of a
project with a lower share waits that has room, may start and is not held back for the head.
"""

from __future__ import annotations

import numpy as np

from tenure.core.board import Board
from tenure.core.shares import Shares
from tenure.core.stages import Scores, Vector
from tenure.core.waiting import Columns
from tenure.model.settings import PlanSettings


class Fair:
    """The standing decides; all scores are the same."""

    name = "fair"
    distinguishes: tuple[str, ...] = ("project", "user")

    def standing(self, board: Board, now_ms: int) -> Shares:
        """The shares of everybody now."""
        return Shares(board.ledger, board.projects, board.capacity, now_ms)

    def scores(self, columns: Columns, _ages_ms: Vector, _settings: PlanSettings) -> Scores:
        """Nothing but age tells the jobs of one user apart."""
        return np.zeros(columns.shape[1], dtype=np.int64)
