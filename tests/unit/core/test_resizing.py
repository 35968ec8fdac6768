"""What a running attempt may hold instead: judged against a reference that counts, and against who comes after."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.resizing import wider
from tenure.core.verify import verify
from tenure.model.allocation import Allocation, Claim, Placement
from tenure.model.amounts import Amounts
from tenure.model.lifecycle import AllocationState, JobState, NodeStatus
from tenure.model.plan import Decision, LockedHolder, LockedJob, LockedNode, LockedProject, LockedRows, Resize
from tenure.model.project import Bundle, Project
from tenure.model.shape import Shape
from tenure.model.window import TimeWindow, WindowPart

ASKED = Shape(Amounts(4000, 400), tasks=2)
ROOMY = Amounts(8000, 800)
small = st.integers(0, 12)


def held(task: int, node: int, cpus: int, memory: int, state: AllocationState = AllocationState.ACTIVE) -> Allocation:
    return Allocation(task + 1, 7, 3, task, node, Amounts(cpus, memory), (), state)


def locked(*allocations: Allocation, capacity: Amounts = ROOMY) -> LockedRows:
    """Job 3 of attempt 7, which holds this, on nodes with nobody else."""
    nodes = {}
    for number in sorted({one.node_id for one in allocations}):
        own = Amounts()
        for one in allocations:
            own += one.amounts if one.node_id == number else Amounts()
        nodes[number] = LockedNode(number, NodeStatus.UP, capacity, own)
    return LockedRows(nodes, {}, {3: LockedJob(3, JobState.RUNNING, 1, ready=False)}, resizing=allocations)


def code(rows: LockedRows, cpus: int, memory: int, attempt: int = 7, shape: Shape = ASKED) -> str:
    rejection = verify(Decision(resizes=(Resize(3, attempt, cpus, memory),)), rows, {1: shape})
    return rejection.code if rejection is not None else ""


@given(st.lists(st.tuples(st.integers(1, 2), small, small), min_size=1, max_size=4), small, small, small, small)
def test_nothing_is_over_committed_and_nothing_possible_refused(
    tasks: list[tuple[int, int, int]], others: int, cpus: int, memory: int, room: int
) -> None:
    allocations = tuple(held(task, node, cpu, mem) for task, (node, cpu, mem) in enumerate(tasks))
    rows = locked(*allocations, capacity=Amounts(100, 100))
    nodes = {number: replace(node, capacity=node.used + Amounts(others, room)) for number, node in rows.nodes.items()}
    rows = replace(rows, nodes=nodes)
    shape = Shape(Amounts(10, 10), tasks=len(tasks))
    found = code(rows, cpus, memory, shape=shape)
    possible = 0 < cpus <= 10 and 0 < memory <= 10
    for number, node in nodes.items():
        after = node.used
        for one in allocations:
            if one.node_id == number:
                after += wider(one.amounts, Resize(3, 7, cpus, memory)) - one.amounts
        possible = possible and after.fits_in(node.capacity)
    assert (found == "") is possible


def test_lowering_is_possible_on_a_node_that_holds_more_than_it_has() -> None:
    assert code(locked(held(0, 1, 4000, 400), capacity=Amounts(1000, 100)), 2000, 200) == ""


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (locked(), "job_changed"),
        (locked(held(0, 1, 4000, 400), held(1, 1, 4000, 400, AllocationState.LAUNCHING)), "job_changed"),
        (replace(locked(held(0, 1, 4000, 400)), jobs={}), "job_changed"),
        (replace(locked(held(0, 1, 4000, 400)), jobs={3: LockedJob(3, JobState.SUSPENDED, 1, ready=False)}), "job_changed"),
    ],
)
def test_only_what_runs_whole_is_resized(rows: LockedRows, expected: str) -> None:
    assert code(rows, 1000, 100) == expected


def test_another_attempt_is_not_meant() -> None:
    assert code(locked(held(0, 1, 4000, 400)), 1000, 100, attempt=8) == "job_changed"


def test_what_is_promised_to_others_is_not_taken_back() -> None:
    rows = locked(held(0, 1, 1000, 100), capacity=Amounts(4000, 400))
    assert code(rows, 4000, 400) == ""
    claim = Claim(1, 9, (Placement(0, 1),), Amounts(2000, 100), 99)
    assert code(replace(rows, claims=(claim,)), 4000, 400) == "no_room"
    assert code(replace(rows, claims=(claim,)), 2000, 300) == ""


def test_what_others_hold_who_are_leaving_is_not_taken_before_they_have_left() -> None:
    rows = locked(held(0, 1, 1000, 100), capacity=Amounts(4000, 400))
    others = replace(held(0, 1, 3000, 300), id=9, attempt_id=8, job_id=4)
    node = replace(rows.nodes[1], used=rows.nodes[1].used + others.amounts)
    rows = replace(rows, nodes={1: node}, leaving=(others,))
    assert code(rows, 2000, 100) == "no_room"
    assert code(rows, 500, 50) == ""


def test_what_is_set_aside_for_others_is_not_taken_back() -> None:
    rows = locked(held(0, 1, 1000, 100), capacity=Amounts(4000, 400))
    part = WindowPart(1, whole=False, amounts=Amounts(3000, 300))
    window = TimeWindow(5, 10, 20, (part,), project=77)
    assert code(replace(rows, windows=(window,), now_ms=1), 4000, 400) == "reserved"
    assert code(replace(rows, windows=(window,), now_ms=1), 500, 50) == "", "less takes nothing"


def test_what_the_tasks_of_a_node_take_together_keeps_out_of_what_is_set_aside() -> None:
    both = (held(0, 1, 1000, 100), held(1, 1, 1000, 100))
    window = TimeWindow(5, 10, 20, (WindowPart(1, whole=False, amounts=Amounts(3000, 300)),), project=77)
    holders = tuple(LockedHolder(1, 0, one.amounts) for one in both)
    rows = replace(locked(*both), windows=(window,), holders=holders, now_ms=1)
    assert code(rows, 2500, 250) == ""
    assert code(rows, 2501, 100) == "reserved"
    assert code(rows, 1000, 251) == "reserved"
    apart = (held(0, 1, 1000, 100), held(1, 2, 1000, 100))
    rows = replace(locked(*apart), windows=(window,), holders=(holders[0],), now_ms=1)
    assert code(rows, 4000, 400) == "", "the other node is nobody's"


def test_less_than_nothing_is_malformed() -> None:
    for asked in (Amounts(4000), Amounts(0, 400)):
        rows, shape = locked(held(0, 1, asked.cpu_milli, asked.memory_bytes)), Shape(asked)
        assert code(rows, asked.cpu_milli, asked.memory_bytes, shape=shape) == ""
        for cpus, memory in ((-1, asked.memory_bytes), (asked.cpu_milli, -1)):
            assert code(rows, cpus, memory, shape=shape) == "malformed"


def test_a_project_at_its_maximum_takes_nothing_back_and_may_give() -> None:
    project = Project(2, "p", maximum=Bundle(7000, 350, -1))
    rows = locked(held(0, 1, 2000, 200))
    rows = replace(
        rows,
        jobs={3: LockedJob(3, JobState.RUNNING, 1, ready=False, project=2)},
        projects={2: LockedProject(project, Bundle(6000, 300, 0))},
    )
    assert code(rows, 3000, 250) == ""
    assert code(rows, 3001, 200) == "maximum"
    assert code(rows, 2000, 251) == "maximum"
    assert code(rows, 1000, 100) == ""
