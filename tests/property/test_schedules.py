"""Schedules: what the decoder says is possible, does not depend on its past, and is what the planning cycle does in the same order."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tenure.core.board import Board
from tenure.core.forward import look_ahead
from tenure.core.objectives import WHOLE
from tenure.core.verify import verify
from tenure.model.amounts import MILLI, Amounts
from tenure.model.plan import Plan
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.optimize.annealing import anneal
from tenure.optimize.instance import Instance, instance_of
from tenure.optimize.planned import MARGIN, Planned, Ranked
from tenure.optimize.schedule import BEST, Decoder
from tenure.optimize.timeline import least
from tenure.optimize.words import read_policy
from tenure.policies import policy_by_name
from tenure.policies.easy import STRICT
from tenure.policies.staged import StagedPolicy
from tenure.testing.builders import Cluster
from tenure.testing.locked import locked_rows
from tenure.testing.outcome import committed
from tenure.testing.strategies import snapshots
from tests.support.examples import examples

BASE = policy_by_name("tenure")
MINUTE_MS = 60_000


def instance(snapshot: Snapshot, window: int = 12) -> Instance:
    board = Board.of(snapshot, BASE.distinguishes)
    board.waiting.move_to(snapshot.now_ms, board.asks)
    return instance_of(board, snapshot.now_ms, BASE.stages, window)


def shuffled(found: Instance, seed: int) -> list[int]:
    order = list(range(len(found.tokens)))
    random.Random(seed).shuffle(order)
    return found.canonical(order)


@settings(max_examples=examples(100), deadline=None)
@given(snapshots(BASE), st.integers(0, 99))
def test_an_order_is_canonical_once_and_for_all(snapshot: Snapshot, seed: int) -> None:
    found = instance(snapshot)
    order = shuffled(found, seed)
    assert sorted(order) == list(range(len(found.tokens)))
    assert order[: found.pinned] == list(range(found.pinned))
    assert found.canonical(order) == order
    alike: dict[int, int] = {}
    for place in order[found.pinned :]:
        group = found.tokens[place].group
        assert alike.get(group, -1) < place
        alike[group] = place


@settings(max_examples=examples(100), deadline=None)
@given(snapshots(BASE), st.lists(st.integers(0, 99), min_size=2, max_size=4))
def test_a_schedule_does_not_depend_on_what_was_decoded_before(snapshot: Snapshot, seeds: list[int]) -> None:
    found = instance(snapshot)
    kept = Decoder(found)
    for order in (shuffled(found, seed) for seed in seeds):
        fresh = Decoder(found)
        assert kept.slots(order) == fresh.slots(order)
        assert kept.fitness(order) == fresh.fitness(order)
        assert 0 <= kept.fitness(order).value <= BEST


@pytest.mark.parametrize(("waiting", "priorities"), [((4, 8), WHOLE // 2), ((4, 2), WHOLE), ((8, 8), WHOLE)])
def test_who_can_be_placed_nowhere_is_not_satisfied(waiting: tuple[int, ...], priorities: int) -> None:
    """Beside a job without an end; where nobody can be placed there is nobody to be told apart."""
    cluster = Cluster()
    cluster.node("pool", Amounts(cpu_milli=8 * MILLI))
    cluster.run("endless", Shape(Amounts(2 * MILLI)), on=["pool"])
    for number, cpus in enumerate(waiting):
        cluster.wait(f"w{number}", Shape(Amounts(cpus * MILLI)), limit_ms=MINUTE_MS, age_ms=number)
    found = instance(cluster.snapshot())
    assert Decoder(found).fitness(range(len(found.tokens))).priorities == priorities


@settings(max_examples=examples(100), deadline=None)
@given(snapshots(BASE), st.integers(0, 99))
def test_a_schedule_never_takes_more_than_there_is(snapshot: Snapshot, seed: int) -> None:
    found = instance(snapshot)
    decoder = Decoder(found)
    slots = decoder.slots(shuffled(found, seed))
    for line in decoder.lines():
        for state in line:
            assert min((*state.free, *state.milli, *state.memory), default=0) >= 0
        assert all(a.at_ms < b.at_ms for a, b in pairwise(line))
        assert least(line, 0, line[-1].at_ms + 1).at_ms == line[0].at_ms
    for token, slot in zip(found.tokens, slots, strict=True):
        assert slot.start_ms == -1 or (slot.start_ms >= found.now_ms and sum(tasks for _, tasks in slot.layout) == token.tasks)


sizes = st.lists(st.tuples(st.integers(1, 8), st.integers(1, 9)), min_size=1, max_size=7)


@settings(max_examples=examples(200), deadline=None)
@given(sizes, sizes, st.integers(0, 99))
def test_on_one_pool_the_planning_cycle_does_what_the_schedule_says(
    running: list[tuple[int, int]], waiting: list[tuple[int, int]], seed: int
) -> None:
    """In the order of their starts, strictly, the cycle starts every job when the schedule does."""
    cluster = Cluster()
    cluster.node("pool", Amounts(cpu_milli=8 * MILLI))
    used = 0
    for number, (cpus, minutes) in enumerate(running):
        if used + cpus <= 8:
            cluster.run(f"r{number}", Shape(Amounts(cpus * MILLI)), on=["pool"], ends_ms=minutes * MINUTE_MS)
            used += cpus
    for number, (cpus, minutes) in enumerate(waiting):
        cluster.wait(f"w{number}", Shape(Amounts(cpus * MILLI)), limit_ms=minutes * MINUTE_MS, age_ms=number)
    found = instance(cluster.snapshot())
    assume(len(found.tokens) == len(waiting))
    slots = Decoder(found).slots(shuffled(found, seed))
    planned = {token.job_id: slot.start_ms for token, slot in zip(found.tokens, slots, strict=True)}
    ranked = sorted(planned, key=lambda job_id: (planned[job_id], job_id))
    stages = replace(BASE.stages, order=Ranked(ranked, BASE.stages.order), backfill=STRICT)
    board = Board.of(cluster.snapshot(), BASE.distinguishes)
    assert look_ahead(board, cluster.now_ms, stages, ranked).starts == planned


@settings(max_examples=examples(60), deadline=None)
@given(snapshots(BASE), st.integers(0, 99))
def test_annealing_repeats_itself_and_is_never_worse_than_where_it_began(snapshot: Snapshot, seed: int) -> None:
    found = instance(snapshot)
    begun = [shuffled(found, seed), list(range(len(found.tokens)))]
    best = anneal(found, begun, 200, seed)
    assert best == anneal(found, begun, 200, seed)
    assert best[: found.pinned] == list(range(found.pinned))
    decoder = Decoder(found)
    assert decoder.fitness(best).value >= max(decoder.fitness(order).value for order in begun)


def planned(word: str = "annealed:units=200,window=10") -> Planned:
    found, _ = read_policy(word, PlanSettings())
    assert isinstance(found, Planned)
    return found


@settings(max_examples=examples(60), deadline=None)
@given(snapshots(BASE))
def test_what_a_search_starts_passes_the_check_before_a_commit(snapshot: Snapshot) -> None:
    so_far = snapshot
    for decision in planned().plan(snapshot).decisions:
        assert verify(decision, locked_rows(so_far), snapshot.shapes) is None
        so_far, _ = committed(so_far, Plan(so_far.revision, (decision,)))


@settings(max_examples=examples(60), deadline=None)
@given(snapshots(BASE))
def test_a_search_repeats_itself_and_leaves_the_board_alone(snapshot: Snapshot) -> None:
    board = Board.of(snapshot, BASE.distinguishes)
    board.waiting.move_to(snapshot.now_ms, board.asks)
    before = board.content()
    plans = [planned().plan_on(board, snapshot.now_ms) for _ in range(2)]
    assert plans[0] == plans[1] == planned().plan(snapshot)
    assert board.content() == before


@settings(max_examples=examples(60), deadline=None)
@given(snapshots(BASE))
def test_what_is_not_adopted_is_the_incumbent(snapshot: Snapshot) -> None:
    policy = planned()
    plan = policy.plan(snapshot)
    if not policy.adopted:
        assert plan == BASE.plan(snapshot)


@settings(max_examples=examples(40), deadline=None)
@given(snapshots(BASE))
def test_a_search_may_come_after_the_plan(snapshot: Snapshot) -> None:
    """What is found while nobody waits is what the next plan follows, and only if that is fitter."""
    policy = planned()
    later = Planned("later", BASE, anneal, units=200, window=10, inline=False)
    board = Board.of(snapshot, BASE.distinguishes)
    first = later.plan_on(board, snapshot.now_ms)
    assert later.adopted or first == BASE.plan(snapshot)
    better = later.improve()
    assert not later.has_ideas
    assert not later.improve()
    again = later.plan_on(board, snapshot.now_ms)
    if better:
        assert later.adopted
        assert again.decisions == policy.plan_on(board, snapshot.now_ms).decisions
    assert isinstance(later.altered("other"), StagedPolicy)
    assert MARGIN > 0
