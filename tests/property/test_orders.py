"""What every order has in common: older first in a group, nothing but the jobs themselves decides, many at once are one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core import cycle, turns
from tenure.core.board import Board
from tenure.core.forward import first_in_order
from tenure.core.stages import Order
from tenure.core.turns import Followers, scores_of, scores_within
from tenure.model.amounts import Amounts
from tenure.model.job import JobTable
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.policies import ORDERS, POLICY_NAMES, policy_by_name
from tenure.testing.builders import Cluster
from tenure.testing.naive import naive_plan
from tenure.testing.naive_orders import score_of
from tenure.testing.strategies import snapshots
from tests.support.examples import examples

DEFAULT = policy_by_name("default")
DEPTH = PlanSettings(backfill_depth=10_000, quota_bonus=70)
SINGLE = [name for name in POLICY_NAMES if not name.endswith("conservative")]
"""Those that reserve for the head alone, as the naive planner does; `tests.property.test_promises` has the others."""

each_order = pytest.mark.parametrize("order", ORDERS.values(), ids=lambda order: order.name)

ages = st.lists(st.one_of(st.integers(0, 10**7), st.integers(0, 10**12)), min_size=2, max_size=40)
lengths = st.sampled_from([0, 1, 999, 60_000, 3_599_999, 10**8])


@each_order
@settings(max_examples=examples(60), deadline=None)
@given(ages, lengths, lengths, st.integers(0, 512_000), st.sampled_from([0, 250, 1000, 4000]))
def test_of_two_alike_the_older_never_has_the_lower_score(
    order: Order, ages_ms: list[int], limit_ms: int, expected_ms: int, cpu_milli: int, gpu_milli: int
) -> None:
    cluster = Cluster()
    shape = Shape(Amounts(cpu_milli), gpu_milli)
    for number, age_ms in enumerate(ages_ms):
        cluster.wait(f"j{number}", shape, age_ms=age_ms, limit_ms=limit_ms, expected_ms=expected_ms, deadline_ms=cluster.now_ms)
    board = Board.of(cluster.snapshot(), order.distinguishes)
    (group,) = board.waiting.groups.values()
    found = scores_within(board, cluster.now_ms, order, group, 0, len(ages_ms))
    assert found == sorted(found, reverse=True)
    later = scores_within(board, cluster.now_ms + 12_345, order, group, 0, len(ages_ms))
    assert later == sorted(later, reverse=True)


@each_order
@settings(max_examples=examples(60), deadline=None)
@given(snapshots(DEFAULT), st.sampled_from([0, 1, 1000, 172_800_000]))
def test_the_score_of_a_job_is_the_same_alone_among_others_and_in_plain_words(
    order: Order, snapshot: Snapshot, patience_ms: int
) -> None:
    snapshot = replace(snapshot, settings=replace(snapshot.settings, guard_ms=0, patience_ms=patience_ms))
    board = Board.of(snapshot, order.distinguishes)
    board.waiting.move_to(snapshot.now_ms, board.asks)
    of_first = scores_of(board, snapshot.now_ms, order)
    for group in board.waiting.groups.values():
        together = scores_within(board, snapshot.now_ms, order, group, 0, len(group.entries))
        assert together[0] == of_first[group.slot]
        followers = Followers(board, snapshot.now_ms, order)
        for offset, (submitted_ms, job_id) in enumerate(group.entries):
            assert scores_within(board, snapshot.now_ms, order, group, offset, offset + 1) == [together[offset]]
            assert followers.turn(group, offset) == (-together[offset], submitted_ms, job_id, group.slot)
            plain = score_of(order.name, board.waiting.rows[job_id], snapshot)
            assert together[offset] == pytest.approx(plain, rel=1e-12)
        assert followers.turn(group, len(group.entries)) is None


@pytest.mark.parametrize("name", ORDERS)
@settings(max_examples=examples(40), deadline=None)
@given(st.data())
def test_every_order_plans_as_the_naive_planner_does(name: str, data: st.DataObject) -> None:
    policy = policy_by_name(data.draw(st.sampled_from([known for known in SINGLE if known.partition("-")[0] == name])))
    snapshot = replace(data.draw(snapshots(policy)), settings=DEPTH)
    plan = policy.plan(snapshot)
    assert replace(plan, units=0) == naive_plan(snapshot, policy.stages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cycle, "FEW_NODES", 0)
        patch.setattr(turns, "FEW_GROUPS", 0)
        patch.setattr(turns, "FOLLOWERS", 1)
        patch.setattr("tenure.core.holds.FEW_GROUPS", 0)
        patch.setattr("tenure.core.holds.NEAREST_FIRST_OF_MANY", 16)
        assert policy.plan(snapshot) == plan


@each_order
@settings(max_examples=examples(40), deadline=None)
@given(snapshots(DEFAULT), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(order: Order, snapshot: Snapshot, random: object) -> None:
    snapshot = replace(snapshot, settings=replace(snapshot.settings, guard_ms=0))
    rows = list(snapshot.pending.jobs())
    getattr(random, "shuffle")(rows)  # noqa: B009  # hypothesis gives a Random that is typed as object here
    stages = replace(DEFAULT.stages, order=order)
    line = first_in_order(Board.of(snapshot, stages.distinguishes), snapshot.now_ms, stages, 99)
    shuffled = replace(snapshot, pending=JobTable.of(rows))
    assert first_in_order(Board.of(shuffled, stages.distinguishes), snapshot.now_ms, stages, 99) == line
    scored = [(-score_of(order.name, job, snapshot), job.submitted_ms, job.id) for job in rows if job.id in line]
    assert [job_id for _, _, job_id in sorted(scored)] == line
    assert first_in_order(Board.of(snapshot, stages.distinguishes), snapshot.now_ms, stages, 3) == line[:3]
