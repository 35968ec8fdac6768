"""What-if on small clusters, worked out by hand: one cpu or one GPU at a time, limits in milliseconds."""

from __future__ import annotations

from dataclasses import replace

from tenure.core.board import Board
from tenure.core.picture import Picture
from tenure.core.whatif import (
    Alteration,
    Effect,
    JobAdded,
    JobCancelled,
    NodeRemoved,
    NodesAdded,
    NodeTurned,
    Outlook,
    PriorityChanged,
    SettingsChanged,
    Shift,
    WhatIf,
    altered,
    in_line,
    what_if,
)
from tenure.model.amounts import Amounts
from tenure.model.explanation import UnknownStart
from tenure.model.job import PendingJob
from tenure.model.lifecycle import NodeStatus
from tenure.model.node import Device, Node
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.policies import policy_by_name
from tenure.testing.builders import NOW_MS, Cluster

DEFAULT, EASY, GREEDY = (policy_by_name(name).stages for name in ("default", "easy", "greedy"))
CPU = Shape(Amounts(1000))
GPU = Shape(gpu_milli=1000)


def line(*limits_ms: int) -> Cluster:
    """One cpu that is busy until 50 (job 1), and a line of jobs with these limits (2, 3, ...)."""
    cluster = Cluster()
    cluster.node("a", Amounts(1000))
    cluster.run("r", CPU, ["a"], ends_ms=50)
    for number, limit_ms in enumerate(limits_ms):
        cluster.wait(f"j{number}", CPU, limit_ms=limit_ms)
    return cluster


def more(*cpus: int) -> NodesAdded:
    """Nodes with so many cpus, with ids from 101 on."""
    return NodesAdded(tuple(Node(101 + n, f"new-{n + 1}", Amounts(count * 1000)) for n, count in enumerate(cpus)))


def asked(snapshot: Snapshot, *alterations: Alteration) -> WhatIf:
    return what_if(snapshot, alterations, DEFAULT)


def starts(found: WhatIf) -> dict[int, tuple[int | None, int | None]]:
    """When each job starts before and after, from now on; None where it does not wait or nobody can say."""

    def since(outlook: Outlook | None) -> int | None:
        return outlook.start_ms - NOW_MS if outlook is not None and outlook.start_ms else None

    return {shift.job_id: (since(shift.before), since(shift.after)) for shift in found.shifts}


def effects(found: WhatIf) -> dict[int, Effect]:
    return {shift.job_id: shift.effect for shift in found.shifts}


def test_without_an_alteration_both_sides_agree() -> None:
    found = asked(line(100, 100).snapshot())
    assert starts(found) == {2: (50, 50), 3: (150, 150)}
    assert set(effects(found).values()) == {Effect.SAME}
    assert (found.waiting, found.endless) == (2, ())


def test_a_node_more_brings_everybody_forward() -> None:
    found = asked(line(100, 100, 100).snapshot(), more(1))
    assert starts(found) == {2: (50, 0), 3: (150, 50), 4: (250, 100)}
    assert [shift.change_ms for shift in found.shifts] == [-50, -100, -150]
    assert set(effects(found).values()) == {Effect.SOONER}


def test_a_job_more_delays_those_behind_it_and_nobody_else() -> None:
    cluster = line(100, 100)
    new = PendingJob(9, 0, 1, priority=8, submitted_ms=NOW_MS, limit_ms=30)
    found = asked(cluster.snapshot(), JobAdded(new, CPU))
    assert starts(found) == {2: (50, 80), 3: (150, 180), 9: (None, 50)}
    assert effects(found) == {2: Effect.LATER, 3: Effect.LATER, 9: Effect.ADDED}
    last = asked(cluster.snapshot(), JobAdded(replace(new, priority=5), CPU))
    assert starts(last) == {2: (50, 50), 3: (150, 150), 9: (None, 250)}


def test_a_job_more_may_ask_for_what_nobody_asked_for_before() -> None:
    cluster = line(100)
    new = PendingJob(9, 0, 1, submitted_ms=NOW_MS)
    snapshot = altered(cluster.snapshot(), [JobAdded(new, GPU)])
    assert snapshot.shapes == {1: CPU, 2: GPU}
    found = asked(cluster.snapshot(), JobAdded(new, GPU))
    assert found.shifts[-1] == Shift(9, None, Outlook(unknown=UnknownStart.NEVER), Effect.ADDED)
    gpus = NodesAdded((Node(7, "g", Amounts(1000), (Device(1, 7, 0, "GPU-g-0", "A100", 1),)),))
    assert starts(asked(cluster.snapshot(), gpus, JobAdded(new, GPU)))[9] == (None, 0)


def test_a_priority_changes_who_goes_first() -> None:
    found = asked(line(100, 40).snapshot(), PriorityChanged(3, 8))
    assert starts(found) == {2: (50, 90), 3: (150, 50)}
    assert effects(found) == {2: Effect.LATER, 3: Effect.SOONER}
    assert asked(line(100, 40).snapshot(), PriorityChanged(1, 8)).shifts == asked(line(100, 40).snapshot()).shifts


def test_a_cancelled_job_leaves_its_place_in_the_line() -> None:
    found = asked(line(100, 100).snapshot(), JobCancelled(2))
    assert starts(found) == {2: (50, None), 3: (150, 50)}
    assert effects(found) == {2: Effect.CANCELLED, 3: Effect.SOONER}


def test_a_cancelled_running_job_leaves_its_room_at_once() -> None:
    found = asked(line(100, 100).snapshot(), JobCancelled(1))
    assert starts(found) == {2: (50, 0), 3: (150, 100)}


def test_a_removed_node_sends_its_jobs_back_into_the_line() -> None:
    """Job 1 was on its way for 1 ms of 51; it went ahead of the others, so it does so again, from its beginning."""
    cluster = line(100, 100)
    cluster.node("b", Amounts(1000))
    snapshot = replace(cluster.snapshot(), nodes=cluster.snapshot().nodes)
    found = asked(snapshot, NodeRemoved(1))
    assert starts(found) == {2: (0, 51), 3: (50, 151), 1: (None, 0)}
    assert effects(found) == {2: Effect.LATER, 3: Effect.LATER, 1: Effect.INTERRUPTED}


def test_what_is_being_stopped_is_not_sent_back() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(1000))
    cluster.run("r", CPU, ["a"], stopping=True)
    assert altered(cluster.snapshot(), [NodeRemoved(1)]) == replace(cluster.snapshot(), nodes=(), running=())


def test_a_gang_is_sent_back_whole() -> None:
    cluster = Cluster()
    for name in ("a", "b"):
        cluster.node(name, Amounts(1000))
    cluster.run("gang", Shape(Amounts(1000), tasks=2), ["a", "b"])
    after = altered(cluster.snapshot(), [NodeRemoved(2)])
    assert after.running == ()
    assert [(job.id, job.limit_ms) for job in after.pending.jobs()] == [(1, 0)]
    assert [node.name for node in after.nodes] == ["a"]


def test_a_drained_node_keeps_what_it_runs_and_takes_nothing() -> None:
    cluster = line(100)
    found = asked(cluster.snapshot(), NodeTurned(1, NodeStatus.DRAINING))
    assert found.shifts == (Shift(2, Outlook(NOW_MS + 50), Outlook(unknown=UnknownStart.UNAVAILABLE), Effect.IMPOSSIBLE),)
    assert found.shifts[0].change_ms is None
    back = asked(altered(cluster.snapshot(), [NodeTurned(1, NodeStatus.DRAINING)]), more(1))
    assert effects(back) == {2: Effect.POSSIBLE}


def test_a_drained_node_that_works_again() -> None:
    cluster = line(100)
    drained = altered(cluster.snapshot(), [NodeTurned(1, NodeStatus.DRAINING)])
    assert altered(drained, [NodeTurned(1, NodeStatus.UP)]) == cluster.snapshot()
    assert effects(asked(drained, NodeTurned(1, NodeStatus.UP))) == {2: Effect.POSSIBLE}


def test_other_numbers_make_another_order() -> None:
    """Where waiting counts for nothing, priority alone decides."""
    cluster = Cluster()
    cluster.node("a", Amounts(1000))
    cluster.run("r", CPU, ["a"], ends_ms=50)
    cluster.wait("old", CPU, limit_ms=10, priority=4, age_ms=3_600_000)
    cluster.wait("new", CPU, limit_ms=10, priority=6)
    found = asked(cluster.snapshot(), SettingsChanged(PlanSettings(wait_bonus=0)))
    assert starts(found) == {2: (50, 60), 3: (60, 50)}


def test_another_policy() -> None:
    """A narrow job with a long limit waits behind a wide one under EASY and goes ahead of it where nothing is reserved."""
    cluster = Cluster()
    cluster.node("a", Amounts(2000))
    cluster.run("r", CPU, ["a"], ends_ms=50)
    cluster.wait("wide", Shape(Amounts(2000)), limit_ms=10)
    cluster.wait("narrow", CPU, limit_ms=100)
    found = what_if(cluster.snapshot(), (), EASY, GREEDY)
    assert starts(found) == {2: (50, 100), 3: (60, 0)}


def test_alterations_combine_in_their_order() -> None:
    snapshot = line(100, 100).snapshot()
    assert altered(snapshot, [more(1), NodeRemoved(101)]) == snapshot
    found = asked(snapshot, more(1), PriorityChanged(3, 8), JobCancelled(2))
    assert starts(found) == {2: (50, None), 3: (150, 0)}


def test_what_depends_on_a_job_without_a_limit_is_unknown_and_the_job_is_named() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(1000))
    cluster.run("endless", CPU, ["a"])
    cluster.wait("j", CPU, limit_ms=10)
    found = asked(cluster.snapshot(), JobCancelled(9))
    assert found.endless == (1,)
    assert found.shifts == (Shift(2, *(Outlook(unknown=UnknownStart.NO_LIMIT),) * 2, Effect.SAME),)
    assert effects(asked(cluster.snapshot(), more(1))) == {2: Effect.FORESEEN}
    assert effects(asked(altered(cluster.snapshot(), [more(1)]), NodeRemoved(101))) == {2: Effect.UNFORESEEN}
    assert asked(cluster.snapshot(), JobCancelled(1)).endless == ()
    assert asked(cluster.snapshot(), JobAdded(PendingJob(9, 0, 1), CPU)).endless == (1, 9)


def test_who_waits_for_a_person_is_neither_sooner_nor_later() -> None:
    cluster = line(100)
    cluster.wait("held", CPU, held=1)
    found = asked(cluster.snapshot(), NodeTurned(1, NodeStatus.DRAINING))
    assert found.shifts[1] == Shift(3, *(Outlook(unknown=UnknownStart.NOT_READY),) * 2, Effect.SAME)


def test_an_array_loses_one_element_or_all() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(1000))
    array = cluster.wait("array", CPU, limit_ms=10, is_array=1, array_next=1, array_left=2, array_room=0)
    cluster.run("element", CPU, ["a"], ends_ms=30, array_id=array.id)
    cluster.wait("after", CPU, limit_ms=10)
    snapshot = cluster.snapshot()
    one = altered(snapshot, [JobCancelled(1, 2)])
    assert one.touched == {1: (2,)}
    assert [(job.id, job.array_left) for job in one.pending.jobs()] == [(1, 1), (3, 1)]
    assert altered(one, [JobCancelled(1, 2)]) == one
    assert altered(one, [JobCancelled(1, 0)]) == one
    assert [job.id for job in altered(one, [JobCancelled(1, 1)]).pending.jobs()] == [3]
    assert altered(snapshot, [JobCancelled(3, 1), JobCancelled(77, 1)]) == altered(snapshot, [JobCancelled(3)])
    everything = altered(snapshot, [JobCancelled(1)])
    assert everything.running == ()
    assert [job.id for job in everything.pending.jobs()] == [3]
    freed = altered(snapshot, [JobCancelled(2)])
    assert [job.array_room for job in freed.pending.jobs() if job.is_array] == [1]


def test_only_the_first_of_a_long_line_are_compared_and_those_that_are_named() -> None:
    snapshot = line(*[10] * 8).snapshot()
    found = what_if(snapshot, [JobCancelled(2)], DEFAULT, count=3)
    assert [shift.job_id for shift in found.shifts] == [2, 3, 4]
    assert found.waiting == 8
    named = what_if(snapshot, [PriorityChanged(9, 8)], DEFAULT, count=2)
    assert starts(named) == {2: (50, 60), 3: (60, 70), 9: (120, 50)}


def test_the_line_begins_with_those_that_may_start() -> None:
    cluster = line(10)
    cluster.wait("held", CPU, held=1)
    cluster.wait("later", CPU, eligible_ms=NOW_MS + 9)
    cluster.wait("soon", CPU, eligible_ms=NOW_MS + 5)
    cluster.wait("urgent", CPU, priority=8)
    board = Board.of(cluster.snapshot())
    assert in_line(board, NOW_MS, DEFAULT, 9) == [6, 2, 5, 4, 3]
    assert in_line(board, NOW_MS, DEFAULT, 4) == [6, 2, 5, 4]
    assert in_line(board, NOW_MS, DEFAULT, 1) == [6]


def test_what_lies_beyond_the_budget_is_said_to() -> None:
    found = what_if(line(*[10] * 5).snapshot(), [more(1)], DEFAULT, units=60)
    assert found.shifts[-1].effect is Effect.BEYOND
    assert found.shifts[0].effect is Effect.SOONER


def test_who_waits_for_a_person_costs_no_look_ahead() -> None:
    cluster = line(*[10] * 50)
    held = cluster.wait("held", CPU, held=1)
    found = what_if(cluster.snapshot(), [JobCancelled(2)], DEFAULT, count=1, units=70)
    named = what_if(cluster.snapshot(), [PriorityChanged(held.id, 8)], DEFAULT, count=1, units=70)
    assert [shift.effect for shift in (*found.shifts, *named.shifts)] == [Effect.CANCELLED, Effect.SAME, Effect.SAME]


def test_a_picture_is_the_content_of_its_board() -> None:
    cluster = line(100, 100)
    cluster.touched[2] = (1,)
    board = Board.of(cluster.snapshot())
    again = Board.of(Picture.of(board, NOW_MS).snapshot())
    assert again.content() == board.content()
    assert (again.settings, again.shapes, again.claims) == (board.settings, board.shapes, board.claims)
