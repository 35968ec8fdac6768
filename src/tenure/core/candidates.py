"""Per shape, the score of every node, kept up to date from the log of touched nodes.

A shape is judged on a node again only when that node was touched since; jobs that ask for the same share the row. A few judgements are
made one by one, many at once by array operations: the numbers are the same. Invariant: after `refresh` or `row`, each entry is the
score of that node as it is now, `NOWHERE` where one task does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tenure.core.board import SCORES, Board
from tenure.core.feasibility import Ask, count_tasks, fits
from tenure.core.placement import Option
from tenure.core.rooms import Rooms
from tenure.core.stages import Score
from tenure.core.tables import NOWHERE, AskTable, NodeTable, judge

Scores = npt.NDArray[np.int32]

FEW = 32
"""Up to so many nodes are counted one by one."""


class Candidates:
    """The rows of all shapes that were judged, for one way of scoring. A shape's row is at ``slots[shape]``.

    The shapes of the last `refresh` that had a place, without those that were dropped since, are *live*: when many nodes were touched
    since, all of them are judged anew together.
    """

    def __init__(self, rooms: Rooms, score: Score) -> None:
        self.rooms = rooms
        self.score = score
        self.slots: dict[int, int] = {}
        self._asks = AskTable()
        self._cursors: list[int] = []
        self._live: dict[int, None] = {}
        self._live_cursor = self._began = -1
        self._scores: Scores = np.full((4, len(rooms.nodes)), NOWHERE, dtype=np.int32)
        self._rows: list[memoryview[int]] = [row.data for row in self._scores]
        self._table: NodeTable | None = None

    @staticmethod
    def of(board: Board, score: Score) -> Candidates:
        """Those kept with the board, or new ones where there are none or what the score knows of the board has changed."""
        knowing = score.on(board)
        kept: Candidates | None = board.caches.get(SCORES + score.name)
        if kept is None or kept.score is not knowing:
            kept = board.caches[SCORES + score.name] = Candidates(board.rooms, knowing)
        return kept

    @property
    def table(self) -> NodeTable:
        """The judgement of many nodes at once."""
        if self._table is None:
            self._table = NodeTable(self.rooms)
        return self._table

    def refresh(self, shapes: Sequence[int], asks: dict[int, Ask]) -> list[bool]:
        """At the beginning of a cycle: bring these rows up to date. The answer: whether one task of each shape fits anywhere.

        Of a single node that is known at once; its rows are brought up to date when somebody asks for them.
        """
        if len(self.rooms.nodes) == 1:
            node = self.rooms.nodes[0]
            return [fits(asks[shape], node) for shape in shapes]
        slots = [self._slot(shape, asks) for shape in shapes]
        self._catch_up(slots)
        self._began = self._live_cursor = self.rooms.cursor
        has_place = self._has_place(slots)
        self._live = {slot: None for slot, found in zip(slots, has_place, strict=True) if found}
        return has_place

    def _has_place(self, slots: Sequence[int]) -> list[bool]:
        if len(slots) <= FEW:
            return [bool(self._scores[slot].min(initial=NOWHERE) != NOWHERE) for slot in slots]
        # Of all that are known: along whole rows that costs less than to pick some.
        least = self._scores[: len(self._asks.asks)].min(axis=1, initial=NOWHERE)
        found: list[bool] = (least[slots] != NOWHERE).tolist()
        return found

    def _catch_up(self, slots: Sequence[int]) -> None:
        """Judge these together wherever something was touched since they were judged last."""
        now, cursors = self.rooms.cursor, self._cursors
        stale = [slot for slot in slots if cursors[slot] != now]
        # A cycle undoes what it touched: after it the same nodes are stale, whenever in it a shape was judged last.
        recent = [slot for slot in stale if cursors[slot] >= self._began]
        if recent:
            self._judge(recent, self.rooms.touched_since(self._began))
        older = [slot for slot in stale if cursors[slot] < self._began]
        if older:
            self._judge(older, self.rooms.touched_since(min(cursors[slot] for slot in older)))

    def drop(self, shape: int) -> None:
        """This one is live no more: it will hardly be asked for again."""
        if self._live:
            self._live.pop(self.slots[shape], None)

    def row(self, shape: int, asks: dict[int, Ask]) -> Scores:
        """The up-to-date scores of a shape, by node index."""
        slot = self._slot(shape, asks)
        if self._cursors[slot] != self.rooms.cursor:
            self._update(slot)
        row: Scores = self._scores[slot]
        return row

    def _update(self, slot: int) -> None:
        """Bring one row up to date, or all live ones where that pays."""
        rooms, cursor = self.rooms, self._cursors[slot]
        log = rooms.log_since(cursor)
        if log is not None and len(log) <= self.score.singly:
            self._judge_one(slot, log)
        elif log is not None and cursor >= self._live_cursor and slot in self._live:
            self._judge(list(self._live), rooms.touched_since(self._live_cursor))
            self._live_cursor = rooms.cursor
        else:
            self._judge([slot], rooms.touched_since(cursor))

    def _judge_one(self, slot: int, touched: Iterable[int]) -> None:
        """`_judge` of one shape on few nodes."""
        nodes, ask, row, score = self.rooms.nodes, self._asks.asks[slot], self._rows[slot], self.score.score
        skip = self.rooms.only_filled_since(self._cursors[slot])
        for index in touched:
            if skip and row[index] == NOWHERE:
                continue
            node = nodes[index]
            row[index] = score(ask, node) if fits(ask, node) else NOWHERE
        self._cursors[slot] = self.rooms.cursor

    def _slot(self, shape: int, asks: dict[int, Ask]) -> int:
        slot = self.slots.get(shape)
        if slot is None:
            slot = self.slots[shape] = self._asks.add(asks[shape])
            self._cursors.append(-1)
            if slot == len(self._scores):
                self._scores = np.concatenate((self._scores, np.full_like(self._scores, NOWHERE)))
                self._rows = [row.data for row in self._scores]
        return slot

    def _judge(self, slots: Sequence[int], touched: list[int] | None) -> None:
        """Judge these shapes on the touched nodes (None: on all)."""
        nodes = self.rooms.nodes
        if len(slots) * len(nodes if touched is None else touched) <= self.score.singly:
            for slot in slots:
                self._judge_one(slot, range(len(nodes)) if touched is None else touched)
            return
        for slot in slots:
            self._cursors[slot] = self.rooms.cursor
        among = np.arange(len(nodes)) if touched is None else np.array(touched, dtype=np.int64)
        judged = judge(self.table, self._asks, slots, None if touched is None else among)
        scores = np.full((len(slots), len(among)), NOWHERE, dtype=np.int32)
        scores[judged.row, judged.node] = self.score.table(judged)
        # In the flat form: four times faster than two dimensions of positions.
        self._scores.reshape(-1)[np.add.outer(np.array(slots) * len(nodes), among)] = scores

    def options(self, shape: int, asks: dict[int, Ask], instead: Mapping[int, int]) -> list[Option]:
        """The nodes that `arrange` needs to choose from, with how many tasks fit; ``instead`` replaces the count of some nodes.

        Where one node holds all tasks and may take them, the best such node is the only option.
        """
        scores, ask = self.row(shape, asks), asks[shape]
        places = np.flatnonzero(scores != NOWHERE)
        if len(places) <= FEW:
            nodes = self.rooms.nodes
            counts = np.array([count_tasks(ask, nodes[index], ask.tasks) for index in places.tolist()], dtype=np.int64)
        else:
            counts = self.table.counts(ask)[places]
        for index, count in instead.items():
            counts[places == index] = count
        if counts.sum() < ask.tasks:
            return []
        kept = counts >= (ask.tasks if not ask.nodes else 1)
        if not ask.nodes and kept.any():
            kept &= scores[places] == scores[places[kept]].min()
        elif not ask.nodes:
            kept = counts > 0
        found = (scores[places[kept]].tolist(), places[kept].tolist(), counts[kept].tolist())
        return [Option(*item) for item in zip(*found, strict=True)]
