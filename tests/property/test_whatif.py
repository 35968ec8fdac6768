"""What every what-if has in common, on clusters nobody thought of."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.board import Board
from tenure.core.picture import Picture
from tenure.core.possible import Possible
from tenure.core.whatif import (
    Alteration,
    Effect,
    JobAdded,
    JobCancelled,
    NodeRemoved,
    NodesAdded,
    NodeTurned,
    PriorityChanged,
    altered,
    in_line,
    what_if,
)
from tenure.model.amounts import GIB, Amounts
from tenure.model.job import PendingJob
from tenure.model.lifecycle import NodeStatus
from tenure.model.node import Device, Node
from tenure.model.snapshot import Snapshot
from tenure.policies import policy_by_name
from tenure.testing.outcome import applied
from tenure.testing.strategies import changes_after, shapes, snapshots
from tests.support.examples import examples

DEFAULT, EASY = policy_by_name("default"), policy_by_name("easy")


@st.composite
def nodes_added(draw: st.DrawFn) -> NodesAdded:
    """One node more, with an id that no snapshot of these strategies has."""
    gpus = draw(st.sampled_from([0, 1, 4]))
    model = draw(st.sampled_from(["NVIDIA A100", "Tesla T4"]))
    devices = tuple(Device(900 + index, 90, index, f"GPU-new-{index}", model, 80 * GIB) for index in range(gpus))
    return NodesAdded((Node(90, "new", Amounts(draw(st.sampled_from([1000, 8000])), 16 * GIB), devices, labels=("ssd",)),))


@st.composite
def alterations(draw: st.DrawFn, snapshot: Snapshot) -> list[Alteration]:
    """Some of everything, also of jobs that do not wait."""
    ids = [*(job.id for job in snapshot.pending.jobs()), *(job.id for job in snapshot.running), 999]
    node_ids = [node.id for node in snapshot.nodes]
    new = PendingJob(888, 0, snapshot.queues[0].id, submitted_ms=snapshot.now_ms, limit_ms=60_000)
    kinds: list[st.SearchStrategy[Alteration]] = [
        nodes_added(),
        st.builds(NodeRemoved, st.sampled_from(node_ids)),
        st.builds(NodeTurned, st.sampled_from(node_ids), st.sampled_from([NodeStatus.DRAINING, NodeStatus.UP])),
        st.builds(JobAdded, st.just(new), shapes()),
        st.builds(PriorityChanged, st.sampled_from(ids), st.integers(1, 10)),
        st.builds(JobCancelled, st.sampled_from(ids), st.sampled_from([-1, -1, 0, 1, 2])),
    ]
    return draw(st.lists(st.one_of(kinds), max_size=3, unique_by=type))


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_a_picture_gives_the_board_it_was_taken_of(data: st.DataObject) -> None:
    snapshot = data.draw(snapshots(DEFAULT))
    board = Board.of(snapshot)
    changes = data.draw(changes_after(snapshot))
    board.advance(changes)
    before = board.content()
    picture = Picture.of(board, changes.now_ms)
    assert Board.of(picture.snapshot()).content() == before == Board.of(applied(snapshot, changes)).content()
    assert DEFAULT.plan(picture.snapshot()) == DEFAULT.plan_on(board, changes.now_ms)


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_nothing_changes_and_every_waiting_job_is_told_once(data: st.DataObject) -> None:
    snapshot = data.draw(snapshots(DEFAULT, max_nodes=3, max_jobs=5))
    board = Board.of(snapshot)
    before, picture = board.content(), Picture.of(board, snapshot.now_ms)
    wished = data.draw(alterations(snapshot))
    found = what_if(picture.snapshot(), wished, DEFAULT.stages)
    assert found == what_if(snapshot, wished, DEFAULT.stages)
    assert board.content() == before
    ids = [shift.job_id for shift in found.shifts]
    after = {job.id for job in altered(snapshot, wished).pending.jobs()}
    assert sorted(ids) == sorted({job.id for job in snapshot.pending.jobs()} | after)
    for shift in found.shifts:
        assert (shift.after is None) == (shift.job_id not in after)
        if shift.effect in (Effect.SOONER, Effect.LATER):
            assert shift.change_ms is not None
            assert (shift.change_ms > 0) == (shift.effect is Effect.LATER)


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_what_is_removed_again_changes_nothing(data: st.DataObject) -> None:
    snapshot = data.draw(snapshots(DEFAULT, max_nodes=3, max_jobs=5))
    more = data.draw(nodes_added())
    new = JobAdded(PendingJob(888, 0, snapshot.queues[0].id, submitted_ms=snapshot.now_ms), data.draw(shapes()))
    as_it_is = what_if(snapshot, [], DEFAULT.stages)
    assert altered(snapshot, [more, NodeRemoved(90)]) == replace(snapshot, nodes=tuple(sorted(snapshot.nodes, key=lambda n: n.id)))
    there_and_back = what_if(snapshot, [new, more, JobCancelled(888), NodeRemoved(90)], DEFAULT.stages)
    assert there_and_back == as_it_is


@settings(max_examples=examples(250), deadline=None)
@given(st.data())
def test_a_node_more_never_delays_the_head(data: st.DataObject) -> None:
    """In the order of submission: by points, a job that is older than the bonus grows may be overtaken while it waits."""
    snapshot = data.draw(snapshots(EASY, max_nodes=3, max_jobs=6))
    board = Board.of(snapshot)
    line = [job_id for job_id in in_line(board, snapshot.now_ms, EASY.stages, 50) if job_id in _ready(board)]
    found = {shift.job_id: shift for shift in what_if(snapshot, [data.draw(nodes_added())], EASY.stages).shifts}
    head = next(iter(line), None)
    if head is None or not Possible.of(board).could_hold(board.waiting.rows[head].shape):
        return
    before, after = found[head].before, found[head].after
    assert before is not None
    assert after is not None
    if before.start_ms:
        assert 0 < after.start_ms <= before.start_ms


def _ready(board: Board) -> set[int]:
    """The jobs that may start now."""
    return {job_id for group in board.waiting.groups.values() for _, job_id in group.entries}
