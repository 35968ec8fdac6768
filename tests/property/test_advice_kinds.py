"""The recommendations that drawn clusters hardly ever have (to move a job, to shorten a limit, to let a project borrow), on clusters
drawn for them: what is said comes true, what it costs others is told, and the sentence is true of the cluster as it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.api.advising import Speaker
from tenure.core.advice import Advice, AdviceKind, Habit, Known, advise, limit_for
from tenure.model.amounts import GIB, MILLI, Amounts
from tenure.model.plan import Start
from tenure.model.project import Bundle
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.policies import StagedPolicy, policy_by_name
from tenure.testing.builders import Cluster
from tests.property.test_advice_is_true import applied

MINUTE_MS = 60_000
POLICIES = ("default", "easy", "conservative", "fair", "default+fgd", "tenure")
Drawn = tuple[Snapshot, Known]


@dataclass
class Tally:
    """How often a recommendation was made: a test in which it never is proves nothing."""

    count: int = 0


def one_gpu(count: int = 1, cpus: int = 1, labels: tuple[str, ...] = ()) -> Shape:
    return Shape(Amounts(cpus * MILLI, GIB), gpu_milli=count * MILLI, labels=labels)


@st.composite
def in_pieces(draw: st.DrawFn) -> Drawn:
    """Nodes on each of which some GPUs are held, jobs that want several of one node, and others beside them."""
    cluster = Cluster()
    nodes = draw(st.integers(2, 4))
    movable = {}
    for number in range(nodes):
        gpus = draw(st.sampled_from([2, 2, 3, 4]))
        labels = draw(st.sampled_from([(), (), ("ssd",)]))
        cluster.node(f"n{number}", Amounts(draw(st.sampled_from([2, 4, 8])) * MILLI, 64 * GIB), gpus, labels=labels)
        left = gpus
        for held in draw(st.lists(st.sampled_from([1, 1, 2]), min_size=1, max_size=2)):
            if held <= left:
                left -= held
                name, tied = f"r{number}-{left}", draw(st.sampled_from([(), (), (), labels]))
                ends_ms = draw(st.sampled_from([5, 60, 600])) * MINUTE_MS
                cluster.run(name, one_gpu(held, labels=tied), [f"n{number}"], ends_ms=ends_ms, age_ms=draw(st.integers(1, 9)))
                if draw(st.sampled_from([True, True, False])):
                    movable[cluster.jobs[name]] = draw(st.sampled_from([0, cluster.now_ms - MINUTE_MS, cluster.now_ms]))
    for number in range(draw(st.integers(1, 4))):
        shape = one_gpu(draw(st.sampled_from([2, 2, 3, 1])), draw(st.sampled_from([1, 1, 2])))
        age_ms = draw(st.sampled_from([0, 1, 30])) * MINUTE_MS
        cluster.wait(f"w{number}", shape, limit_ms=draw(st.sampled_from([0, 10, 60])) * MINUTE_MS, age_ms=age_ms)
    return cluster.snapshot(), Known(movable=movable)


@st.composite
def over_asked(draw: st.DrawFn) -> Drawn:
    """One machine that a wide job waits for, and narrow ones behind it whose limits are far longer than they ever ran."""
    cluster = Cluster()
    cluster.node("a", Amounts(4 * MILLI, 64 * GIB))
    cluster.run(
        "r",
        Shape(Amounts(draw(st.integers(1, 3)) * MILLI)),
        ["a"],
        ends_ms=draw(st.sampled_from([10, 30])) * MINUTE_MS,
    )
    cluster.wait("wide", Shape(Amounts(4 * MILLI)), limit_ms=60 * MINUTE_MS, age_ms=60_000, priority=draw(st.sampled_from([5, 7])))
    habits = {}
    for number in range(draw(st.integers(1, 4))):
        limit_ms = draw(st.sampled_from([0, 20, 120, 600])) * MINUTE_MS
        cluster.wait(f"w{number}", Shape(Amounts(draw(st.integers(1, 3)) * MILLI)), limit_ms=limit_ms, user=draw(st.integers(0, 1)))
        longest_ms = draw(st.sampled_from([0, 1000, 3 * MINUTE_MS, 15 * MINUTE_MS]))
        habits[cluster.jobs[f"w{number}"]] = Habit(draw(st.sampled_from([4, 5, 9])), GIB, longest_ms)
    return cluster.snapshot(), Known(habits)


@st.composite
def at_quotas(draw: st.DrawFn) -> Drawn:
    """Projects with quotas, some of which may not borrow, on machines of which a part is idle."""
    cluster = Cluster()
    for number in range(draw(st.integers(1, 2))):
        cluster.node(f"n{number}", Amounts(4 * MILLI, 64 * GIB), draw(st.sampled_from([0, 2])))
    names = ("red", "blue")
    projects = []
    for name in names:
        quota = Bundle(draw(st.sampled_from([-1, 0, MILLI, 2 * MILLI])), -1, draw(st.sampled_from([-1, MILLI])))
        projects.append(cluster.project(name, quota=quota, borrow=draw(st.sampled_from([False, False, True]))).id)
    for number in range(draw(st.integers(0, 2))):
        cluster.run(
            f"r{number}",
            Shape(Amounts(MILLI, GIB)),
            ["n0"],
            ends_ms=60 * MINUTE_MS,
            project=draw(st.sampled_from(projects)),
        )
    for number in range(draw(st.integers(1, 4))):
        cluster.wait(
            f"w{number}",
            Shape(Amounts(draw(st.integers(1, 3)) * MILLI, GIB)),
            limit_ms=draw(st.sampled_from([0, 10, 60])) * MINUTE_MS,
            project=draw(st.sampled_from(projects)),
            age_ms=number * 1000,
        )
    return cluster.snapshot(), Known()


def starts(policy: StagedPolicy, snapshot: Snapshot) -> dict[int, Start]:
    """What a plan starts."""
    return {start.job_id: start for decision in policy.plan(snapshot).decisions for start in decision.starts}


def check(policy: StagedPolicy, snapshot: Snapshot, one: Advice) -> None:
    """What is said of the future."""
    view = Speaker(snapshot, {}, {}).say(one)
    before, after = starts(policy, snapshot), starts(policy, applied(snapshot, one, view))
    assert set(after).issuperset(one.now), view
    assert set(before) - set(after) <= {*one.later, one.change.job_id}, "who does not start for it is named"
    assert {shift.job_id for shift in one.sooner}.isdisjoint(one.later)
    CHECKS[one.change.kind](snapshot, one, after)


def moved(snapshot: Snapshot, one: Advice, after: dict[int, Start]) -> None:
    """As many GPUs as are wanted are free, on no node alone; the job that is moved goes on at once, elsewhere; nobody waits longer."""
    wanted = snapshot.shapes[next(job for job in snapshot.pending.jobs() if job.id == one.change.beneficiary).shape].gpu_milli // MILLI
    held = {share.device_id for job in snapshot.running for part in job.allocations for share in part.devices}
    free = [sum(device.id not in held for device in node.devices) for node in snapshot.nodes]
    assert max(free) < wanted <= sum(free)
    was = next(job for job in snapshot.running if job.id == one.change.job_id)
    assert one.change.job_id in after
    assert {part.node_id for part in after[one.change.job_id].placements}.isdisjoint(part.node_id for part in was.allocations)
    assert one.change.beneficiary in one.now
    assert not one.later


def shortened(snapshot: Snapshot, one: Advice, _after: dict[int, Start]) -> None:
    """The new limit is shorter than the old one and has a margin above what was measured."""
    job = next(job for job in snapshot.pending.jobs() if job.id == one.change.job_id)
    assert one.change.limit_ms == limit_for(one.habit.longest_ms) >= 1.5 * one.habit.longest_ms
    assert not job.limit_ms or 2 * one.change.limit_ms <= job.limit_ms
    assert one.change.job_id in {shift.job_id for shift in one.sooner}


def borrowed(snapshot: Snapshot, one: Advice, _after: dict[int, Start]) -> None:
    """It is a project that has a quota and may not borrow, and one of its own jobs has something of it."""
    project = next(project for project in snapshot.projects if project.id == one.change.project)
    assert not project.borrow
    own = {job.id for job in snapshot.pending.jobs() if job.project == project.id}
    assert own.intersection(shift.job_id for shift in one.sooner), "the sentence speaks of what this project waits for"


CHECKS: dict[AdviceKind, Callable[[Snapshot, Advice, dict[int, Start]], None]] = {
    AdviceKind.MOVE: moved,
    AdviceKind.SHORTER_LIMIT: shortened,
    AdviceKind.LET_BORROW: borrowed,
}
DRAWN = {AdviceKind.MOVE: in_pieces, AdviceKind.SHORTER_LIMIT: over_asked, AdviceKind.LET_BORROW: at_quotas}

CASES = [(kind, name) for kind in DRAWN for name in POLICIES if (kind, name) != (AdviceKind.SHORTER_LIMIT, "fair")]
"""Where nothing is kept for who waits, a shorter limit helps nobody."""


def tried(kind: AdviceKind, name: str, examples: int) -> int:
    """Draw clusters for a kind and check what is recommended; how often it was."""
    policy, tally = policy_by_name(name), Tally()

    @given(DRAWN[kind]())
    @settings(max_examples=examples, deadline=None)
    def every(drawn: Drawn) -> None:
        snapshot, known = drawn
        found = advise(snapshot, policy.stages, known, policy.planning)
        assert found == advise(snapshot, policy.stages, known, policy.planning)
        for one in found:
            check(policy, snapshot, one)
            tally.count += one.change.kind is kind

    every()
    return tally.count


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_what_is_hardly_ever_recommended_is_true_as_well(kind: AdviceKind, name: str) -> None:
    assert tried(kind, name, 40) > 0


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_the_same_for_long(kind: AdviceKind, name: str) -> None:
    assert tried(kind, name, 600) > 10
