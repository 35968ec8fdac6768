"""Objectives, fronts and the portfolio: what holds whatever is compared."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.board import Board
from tenure.core.objectives import WHOLE, Judge, filled
from tenure.core.pareto import choose, dominates, front, weighed
from tenure.core.verify import verify
from tenure.model.plan import Plan
from tenure.model.settings import PlanSettings
from tenure.model.snapshot import Snapshot
from tenure.policies import policy_by_name
from tenure.policies.portfolio import PROFILES, Portfolio
from tenure.policies.words import read_policy
from tenure.testing.locked import locked_rows
from tenure.testing.outcome import committed
from tenure.testing.strategies import snapshots
from tests.support.examples import examples

DEFAULT = policy_by_name("default")
points = st.lists(st.tuples(*[st.integers(0, 6)] * 5), min_size=1, max_size=12)
weights = st.tuples(*[st.integers(0, 5)] * 5).filter(any)
profiles = st.sampled_from(sorted(PROFILES))


def portfolio(profile: str) -> Portfolio:
    found = read_policy(f"portfolio:profile={profile}", PlanSettings())[0]
    assert isinstance(found, Portfolio)
    return found


@given(points)
def test_the_front_is_what_nobody_dominates(found: list[tuple[int, ...]]) -> None:
    on_front = front(found)
    assert on_front
    for place, point in enumerate(found):
        beaten = any(all(a >= b for a, b in zip(other, point, strict=True)) and other != point for other in found)
        assert (place in on_front) is not beaten


@given(points, weights)
def test_the_chosen_one_is_on_the_front_and_nobody_weighs_more(found: list[tuple[int, ...]], weight: tuple[int, ...]) -> None:
    chosen = choose(found, weight)
    assert chosen in front(found)
    assert weighed(found[chosen], weight) == max(weighed(point, weight) for point in found)


@given(points, weights, st.integers(1, 9))
def test_weights_count_only_in_proportion(found: list[tuple[int, ...]], weight: tuple[int, ...], times: int) -> None:
    assert choose(found, weight) == choose(found, [times * each for each in weight])


@given(points, weights, st.tuples(*[st.integers(0, 6)] * 5))
def test_a_dominated_candidate_changes_nothing(found: list[tuple[int, ...]], weight: tuple[int, ...], other: tuple[int, ...]) -> None:
    if any(dominates(point, other) for point in found):
        assert choose([*found, other], weight) == choose(found, weight)
        assert front([*found, other]) == front(found)


@given(st.dictionaries(st.integers(0, 9), st.floats(0, 1), max_size=6), st.floats(0.01, 2))
def test_filled_shares_are_max_min_fair(wanted: dict[int, float], room: float) -> None:
    got = filled(wanted, room)
    assert sum(got.values()) <= room + 1e-9
    short = [user for user in wanted if got[user] < wanted[user] - 1e-12]
    if short:
        assert sum(got.values()) == pytest.approx(room)
        assert min(got[user] for user in short) >= max(got.values()) - 1e-9


@settings(max_examples=examples(150), deadline=None)
@given(snapshots(DEFAULT), profiles)
def test_the_plan_is_the_chosen_candidate_and_that_is_on_the_front(snapshot: Snapshot, profile: str) -> None:
    policy = portfolio(profile)
    board = Board.of(snapshot, policy.distinguishes)
    board.waiting.move_to(snapshot.now_ms, board.asks)
    before = board.content()
    candidates = policy.candidates(board, snapshot.now_ms)
    plan = policy.plan_on(board, snapshot.now_ms)
    (chosen,) = [each for each in candidates if each.chosen]
    assert chosen.on_front
    assert tuple(start for decision in plan.decisions for start in decision.starts) == chosen.starts
    assert all(0 <= value <= WHOLE for each in candidates for value in each.objectives)
    assert len({each.starts for each in candidates}) == len(candidates)
    assert policy.plan_on(board, snapshot.now_ms, decisions_only=True).decisions == plan.decisions
    assert board.content() == before


@settings(max_examples=examples(80), deadline=None)
@given(snapshots(DEFAULT), profiles)
def test_a_kept_board_chooses_as_a_fresh_one(snapshot: Snapshot, profile: str) -> None:
    policy = portfolio(profile)
    board = Board.of(snapshot, policy.distinguishes)
    for _ in range(2):
        assert policy.plan_on(board, snapshot.now_ms) == policy.plan(snapshot)


@settings(max_examples=examples(80), deadline=None)
@given(snapshots(DEFAULT), profiles)
def test_what_it_starts_passes_the_check_before_a_commit(snapshot: Snapshot, profile: str) -> None:
    so_far = snapshot
    for decision in portfolio(profile).plan(snapshot).decisions:
        assert verify(decision, locked_rows(so_far), snapshot.shapes) is None
        so_far, _ = committed(so_far, Plan(so_far.revision, (decision,)))


@settings(max_examples=examples(80), deadline=None)
@given(snapshots(DEFAULT), profiles)
def test_it_explains_what_it_decides(snapshot: Snapshot, profile: str) -> None:
    policy = portfolio(profile)
    starts = {start.job_id for decision in policy.plan(snapshot).decisions for start in decision.starts}
    for job in snapshot.pending.jobs():
        assert policy.explain(snapshot, job.id).starts_now == (job.id in starts)


@settings(max_examples=examples(80), deadline=None)
@given(snapshots(DEFAULT))
def test_starting_more_is_never_of_less_use(snapshot: Snapshot) -> None:
    policy = portfolio("balanced")
    board = Board.of(snapshot, policy.distinguishes)
    board.waiting.move_to(snapshot.now_ms, board.asks)
    judge = Judge(board)
    for candidate in policy.candidates(board, snapshot.now_ms):
        for count in range(len(candidate.starts)):
            less, more = judge.judge(candidate.starts[:count]), judge.judge(candidate.starts[: count + 1])
            assert less.utilisation <= more.utilisation
            assert less.response <= more.response
            assert less.fairness <= more.fairness
