"""Per shape, the score of every node, kept up to date from the log of touched nodes.

A shape is judged on a node again only when that node was touched since; jobs that ask for the same share the row. Invariant: after
`row`, each entry is the score of that node as it is now, `NOWHERE` where one task does not fit.
"""

from __future__ import annotations

import numpy as np

from tenure.core.board import Board
from tenure.core.feasibility import Ask, count_tasks, fits
from tenure.core.placement import Option
from tenure.core.rooms import Rooms
from tenure.core.scoring import NOWHERE
from tenure.core.stages import Score, Vector


class Row:
    """The scores of one shape, and up to where in the log they are right."""

    __slots__ = ("cursor", "scores")

    def __init__(self, size: int) -> None:
        self.scores: Vector = np.full(size, NOWHERE, dtype=np.int64)
        self.cursor = -1


class Candidates:
    """The rows of all shapes that were judged, for one way of scoring."""

    def __init__(self, rooms: Rooms, score: Score) -> None:
        self.rooms = rooms
        self.score = score
        self.rows: dict[int, Row] = {}

    @staticmethod
    def of(board: Board, score: Score) -> Candidates:
        """Those kept with the board, or new ones."""
        kept: Candidates | None = board.caches.get(f"candidates:{score.name}")
        if kept is None:
            kept = Candidates(board.rooms, score)
            board.caches[f"candidates:{score.name}"] = kept
        return kept

    def row(self, shape: int, ask: Ask) -> Vector:
        """The up-to-date scores of a shape, by node index."""
        row = self.rows.get(shape)
        if row is None:
            row = self.rows[shape] = Row(len(self.rooms.nodes))
        cursor = self.rooms.cursor
        if row.cursor != cursor:
            touched = self.rooms.touched_since(row.cursor)
            for index in range(len(self.rooms.nodes)) if touched is None else touched:
                row.scores[index] = self.judge(ask, index)
            row.cursor = cursor
        return row.scores

    def judge(self, ask: Ask, index: int) -> int:
        """The score of one node now."""
        node = self.rooms.nodes[index]
        return self.score.score(ask, node) if fits(ask, node) else NOWHERE

    def options(self, shape: int, ask: Ask) -> list[Option]:
        """The nodes on which at least one task fits, with how many do."""
        scores = self.row(shape, ask)
        nodes = self.rooms.nodes
        found = np.flatnonzero(scores != NOWHERE).tolist()
        return [Option(int(scores[index]), index, count_tasks(ask, nodes[index], ask.tasks)) for index in found]
