"""Who may go ahead of the head: every combination of a backfill's parts against the naive planner, and decisions without reasons."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.board import Board
from tenure.core.stages import Backfill, Stages
from tenure.model.settings import PlanSettings
from tenure.policies import POLICY_NAMES, StagedPolicy, policy_by_name
from tenure.policies.best_fit import BestFit
from tenure.policies.fifo import Fifo
from tenure.policies.points import Points
from tenure.policies.shortest import Shortest
from tenure.testing.naive import naive_plan
from tenure.testing.strategies import snapshots
from tests.support.examples import examples

BACKFILLS = (
    Backfill("beside", 1, beside=False),
    Backfill("beside, shortest", 1, beside=False, candidates=Shortest()),
    Backfill("shortest", 1, candidates=Shortest()),
    Backfill("strict", 1, passing=False),
)
DEPTH = PlanSettings(backfill_depth=10_000)


@pytest.mark.parametrize("backfill", BACKFILLS, ids=lambda backfill: backfill.name)
@pytest.mark.parametrize("order", [Fifo(), Points()], ids=lambda order: order.name)
@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_the_planner_agrees_with_the_naive_one(order: Fifo | Points, backfill: Backfill, data: st.DataObject) -> None:
    policy = StagedPolicy("p", Stages(order, BestFit(), backfill))
    snapshot = replace(data.draw(snapshots(policy)), settings=DEPTH)
    assert replace(policy.plan(snapshot), units=0) == naive_plan(snapshot, policy.stages)


@settings(max_examples=examples(400), deadline=None)
@given(st.sampled_from(POLICY_NAMES), st.data())
def test_decisions_alone_are_the_decisions_of_the_whole_plan(name: str, data: st.DataObject) -> None:
    policy = policy_by_name(name)
    snapshot = data.draw(snapshots(policy))
    board = Board.of(snapshot, policy.distinguishes)
    alone = policy.plan_on(board, snapshot.now_ms, decisions_only=True)
    assert alone.decisions == policy.plan(snapshot).decisions
    assert alone.holds == ()
