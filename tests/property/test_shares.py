"""Accounts and shares: use decays by its law, nobody is better off for the order of things, and fair means what it promises."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.board import Board
from tenure.core.ledger import Ledger, carried, mean_held, remaining, window_ms
from tenure.core.shares import Shares
from tenure.model.amounts import GIB, Amounts
from tenure.model.job import JobTable
from tenure.model.project import Bundle, Usage
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.testing.builders import Cluster
from tests.support.examples import examples

WEEK_MS = 604_800_000
half_lives = st.sampled_from([1, 1000, 3_600_000, WEEK_MS])
amounts = st.builds(Bundle, st.integers(0, 10**6), st.integers(0, 2**40), st.integers(0, 10**5))
uses = st.integers(0, 10**15)


@given(uses, half_lives, st.integers(0, 5))
def test_half_is_forgotten_every_half_life(use: int, half_life_ms: int, times: int) -> None:
    later = carried(Usage(1, 2, 5, use, use, use), Bundle(), 5 + times * half_life_ms, half_life_ms)
    assert later.cpu_milli_ms == pytest.approx(use / 2**times, abs=1)
    assert later.cpu_milli_ms == later.memory_mib_ms == later.gpu_milli_ms
    assert later.as_of_ms == 5 + times * half_life_ms


@given(st.integers(0, 10**12), half_lives)
def test_what_remains_is_what_two_to_the_minus_age_says(age_ms: int, half_life_ms: int) -> None:
    assert remaining(age_ms, half_life_ms) / 2**62 == pytest.approx(2.0 ** (-age_ms / half_life_ms), rel=1e-9, abs=2e-18)


@given(uses, amounts, half_lives, st.lists(st.integers(0, 10**8), min_size=1, max_size=20))
def test_many_steps_forward_are_one_but_for_rounding(use: int, held: Bundle, half_life_ms: int, steps: list[int]) -> None:
    first = walked = Usage(1, 2, 0, use, use, use)
    for step_ms in steps:
        walked = carried(walked, held, walked.as_of_ms + step_ms, half_life_ms)
    at_once = carried(first, held, sum(steps), half_life_ms)
    for name in ("cpu_milli_ms", "memory_mib_ms", "gpu_milli_ms"):
        assert getattr(walked, name) == pytest.approx(getattr(at_once, name), rel=1e-9, abs=2 * len(steps))


@given(amounts, half_lives, st.integers(1, 10**9))
def test_steady_use_shows_as_what_is_held_and_short_use_as_amount_times_time(held: Bundle, half_life_ms: int, start_ms: int) -> None:
    old = carried(Usage(1, 2, start_ms), held, start_ms + 80 * half_life_ms, half_life_ms)
    if half_life_ms >= 1000:
        assert mean_held(old, half_life_ms).cpu_milli == pytest.approx(held.cpu_milli, abs=1, rel=1e-6)
        assert mean_held(old, half_life_ms).gpu_milli == pytest.approx(held.gpu_milli, abs=1, rel=1e-6)
    brief = carried(Usage(1, 2, start_ms), held, start_ms + 10, WEEK_MS)
    assert brief.cpu_milli_ms == pytest.approx(10 * held.cpu_milli, abs=1, rel=1e-6)


def test_without_a_half_life_nothing_is_kept_and_time_never_goes_back() -> None:
    assert carried(Usage(1, 2, 5, 100, 100, 100), Bundle(1000), 10, 0) == Usage(1, 2, 10)
    usage = Usage(1, 2, 5, 100, 100, 100)
    assert carried(usage, Bundle(1000), 4, 1000) == usage
    assert mean_held(usage, 0) == Bundle()
    assert window_ms(WEEK_MS) == 872_541_960
    assert remaining(100 * WEEK_MS, WEEK_MS) == 0


@given(st.lists(st.tuples(st.sampled_from([(1, 1), (1, 2), (2, 1)]), amounts, st.integers(0, 10**6)), max_size=12))
def test_a_ledger_adds_up_and_ends_empty(changes: list[tuple[tuple[int, int], Bundle, int]]) -> None:
    ledger, now_ms = Ledger(WEEK_MS), 0
    for account, bundle, later_ms in changes:
        now_ms += later_ms
        ledger.settle(account, now_ms)
        ledger.hold(account, bundle)
    before = ledger.copy()
    for account in {account for account, _, _ in changes}:
        mine = [bundle for of, bundle, _ in changes if of == account]
        assert ledger.held.get(account, Bundle()) == Bundle(*(sum(part) for part in zip(*mine, strict=True)))
    for account, bundle, _ in changes:
        ledger.drop(account, bundle)
    assert ledger.held == {}
    assert before.used == ledger.used


# --- what fair means: one node that is shared to the last task, everybody wants more than there is

demands = st.tuples(st.integers(1, 5), st.integers(0, 3)).filter(any)
FAIR = policy_by_name("fair-greedy")
NO_PAST = PlanSettings(half_life_ms=0, backfill_depth=10**6)


def _dealt(cpus: int, gpus: int, wants: list[tuple[int, int]], weights: list[int]) -> list[int]:
    """How many tasks each project starts when all have plenty."""
    cluster = Cluster(settings=NO_PAST)
    cluster.node("a", Amounts(cpus * 1000, 512 * GIB), gpus)
    for number, ((cpu, gpu), weight) in enumerate(zip(wants, weights, strict=True)):
        project = cluster.project(f"p{number}", weight_milli=weight * 1000)
        shape = Shape(Amounts(cpu * 1000), gpu * 1000)
        cluster.wait(f"j{number}", shape, project=project.id, user=1, is_array=1, array_left=500, age_ms=number)
    counts = [0] * len(wants)
    for decision in FAIR.plan(cluster.snapshot()).decisions:
        counts[decision.starts[0].job_id - 1] += 1
    return counts


def _share(tasks: int, want: tuple[int, int], cpus: int, gpus: int) -> float:
    return max(tasks * want[0] / cpus, tasks * want[1] / gpus)


def _has_room(counts: list[int], wants: list[tuple[int, int]], want: tuple[int, int], cpus: int, gpus: int) -> bool:
    used = [sum(count * item[at] for count, item in zip(counts, wants, strict=True)) for at in (0, 1)]
    return used[0] + want[0] <= cpus and used[1] + want[1] <= gpus


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(demands, min_size=2, max_size=4), st.integers(20, 60), st.integers(8, 24))
def test_everybody_gets_his_part_but_for_one_task_and_envies_nobody(wants: list[tuple[int, int]], cpus: int, gpus: int) -> None:
    counts = _dealt(cpus, gpus, wants, [1] * len(wants))
    shares = [_share(count, want, cpus, gpus) for count, want in zip(counts, wants, strict=True)]
    ones = [_share(1, want, cpus, gpus) for want in wants]
    for mine, want in enumerate(wants):
        assert not _has_room(counts, wants, want, cpus, gpus)  # nothing is left idle that somebody could use
        assert shares[mine] + ones[mine] * 2 >= 1 / len(wants) - max(ones)  # the incentive to share, in whole tasks
        for other, count in enumerate(counts):
            bundle = (count * wants[other][0], count * wants[other][1])
            tasks = min(bundle[at] // want[at] for at in (0, 1) if want[at])
            assert tasks <= counts[mine] + 1 + max(1, round(max(ones) / ones[mine])), "with what the other has, it could do no more"


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))
def test_weights_divide_what_is_there(first: int, second: int, third: int) -> None:
    weights = [first, second, third]
    counts = _dealt(12 * sum(weights), 1, [(1, 0)] * 3, weights)
    assert counts == [12 * weight for weight in weights]


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), demands), min_size=2, max_size=10), st.randoms(use_true_random=False))
def test_no_start_goes_to_a_higher_share_while_a_lower_one_has_room(
    jobs: list[tuple[int, int, tuple[int, int]]], random: object
) -> None:
    cluster = Cluster(settings=NO_PAST)
    cluster.node("a", Amounts(10_000, 512 * GIB), 5)
    for number, (project, user, (cpu, gpu)) in enumerate(jobs):
        cluster.wait(f"j{number}", Shape(Amounts(cpu * 1000), gpu * 1000), project=project, user=user)
    snapshot = cluster.snapshot()
    rows, free = {job.id: job for job in snapshot.pending.jobs()}, [10, 5]
    board = Board.of(snapshot, FAIR.distinguishes)
    shares = Shares(board.ledger, board.projects, board.capacity, snapshot.now_ms)
    plan = FAIR.plan(snapshot)
    for decision in plan.decisions:
        job = rows.pop(decision.starts[0].job_id)
        wants = {other.id: jobs[other.id - 1][2] for other in (job, *rows.values())}
        for other in rows.values():
            if all(need <= left for need, left in zip(wants[other.id], free, strict=True)):
                mine, theirs = (shares.of_project(one.project) for one in (job, other))
                assert (mine, shares.of_user(job.project, job.user)) <= (theirs, shares.of_user(other.project, other.user))
        cpu, gpu = wants[job.id]
        free = [free[0] - cpu, free[1] - gpu]
        shares.started(job.project, job.user, Bundle(cpu * 1000, 0, gpu * 1000))
    shuffled = list(snapshot.pending.jobs())
    getattr(random, "shuffle")(shuffled)  # noqa: B009  # hypothesis gives a Random that is typed as object here
    assert FAIR.plan(replace(snapshot, pending=JobTable.of(shuffled))) == plan
