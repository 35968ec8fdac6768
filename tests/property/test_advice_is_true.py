"""What is recommended is true: each command is typed as it stands on the snapshot it was made for, and what was promised happens.

Drawn clusters and drawn knowledge. Commands that change a job go through the command line's own parser and the judgement of an update,
as in `test_why_is_true`; the others are made by hand on the snapshot. Then a fresh plan must start whom the recommendation says.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.api.advising import Speaker
from tenure.cli.app import build
from tenure.core.advice import Advice, Habit, Known, advise
from tenure.core.whatif import JobCancelled, altered
from tenure.model.amounts import GIB
from tenure.model.lifecycle import NodeStatus
from tenure.model.snapshot import Snapshot
from tenure.policies import policy_by_name
from tenure.testing.strategies import snapshots
from tenure.wire.thinking import RecommendationView
from tests.property.test_why_is_true import typed, updated
from tests.support.examples import examples

POLICIES = ("default", "easy", "conservative", "fair", "default+fgd")
HABITS = st.builds(
    Habit,
    runs=st.integers(0, 12),
    peak_memory_bytes=st.integers(0, 4 * GIB),
    longest_ms=st.integers(0, 3_600_000),
    watched=st.integers(0, 12),
    gpu_percent=st.integers(0, 100),
    gpu_memory_bytes=st.integers(0, 8 * GIB),
)


def applied(snapshot: Snapshot, one: Advice, view: RecommendationView) -> Snapshot:
    """The snapshot after the command was typed."""
    words = shlex.split(view.command)
    assert words[0] == "tenure"
    if words[1] == "update":
        job = snapshot.job(one.change.job_id)
        assert job is not None
        return updated(snapshot, job, typed(job.id, shlex.join(words[3:])))
    if words[1] == "nodes":
        assert words[2] == "resume"
        nodes = tuple(replace(node, status=NodeStatus.UP) if node.name == words[3] else node for node in snapshot.nodes)
        return replace(snapshot, nodes=nodes)
    if words[1] == "cancel":
        return altered(snapshot, [JobCancelled(int(words[2]))])
    if words[1] == "requeue":
        assert int(words[2]) == one.change.job_id
        return altered(snapshot, [one.change.alteration])
    assert view.evidence["setting"] == f"projects.{view.project}.borrow"
    projects = tuple(replace(known, borrow=True) if known.name == view.project else known for known in snapshot.projects)
    return replace(snapshot, projects=projects)


@pytest.mark.parametrize("name", POLICIES)
@given(data=st.data())
@settings(max_examples=examples(25), deadline=None)
def test_every_recommendation_does_what_it_says(name: str, data: st.DataObject) -> None:
    policy = policy_by_name(name)
    snapshot = data.draw(snapshots(policy))
    waiting = [job.id for job in snapshot.pending.jobs()]
    habits = {job_id: data.draw(HABITS) for job_id in waiting[:6]}
    running = [job.id for job in snapshot.running if not job.array_id]
    known = Known(habits, tuple(running[:2]), dict(zip(running, count(1), strict=False)))
    found = advise(snapshot, policy.stages, known, policy.planning)
    assert found == advise(snapshot, policy.stages, known, policy.planning)
    speaker = Speaker(snapshot, {}, {})
    for one in found:
        view = speaker.say(one)
        assert view.estimate
        assert view.text
        assert shlex.split(view.command)[1] in build().commands
        plan = policy.plan(applied(snapshot, one, view))
        started = {start.job_id for decision in plan.decisions for start in decision.starts}
        assert started.issuperset(one.now), view
