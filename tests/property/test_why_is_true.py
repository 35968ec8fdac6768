"""What `why` says is true: every change it proposes is made as a person would make it, word for word, and does what was said.

A fuzzed history under each kind of policy; then, for every job that waits, each suggestion goes through the command line's own parser,
the judgement of an update, the queue's bound on time limits and a fresh plan. A counterexample is a bug of the explanation.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.api.suggesting import suggestion_view
from tenure.cli import options
from tenure.cli.app import load
from tenure.cli.catalogue import BY_WORD
from tenure.control.acts import update_commands
from tenure.core.explain import explain
from tenure.model.commands import Caller, UpdateJob
from tenure.model.explanation import Suggestion, UnknownStart
from tenure.model.job import PendingJob
from tenure.model.lifecycle import DeviceStatus, NodeStatus
from tenure.model.reasons import DeviceUnavailable, MaximumReached, NeverFits, NodeUnavailable, QuotaReached
from tenure.model.snapshot import Snapshot
from tenure.policies import StagedPolicy, policy_by_name
from tenure.store.submit import limit_refusal
from tenure.testing.history import History
from tenure.testing.outcome import committed
from tenure.testing.strategies import snapshots
from tenure.wire.dto import ActReply, ActResult, UpdateRequest
from tests.support.examples import examples

POLICIES = (
    "default",
    "easy",
    "easy-sjbf",
    "greedy",
    "fifo",
    "tenure",
    "sjf-easy",
    "edf-easy",
    "points",
    "conservative",
    "points-conservative",
    "fair",
    "default+fgd",
    "default+potential",
)

UPDATE = load(BY_WORD["update"])


class Clerk:
    """Stands in for the connection: notes what an ``update`` asks for."""

    def __init__(self) -> None:
        self.request = UpdateRequest(select=options.Selection(), key="k")

    def __enter__(self) -> Clerk:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def update(self, select: options.Selection, **changes: Any) -> ActReply:
        self.request = UpdateRequest(select=select, key="k", **changes)
        return ActReply(results=[ActResult(id=select.ids[0], ok=True)])


@contextmanager
def listening() -> Iterator[Clerk]:
    """Whatever the command line asks for goes to a clerk."""
    clerk, real = Clerk(), options.client
    options.client = lambda: clerk  # type: ignore[assignment,return-value]
    try:
        yield clerk
    finally:
        options.client = real


def typed(job_id: int, words: str) -> UpdateRequest:
    """What ``tenure update JOB WORDS`` asks the daemon for."""
    with listening() as clerk:
        UPDATE.main([str(job_id), *shlex.split(words)], standalone_mode=False)
    return clerk.request


def updated(snapshot: Snapshot, job: PendingJob, request: UpdateRequest) -> Snapshot:
    """The snapshot after that update of a waiting job; fails when the daemon or the store would refuse it."""
    shapes = dict(snapshot.shapes)
    (command,) = update_commands(request, [(job.id, -1)], {job.id: shapes[job.shape]}, Caller(1, "somebody"), snapshot.nodes)
    assert isinstance(command, UpdateJob)
    number = job.shape
    if command.shape is not None:
        number = next((known for known, other in shapes.items() if other == command.shape), max(shapes) + 1)
        shapes[number] = command.shape
    queues = {queue.name: queue for queue in snapshot.queues}
    queue = queues[request.queue] if request.queue is not None else next(item for item in snapshot.queues if item.id == job.queue)
    limit_ms = job.limit_ms if request.limit_ms is None else request.limit_ms
    if request.queue is not None or request.limit_ms is not None:
        assert limit_refusal(queue, limit_ms) is None
    priority = job.priority if request.priority is None else request.priority
    changed = replace(job, shape=number, queue=queue.id, limit_ms=limit_ms, priority=priority)
    return replace(snapshot, shapes=shapes, pending=snapshot.pending.changed({job.id: changed}, ()))


def check_suggestion(policy: StagedPolicy, snapshot: Snapshot, job: PendingJob, item: Suggestion) -> None:
    """The job starts at once, or is the head with the start that was said."""
    view = suggestion_view(item, job, snapshot)
    after = updated(snapshot, job, typed(job.id, view.options))
    plan = policy.plan(after)
    starts = {start.job_id for decision in plan.decisions for start in decision.starts}
    if item.start_ms:
        assert plan.reservation is not None, view
        assert (plan.reservation.job_id, plan.reservation.start_ms) == (job.id, item.start_ms), view
    else:
        assert job.id in starts, view


def check_never(policy: StagedPolicy, snapshot: Snapshot, job: PendingJob) -> None:
    """What is said to be impossible is, on all nodes when nobody else is there; what is said to stand in the way alone does."""
    found = explain(snapshot, job.id, policy.stages)
    obstacles = [item for item in found.blockers if isinstance(item, NeverFits | NodeUnavailable | DeviceUnavailable)]
    never = any(isinstance(item, NeverFits) for item in obstacles)
    assert never or found.start.unknown is not UnknownStart.NEVER
    assert obstacles or found.start.unknown is not UnknownStart.UNAVAILABLE
    if not obstacles:
        return
    up = [node for item in obstacles if isinstance(item, NodeUnavailable) for node in item.nodes]
    repaired = [device for item in obstacles if isinstance(item, DeviceUnavailable) for device in item.devices]
    nodes = tuple(
        replace(
            node,
            status=NodeStatus.UP if never or node.id in up else node.status,
            devices=tuple(replace(d, status=DeviceStatus.OK) if never or d.id in repaired else d for d in node.devices),
        )
        for node in snapshot.nodes
    )
    free = replace(job, held=0, blocked=0, eligible_ms=0, array_room=1)
    others = [other.id for other in snapshot.pending.jobs() if other.id != job.id]
    queues = tuple(replace(queue, paused=False) for queue in snapshot.queues)
    projects = () if any(isinstance(item, QuotaReached | MaximumReached) for item in found.blockers) else snapshot.projects
    alone = replace(snapshot, nodes=nodes, queues=queues, projects=projects, running=())
    alone = replace(alone, pending=snapshot.pending.changed({job.id: free}, others))
    assert bool(policy.plan(alone).decisions) is not never


def check_snapshot(policy: StagedPolicy, snapshot: Snapshot) -> int:
    """All of it, for every job that waits; how many changes were made."""
    made = 0
    for job in snapshot.pending.jobs():
        check_never(policy, snapshot, job)
        for item in explain(snapshot, job.id, policy.stages).suggestions:
            check_suggestion(policy, snapshot, job, item)
            made += 1
    return made


@st.composite
def moments(draw: st.DrawFn) -> tuple[StagedPolicy, Snapshot]:
    """A policy, and a moment of a history under it; sometimes just after it has planned."""
    policy = policy_by_name(draw(st.sampled_from(POLICIES)))
    snapshot = draw(snapshots(policy, max_nodes=3, max_jobs=5))
    return policy, committed(snapshot, policy.plan(snapshot))[0] if draw(st.booleans()) else snapshot


@settings(max_examples=examples(100), deadline=None)
@given(moments())
def test_what_why_proposes_does_what_it_says(moment: tuple[StagedPolicy, Snapshot]) -> None:
    check_snapshot(*moment)


@settings(max_examples=examples(15), deadline=None)
@given(st.sampled_from(POLICIES), st.integers(0, 10_000))
def test_what_why_proposes_on_a_busy_cluster_does_what_it_says(name: str, seed: int) -> None:
    policy = policy_by_name(name)
    for snapshot in History(policy, seed).moments(2):
        check_snapshot(policy, snapshot)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", POLICIES)
def test_what_why_proposes_does_what_it_says_in_a_long_sweep(name: str) -> None:
    policy = policy_by_name(name)
    made = sum(check_snapshot(policy, snapshot) for seed in range(100) for snapshot in History(policy, seed).moments(6))
    assert made > 100
