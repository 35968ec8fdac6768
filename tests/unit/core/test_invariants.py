"""The checks see what is wrong: each wrong thing by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenure.core.invariants import plan_violations, violations
from tenure.model.allocation import Allocation, Claim, DeviceShare, Placement
from tenure.model.amounts import GIB, Amounts
from tenure.model.job import JobTable, PendingJob
from tenure.model.plan import Decision, Plan, Start
from tenure.model.project import Bundle, Project
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.testing.builders import Cluster

MEMORY = 80 * GIB


def snapshot() -> Snapshot:
    """Two nodes; job 1 holds half of device 1, job 2 all of device 2, on node a; job 3 and the array 4 wait."""
    cluster = Cluster()
    cluster.node("a", Amounts(4000), 2)
    cluster.node("b", Amounts(4000), 1)
    cluster.run("half", Shape(Amounts(1000), gpu_milli=500), ["a"], devices=[0])
    cluster.run("whole", Shape(Amounts(1000), gpu_milli=1000), ["a"], devices=[1])
    cluster.wait("waits", Shape(tasks=2))
    cluster.wait("array", Shape(), is_array=1, array_left=3)
    return cluster.snapshot()


def holding(**fields: object) -> Snapshot:
    """The snapshot with the first job's allocation changed."""
    found = snapshot()
    job = found.running[0]
    changed = replace(job.allocations[0], **fields)  # type: ignore[arg-type]
    return replace(found, running=(replace(job, allocations=(changed,)), found.running[1]))


def test_what_is_right_is_right() -> None:
    assert violations(snapshot()) == ()


@pytest.mark.parametrize(
    ("broken", "invariants"),
    [
        (holding(node_id=9), {"node_exists"}),
        (holding(node_id=2), {"device_on_node"}),
        (holding(devices=(DeviceShare(77, 500, 1),)), {"device_on_node"}),
        (holding(amounts=Amounts(3001)), {"no_overcommit", "holds_its_shape"}),
        (holding(devices=(DeviceShare(2, 500, 1),)), {"no_device_overcommit", "whole_device_alone"}),
        (holding(devices=(DeviceShare(1, 500, MEMORY + 1),)), {"no_device_overcommit"}),
        (holding(amounts=Amounts(500)), set()),
        (holding(amounts=Amounts(0)), {"holds_its_shape"}),
        (holding(amounts=Amounts(1000, 0, 0, 1)), {"no_overcommit", "holds_its_shape"}),
        (holding(devices=()), {"holds_its_shape"}),
        (holding(devices=(DeviceShare(1, 501, 1),)), {"holds_its_shape"}),
        (replace(snapshot(), shapes={}), {"shape_known"}),
        (replace(snapshot(), claims=(Claim(1, 3, (Placement(0, 1),), Amounts(2001), 9),)), {"no_overcommit"}),
        (replace(snapshot(), pending=JobTable.of([PendingJob(1, 1, 1)])), {"waits_or_runs"}),
    ],
)
def test_what_is_wrong_is_seen(broken: Snapshot, invariants: set[str]) -> None:
    assert {violation.invariant for violation in violations(broken)} == invariants


def test_a_task_is_held_once() -> None:
    found = snapshot()
    job = found.running[1]
    twice = replace(job, allocations=(*job.allocations, Allocation(9, 2, 2, 0, 2, Amounts(1000), (DeviceShare(3, 1000, MEMORY),))))
    assert {item.invariant for item in violations(replace(found, running=(twice,)))} == {"task_once"}


@pytest.mark.parametrize(
    ("starts", "invariants"),
    [
        ((Start(3, (Placement(0, 1), Placement(1, 1))),), set()),
        ((Start(4, (Placement(0, 1),), 0), Start(4, (Placement(0, 1),), 1)), set()),
        ((Start(99, ()),), {"starts_what_waits"}),
        ((Start(3, (Placement(0, 1),)),), {"gang_complete"}),
        ((Start(4, (Placement(0, 1),)),), {"starts_once"}),
        ((Start(4, (Placement(0, 1),), 0), Start(4, (Placement(0, 1),), 0)), {"starts_once"}),
    ],
)
def test_what_is_wrong_with_a_plan_is_seen(starts: tuple[Start, ...], invariants: set[str]) -> None:
    plan = Plan(1, tuple(Decision(starts=(start,)) for start in starts))
    assert {violation.invariant for violation in plan_violations(snapshot(), plan)} == invariants


def test_a_plan_that_gives_a_project_more_than_it_may_hold_is_seen() -> None:
    found = snapshot()
    shapes = {number: replace(shape, amounts=Amounts(1000)) for number, shape in found.shapes.items()}
    capped = replace(
        found, shapes=shapes, projects=(Project(0, "capped", maximum=Bundle(0, -1, -1)), Project(1, maximum=Bundle(0, 0, 0)))
    )
    plan = Plan(1, (Decision(starts=(Start(3, (Placement(0, 1), Placement(1, 1))),)),))
    assert [violation.invariant for violation in plan_violations(capped, plan)] == ["no_project_exceeds_its_maximum"]
    assert plan_violations(capped, Plan(1)) == ()
