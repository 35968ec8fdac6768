"""Every placement: its table is its score, a kept board plans like a fresh one, and a plan does not depend on how it is worked out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.board import Board
from tenure.core.feasibility import ask_of, fits
from tenure.core.stages import Score
from tenure.core.tables import AskTable, NodeTable, judge
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.policies import StagedPolicy, policy_by_name
from tenure.policies.placements import PLACEMENTS
from tenure.testing.outcome import applied
from tenure.testing.strategies import changes_after, shapes, snapshots
from tests.support.examples import examples

DEFAULT = policy_by_name("default")
MOST = 2**31 - 1
names = st.sampled_from(sorted(PLACEMENTS))


def placing(score: Score) -> StagedPolicy:
    return StagedPolicy(score.name, replace(DEFAULT.stages, score=score))


def with_singly(score: Score, singly: int) -> Score:
    """The same score under a name of its own, judging so many one by one."""

    class Otherwise(Score):
        name = f"{score.name} {singly}"

        def __init__(self, inner: Score) -> None:
            self.inner, self.singly = inner, singly
            self.score, self.table = inner.score, inner.table  # type: ignore[method-assign]

        def on(self, board: Board) -> Score:
            knowing = self.inner.on(board)
            return self if knowing is self.inner else kept.setdefault(id(knowing), Otherwise(knowing))

    kept: dict[int, Score] = {}
    return Otherwise(score)


@settings(max_examples=examples(300), deadline=None)
@given(snapshots(DEFAULT), st.lists(shapes(), min_size=1, max_size=6), names)
def test_a_table_is_the_score_of_each_pair(snapshot: Snapshot, wanted: list[Shape], name: str) -> None:
    board = Board.of(snapshot)
    score = PLACEMENTS[name].on(board)
    rooms, asks = board.rooms, AskTable()
    singles = [ask_of(shape) for shape in wanted]
    positions = [asks.add(ask) for ask in singles]
    for index in (None, np.array([0, len(rooms.nodes) - 1])):
        judged = judge(NodeTable(rooms), asks, positions, index)
        found = dict(zip(zip(judged.row.tolist(), judged.node.tolist(), strict=True), score.table(judged).tolist(), strict=True))
        nodes = rooms.nodes if index is None else [rooms.nodes[i] for i in index.tolist()]
        pairs = {(row, place): (ask, node) for row, ask in enumerate(singles) for place, node in enumerate(nodes) if fits(ask, node)}
        assert found == {pair: score.score(*judged_pair) for pair, judged_pair in pairs.items()}
        assert all(-MOST < value < MOST for value in found.values())


@settings(max_examples=examples(150), deadline=None)
@given(snapshots(DEFAULT), names)
def test_a_plan_is_the_same_one_by_one_and_by_tables(snapshot: Snapshot, name: str) -> None:
    plans = [placing(with_singly(PLACEMENTS[name], singly)).plan(snapshot) for singly in (0, 10**6)]
    assert plans[0] == plans[1]


@settings(max_examples=examples(150), deadline=None)
@given(st.data(), names)
def test_a_kept_board_plans_like_a_fresh_one(data: st.DataObject, name: str) -> None:
    policy = placing(PLACEMENTS[name])
    snapshot = data.draw(snapshots(policy))
    board = Board.of(snapshot)
    for _ in range(3):
        assert policy.plan_on(board, snapshot.now_ms) == policy.plan(snapshot)
        changes = data.draw(changes_after(snapshot))
        board.advance(changes)
        snapshot = applied(snapshot, changes)
