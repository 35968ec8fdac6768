"""Conflicts follow from holds, the reservation and what is held, with work that the number of waiting jobs does not multiply."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from tenure.core.board import Board
from tenure.core.conflicts import conflicts_of
from tenure.model.amounts import Amounts
from tenure.model.conflict import MOST, Conflict, ConflictKind
from tenure.model.reasons import Capacity, WouldDelay
from tenure.model.shape import Shape
from tenure.model.snapshot import Snapshot
from tenure.policies import policy_by_name
from tenure.testing.builders import NOW_MS, Cluster
from tenure.testing.strategies import snapshots
from tests.support.examples import examples

DEFAULT = policy_by_name("default")
CPU = Shape(Amounts(1000))


def found(snapshot: Snapshot) -> tuple[Conflict, ...]:
    board = Board.of(snapshot)
    return conflicts_of(board, DEFAULT.plan_on(board, snapshot.now_ms))


def busy(waiting: int) -> Cluster:
    cluster = Cluster()
    cluster.node("a", Amounts(1000))
    cluster.run("r", CPU, ["a"], ends_ms=50)
    for number in range(waiting):
        cluster.wait(f"j{number}", CPU, limit_ms=60_000)
    return cluster


def test_one_job_that_waits_competes_with_nobody() -> None:
    assert found(busy(0).snapshot()) == ()
    assert found(busy(1).snapshot()) == ()


@pytest.mark.parametrize(("waiting", "severity"), [(2, 3), (3, 3), (4, 4), (100, 8), (1000, 8)])
def test_competition_is_more_severe_the_more_wait(waiting: int, severity: int) -> None:
    assert found(busy(waiting).snapshot()) == (Conflict("resource-cpu", ConflictKind.RESOURCE, severity, (2, 3), room="cpu"),)


def test_kinds_of_gpu_are_kinds_of_room() -> None:
    cluster = Cluster()
    cluster.node("a", gpus=1)
    cluster.run("r", Shape(gpu_milli=1000), ["a"])
    for number in range(2):
        cluster.wait(f"any{number}", Shape(gpu_milli=1000))
        cluster.wait(f"a100-{number}", Shape(gpu_milli=1000, gpu_model="A100"))
    assert [(item.id, item.contenders) for item in found(cluster.snapshot())] == [
        ("resource-gpu", (2, 4)),
        ("resource-gpu:a100", (3, 5)),
    ]


def test_a_job_that_waits_for_its_equals_is_in_no_priority_conflict() -> None:
    cluster = busy(1)
    cluster.wait("urgent", Shape(Amounts(500)), priority=8, limit_ms=60_000)
    (one,) = [item for item in found(cluster.snapshot()) if item.kind is ConflictKind.PRIORITY]
    assert (one.id, one.contenders, one.holders, one.severity) == ("priority-3", (3,), (1,), 4)


def test_a_deadline_that_cannot_be_kept_is_a_conflict_of_schedule() -> None:
    cluster = busy(0)
    cluster.wait("cut", CPU, limit_ms=60_000, deadline_ms=NOW_MS + 60_010)
    cluster.wait("fine", Shape(Amounts(900)), limit_ms=60_000, deadline_ms=NOW_MS + 900_000)
    assert [(item.id, item.severity) for item in found(cluster.snapshot()) if item.kind is ConflictKind.SCHEDULE] == [("schedule-2", 6)]
    cluster = busy(0)
    cluster.wait("lost", CPU, limit_ms=60_000, deadline_ms=NOW_MS + 40)
    assert [(item.id, item.severity) for item in found(cluster.snapshot())] == [("schedule-2", 9)]


class Counted(dict[int, object]):
    """Rows that count how often one is looked at."""

    looks = 0

    def __getitem__(self, key: int) -> object:
        self.looks += 1
        return super().__getitem__(key)

    def get(self, key: int, default: object = None) -> object:  # type: ignore[override]
        self.looks += 1
        return super().get(key, default)

    def __iter__(self) -> Iterator[int]:
        raise AssertionError("nobody walks over all jobs that wait")


def test_the_work_does_not_grow_with_the_number_of_waiting_jobs() -> None:
    looks = []
    for waiting in (50, 5000):
        board = Board.of(busy(waiting).snapshot())
        plan = DEFAULT.plan_on(board, NOW_MS)
        rows = Counted(board.waiting.rows)
        board.waiting.rows = rows  # type: ignore[assignment]
        assert conflicts_of(board, plan)
        looks.append(rows.looks)
    assert looks[0] == looks[1] <= 8


@settings(max_examples=examples(150), deadline=None)
@given(snapshots(DEFAULT))
def test_every_conflict_is_one(snapshot: Snapshot) -> None:
    board = Board.of(snapshot)
    plan = DEFAULT.plan_on(board, snapshot.now_ms)
    conflicts = conflicts_of(board, plan)
    assert conflicts == conflicts_of(board, plan)
    assert len({item.id for item in conflicts}) == len(conflicts)
    running = {job.id: job for job in snapshot.running}
    for item in conflicts:
        assert 1 <= item.severity <= 10
        assert 0 < len(item.contenders) <= MOST
        jobs = [board.waiting.rows[job_id] for job_id in item.contenders]
        if item.kind is ConflictKind.PRIORITY:
            assert all(running[holder].priority < jobs[0].priority for holder in item.holders)
        if item.kind is ConflictKind.SCHEDULE:
            assert jobs[0].deadline_ms
        if item.kind is ConflictKind.RESOURCE:
            assert any(isinstance(hold.reason, Capacity | WouldDelay) for hold in plan.holds)
