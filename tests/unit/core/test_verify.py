"""What a commit refuses, each cause by itself; that it accepts plans is a property (tests/property)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tenure.core.verify import verify
from tenure.model.allocation import DeviceShare, Placement
from tenure.model.amounts import Amounts
from tenure.model.lifecycle import DeviceStatus, JobState, NodeStatus
from tenure.model.plan import ClaimRequest, Decision, LockedDevice, LockedJob, LockedNode, LockedProject, LockedRows, Start
from tenure.model.project import Bundle, Project
from tenure.model.shape import Shape

SHAPES = {
    1: Shape(Amounts(1000)),
    2: Shape(Amounts(1000), gpu_milli=1000),
    3: Shape(gpu_milli=600),
    4: Shape(Amounts(1000), tasks=2, nodes=2),
    5: Shape(Amounts(1000), labels=("ssd",)),
    6: Shape(gpu_milli=1000, gpu_model="h100"),
}
WHOLE = (DeviceShare(1, 1000, 80),)
PART = (DeviceShare(1, 600, 48),)


def rows() -> LockedRows:
    """Two nodes, the first with two devices; one job per shape (by its number), and an array, 9."""
    return LockedRows(
        nodes={i: LockedNode(i, NodeStatus.UP, Amounts(2000, 100), Amounts(0, 0)) for i in (1, 2)},
        devices={i: LockedDevice(i, 1, DeviceStatus.OK, "NVIDIA A100", 1000, 80, 0, 0) for i in (1, 2)},
        jobs={i: LockedJob(i, JobState.PENDING, i, ready=True) for i in SHAPES}
        | {9: LockedJob(9, JobState.PENDING, 1, ready=True, is_array=True, array_left=2, array_room=5)},
    )


def start(job_id: int, *devices: DeviceShare, node: int = 1, position: int = -1) -> Start:
    return Start(job_id, (Placement(0, node, devices),), position)


@pytest.mark.parametrize(
    "decision",
    [
        Decision(starts=(start(1),)),
        Decision(starts=(start(1), start(2, *WHOLE))),
        Decision(starts=(start(3, *PART),)),
        Decision(starts=(Start(4, (Placement(0, 1), Placement(1, 2))),)),
        Decision(starts=(start(9, position=0), start(9, position=3))),
        Decision(claims=(ClaimRequest(1, (Placement(0, 1),), 100),)),
        Decision(),
    ],
)
def test_what_is_right_is_accepted(decision: Decision) -> None:
    assert verify(decision, rows(), SHAPES) is None


@pytest.mark.parametrize(
    ("decision", "code", "subject"),
    [
        (Decision(starts=(start(77),)), "job_changed", 77),
        (Decision(claims=(ClaimRequest(77, (), 1),)), "job_changed", 77),
        (Decision(starts=(start(1), start(1))), "malformed", 1),
        (Decision(starts=(start(1, position=0),)), "malformed", 1),
        (Decision(starts=(start(9),)), "malformed", 9),
        (Decision(starts=(start(9, position=1), start(9, position=1))), "malformed", 9),
        (Decision(starts=tuple(start(9, position=i) for i in range(3))), "job_changed", 9),
        (Decision(starts=(Start(1, ()),)), "malformed", 1),
        (Decision(starts=(Start(1, (Placement(1, 1),)),)), "malformed", 1),
        (Decision(starts=(Start(4, (Placement(0, 1),)),)), "malformed", 4),
        (Decision(starts=(Start(4, (Placement(0, 1), Placement(1, 1))),)), "malformed", 4),
        (Decision(starts=(start(1, node=3),)), "node_gone", 3),
        (Decision(starts=(start(5),)), "node_gone", 1),
        (Decision(starts=(start(2),)), "malformed", 1),
        (Decision(starts=(start(2, *WHOLE, DeviceShare(2, 1000, 80)),)), "malformed", 1),
        (Decision(starts=(start(2, DeviceShare(9, 1000, 80)),)), "malformed", 9),
        (Decision(starts=(start(2, *WHOLE, node=2),)), "malformed", 1),
        (Decision(starts=(start(2, DeviceShare(1, 500, 80)),)), "malformed", 1),
        (Decision(starts=(start(3, DeviceShare(1, 600, 47)),)), "malformed", 1),
        (Decision(starts=(start(6, *WHOLE),)), "device_taken", 1),
        (Decision(starts=(start(2, *WHOLE), start(3, *PART))), "device_taken", 1),
        (Decision(starts=(start(1), start(2, *WHOLE), start(9, position=0))), "no_room", 1),
    ],
)
def test_what_is_wrong_is_rejected(decision: Decision, code: str, subject: int) -> None:
    rejection = verify(decision, rows(), SHAPES)
    assert rejection is not None
    assert (rejection.code, rejection.subject) == (code, subject)
    assert rejection.detail


def change_node(locked: LockedRows, **fields: object) -> None:
    locked.nodes[1] = replace(locked.nodes[1], **fields)  # type: ignore[arg-type]


def change_device(locked: LockedRows, **fields: object) -> None:
    locked.devices[1] = replace(locked.devices[1], **fields)  # type: ignore[arg-type]


def change_job(locked: LockedRows, **fields: object) -> None:
    locked.jobs[2] = replace(locked.jobs[2], **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda locked: change_node(locked, status=NodeStatus.DRAINING), "node_gone"),
        (lambda locked: change_node(locked, used=Amounts(1001)), "no_room"),
        (lambda locked: change_device(locked, status=DeviceStatus.FOREIGN), "device_taken"),
        (lambda locked: change_device(locked, used_milli=1), "device_taken"),
        (lambda locked: change_device(locked, used_memory_bytes=1), "device_taken"),
        (lambda locked: change_job(locked, state=JobState.CANCELLED), "job_changed"),
        (lambda locked: change_job(locked, ready=False), "job_changed"),
        (lambda locked: change_job(locked, shape=99), "job_changed"),
        (lambda locked: locked.jobs.pop(2), "job_changed"),
        (lambda locked: locked.nodes.pop(1), "node_gone"),
    ],
)
def test_what_has_changed_since_the_plan_is_noticed(change: Callable[[LockedRows], None], code: str) -> None:
    locked = rows()
    change(locked)
    rejection = verify(Decision(starts=(start(2, *WHOLE),)), locked, SHAPES)
    assert rejection is not None
    assert rejection.code == code


@pytest.mark.parametrize(("held", "is_taken"), [(0, 2), (500, 1), (1000, 1), (1001, 0)])
def test_no_project_gets_more_than_it_may_hold(held: int, is_taken: int) -> None:
    row = LockedProject(Project(7, maximum=Bundle(2000, -1, -1)), Bundle(held, 50))
    locked = rows()
    locked = replace(locked, jobs={number: replace(job, project=7) for number, job in locked.jobs.items()}, projects={7: row})
    found = [verify(Decision(starts=tuple(start(9, position=at) for at in range(count))), locked, SHAPES) for count in (1, 2)]
    assert sum(one is None for one in found) == is_taken
    refused = next(filter(None, found), None)
    assert (refused is None) == (is_taken == 2)
    if refused is not None:
        assert (refused.code, refused.subject) == ("maximum", 9)
    promised = verify(Decision(claims=(ClaimRequest(1, (Placement(0, 1),), 100),)), locked, SHAPES)
    assert (promised is None) == (is_taken > 0)


def test_who_may_not_borrow_gets_no_more_than_the_quota() -> None:
    mean = Project(0, quota=Bundle(1000, -1, 0), maximum=Bundle(3000, 60, -1), borrow=False)
    assert mean.most == Bundle(1000, 60, 0)
    locked = replace(rows(), projects={0: LockedProject(mean, Bundle())})
    assert verify(Decision(starts=(start(1),)), locked, SHAPES) is None
    assert verify(Decision(starts=(start(1), start(9, position=0))), locked, SHAPES) is not None
    assert verify(Decision(starts=(start(2, *WHOLE),)), locked, SHAPES) is not None
