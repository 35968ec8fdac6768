"""The array forms of judging are the plain forms, only faster."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core import candidates, cycle, turns
from tenure.core.backfill import reserve, steps
from tenure.core.board import Board
from tenure.core.budget import UnitBudget
from tenure.core.columns import NEVER, RoomColumns
from tenure.core.cycle import Cycle
from tenure.core.feasibility import ask_of, count_tasks, fits, lack
from tenure.core.horizon import bounds
from tenure.core.possible import nearest
from tenure.core.rooms import Rooms
from tenure.core.scoring import waste
from tenure.core.tables import NOWHERE, AskTable, NodeTable, judge
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.policies import policy_by_name
from tenure.policies.best_fit import BestFit
from tenure.testing.outcome import applied
from tenure.testing.strategies import changes_after, shapes, snapshots
from tests.support.examples import examples

DEFAULT = policy_by_name("default")


@settings(max_examples=examples(100), deadline=None)
@given(snapshots(DEFAULT), st.lists(shapes(), min_size=1, max_size=6))
def test_tables_agree_with_single_judgements(snapshot: Snapshot, wanted: list[Shape]) -> None:
    rooms = Board.of(snapshot).rooms
    table, asks = NodeTable(rooms), AskTable()
    singles = [ask_of(shape) for shape in wanted]
    positions = [asks.add(ask) for ask in singles]
    some = np.array([0, len(rooms.nodes) - 1])
    for index in (None, some):
        judged = judge(table, asks, positions, index)
        scores = np.full((len(singles), len(rooms.nodes if index is None else index)), NOWHERE)
        scores[judged.row, judged.node] = BestFit().table(judged)
        nodes = rooms.nodes if index is None else [rooms.nodes[i] for i in index.tolist()]
        assert scores.tolist() == [[waste(ask, node) if fits(ask, node) else NOWHERE for node in nodes] for ask in singles]
    for ask in singles:
        assert table.counts(ask).tolist() == [count_tasks(ask, node, ask.tasks) for node in rooms.nodes]
        assert table.lacks(ask).tolist() == [lack(ask, node) for node in rooms.nodes]
        assert [fits(ask, node) for node in rooms.nodes] == [count_tasks(ask, node) > 0 for node in rooms.nodes]
        best = table.nearest(ask)
        assert nearest(ask, rooms.nodes)[0] == (0 if best is None else rooms.nodes[best].id)


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_columns_written_through_are_columns_made_anew(data: st.DataObject) -> None:
    snapshot = data.draw(snapshots(DEFAULT))
    board = Board.of(snapshot)
    kept = board.rooms.columns
    for _ in range(2):
        mark = board.mark()
        Cycle(board, snapshot.now_ms, DEFAULT.stages, UnitBudget()).run()
        assert_same_columns(board.rooms.columns, board.rooms)
        board.rollback(mark)
        changes = data.draw(changes_after(snapshot))
        snapshot = applied(snapshot, changes)
        board.advance(changes)
        assert board.rooms.columns is kept or changes.nodes is not None, "written through, not made anew"
        kept = board.rooms.columns
        assert_same_columns(kept, board.rooms)


def assert_same_columns(kept: RoomColumns, rooms: Rooms) -> None:
    anew = RoomColumns(rooms.nodes, [holdings.values() for holdings in rooms.holdings])
    for one, other in ((kept, anew), (kept.columns, anew.columns)):
        names = [name for name in dir(one) if not name.startswith("__") and isinstance(getattr(one, name), np.ndarray)]
        assert len(names) >= 5
        for name in names:
            assert getattr(one, name).tolist() == getattr(other, name).tolist(), name


@settings(max_examples=examples(100), deadline=None)
@given(snapshots(DEFAULT), st.lists(shapes(), min_size=1, max_size=4))
def test_a_bound_is_never_later_than_the_time_itself(snapshot: Snapshot, wanted: list[Shape]) -> None:
    rooms = Board.of(snapshot).rooms
    table = NodeTable(rooms)
    for ask in (ask_of(shape) for shape in wanted):
        for index, bound in enumerate(bounds(table, ask, snapshot.now_ms).tolist()):
            exact = steps(rooms, index, ask, snapshot.now_ms)
            assert bound <= (exact[0][0] if exact else NEVER)


@settings(max_examples=examples(100), deadline=None)
@given(snapshots(DEFAULT, max_nodes=6))
def test_a_reservation_is_the_same_with_and_without_the_bound(snapshot: Snapshot) -> None:
    board = Board.of(snapshot)
    for job in snapshot.pending.jobs():
        ask = board.asks[job.shape]
        plain = reserve(board, ask, job.id, BestFit(), snapshot.now_ms)
        assert reserve(board, ask, job.id, BestFit(), snapshot.now_ms, NodeTable(board.rooms)) == plain


@settings(max_examples=examples(150), deadline=None)
@given(snapshots(DEFAULT))
def test_a_plan_is_the_same_when_everything_is_done_by_arrays(snapshot: Snapshot) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cycle, "FEW_NODES", 0)
        patch.setattr(candidates, "FEW", 0)
        patch.setattr(turns, "FEW_GROUPS", 0)
        patch.setattr("tenure.core.holds.FEW_GROUPS", 0)
        patch.setattr("tenure.core.holds.NEAREST_FIRST_OF_MANY", 16)
        by_arrays = DEFAULT.plan(snapshot)
    assert DEFAULT.plan(snapshot) == by_arrays
