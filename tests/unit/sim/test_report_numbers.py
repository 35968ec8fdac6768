"""The arithmetic behind the page, each against the slow way of saying the same."""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence

import numpy as np
import pytest

from tenure.model.amounts import MILLI, Amounts
from tenure.model.shape import Shape
from tenure.sim.compare import compare
from tenure.sim.generate import generate
from tenure.sim.machines import parse_nodes
from tenure.sim.replay import Rules
from tenure.sim.report import gantt, steps
from tenure.sim.report.columns import Jobs, Runs, horizon_of, jobs_of, runs_of
from tenure.sim.report.lanes import Lanes, Pieces
from tenure.sim.report.packing import Whole, folded, packed, steps_of
from tenure.sim.results import Replayed
from tenure.sim.workload import TraceJob, Workload, workload_of
from tests.sim.drawn import batch, mixed


def unpacked(text: str) -> list[int]:
    """What the page's script makes of packed numbers."""
    found, value, shift = [], 0, 0
    for byte in base64.b64decode(text):
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(value)
            value = shift = 0
    return found


def whole(values: Sequence[int]) -> Whole:
    return np.array(values, dtype=np.int64)


def unfolded(values: list[int]) -> list[int]:
    return [-(value + 1) // 2 if value % 2 else value // 2 for value in values]


def test_packed_numbers_come_back() -> None:
    values = [0, 1, 127, 128, 300, 16_383, 16_384, 2**40, 2**62]
    assert unpacked(packed(whole(values))) == values
    signed = [0, -1, 1, -64, 64, -(2**40)]
    assert unfolded(unpacked(packed(folded(whole(signed))))) == signed
    assert packed(whole([])) == ""
    assert np.cumsum(steps_of(whole([5, 7, 7, 2]))).tolist() == [5, 7, 7, 2]
    with pytest.raises(ValueError, match="fold them"):
        packed(whole([3, -1]))


@pytest.mark.parametrize("seed", range(5))
def test_means_and_peaks_are_exact(seed: int) -> None:
    chance, span, stretches = random.Random(seed), 120, 12
    pairs = [sorted((chance.randrange(span + 1), chance.randrange(span + 1))) for _ in range(30)]
    starts, ends = whole([first for first, _ in pairs]), whole([last for _, last in pairs])
    level = [sum(first <= at < last for first, last in pairs) for at in range(span)]
    cells = [level[at : at + span // stretches] for at in range(0, span, span // stretches)]
    assert steps.means(starts, ends, whole([1] * 30), stretches, span) == pytest.approx([sum(cell) / len(cell) for cell in cells])
    mean, peak = steps.summed(np.concatenate([starts, ends]), whole([1] * 30 + [-1] * 30), stretches, span)
    assert mean == pytest.approx([sum(cell) / len(cell) for cell in cells])
    assert peak.tolist() == [max(cell) for cell in cells]


def test_nothing_changes_nothing() -> None:
    mean, peak = steps.summed(whole([]), whole([]), 4, 10)
    assert mean.tolist() == peak.tolist() == [0, 0, 0, 0]


def laid(workload: Workload, policy: str = "easy") -> tuple[Replayed, Jobs, Runs, Lanes, Pieces, int]:
    """A replay with everything that its bars are made of."""
    result = compare(workload, [policy], "requested", Rules())[0]
    jobs = jobs_of(workload)
    span_ms = horizon_of([result], jobs)
    runs, lanes = runs_of(result, jobs, span_ms), Lanes(workload)
    return result, jobs, runs, lanes, lanes.pieces_of(result, runs), span_ms


WORKLOADS = {
    "pool": batch(4, 200),
    "gpus": mixed(5, 120),
    "cores of several nodes": generate("poisson:jobs=150,gpus=0:1,rate=400", parse_nodes("3x8c,64G")),
}


@pytest.mark.parametrize("name", WORKLOADS)
def test_no_slot_is_given_twice(name: str) -> None:
    _, _, runs, lanes, pieces, _ = laid(WORKLOADS[name])
    until = np.zeros(lanes.total, dtype=np.int64)
    for run, first, count in zip(pieces.run.tolist(), pieces.first.tolist(), pieces.count.tolist(), strict=True):
        held = slice(first, first + count)
        assert first + count <= lanes.total
        assert (until[held] <= runs.start[run]).all()
        until[held] = np.maximum(until[held], runs.end[run])


@pytest.mark.parametrize("name", WORKLOADS)
def test_bars_are_as_wide_and_high_as_the_jobs(name: str) -> None:
    result, jobs, runs, lanes, pieces, _ = laid(WORKLOADS[name])
    assert [result.started_ms[job] - jobs.origin_ms for job in runs.job.tolist()] == runs.start.tolist()
    assert [result.ended_ms[job] - jobs.origin_ms for job in runs.job.tolist()] == runs.end.tolist()
    held = np.bincount(pieces.run, pieces.count, runs.job.size)
    asked = (jobs.gpu if lanes.by_device else jobs.cpu)[runs.job] / lanes.unit_milli
    assert np.abs(held - asked).max() <= 0.5


def test_a_bar_lies_on_the_device_that_was_chosen() -> None:
    result, _, runs, lanes, pieces, _ = laid(WORKLOADS["gpus"])
    device_of = {
        slot: device.id
        for node in result.workload.nodes
        for device in node.devices
        for slot in range(lanes.base[device.id], lanes.base[device.id] + lanes.size[device.id])
    }
    chosen = [
        {share.device_id for place in result.actions[action].placements for share in place.devices} for action in runs.action.tolist()
    ]
    drawn: list[set[int]] = [set() for _ in chosen]
    for run, first, count in zip(pieces.run.tolist(), pieces.first.tolist(), pieces.count.tolist(), strict=True):
        drawn[run] |= {device_of[slot] for slot in range(first, first + count)}
    assert drawn == chosen
    assert [name for name, _, _ in lanes.nodes] == ["n1", "n2", "n3"]


def test_the_page_gets_the_bars_back() -> None:
    result, jobs, runs, lanes, pieces, _ = laid(WORKLOADS["pool"])
    kept = gantt.kept_of(jobs, 70)
    assert kept.size == 70
    work = jobs.run * jobs.cpu
    assert work[kept].min() >= np.delete(work, kept).max()
    table = gantt.table_of(result.workload, jobs, lanes, kept, 1000)
    mine = gantt.runs_packed(jobs, runs, pieces, kept, 1000)
    job = np.cumsum(unfolded(unpacked(mine["job"])))
    start = np.cumsum(unpacked(mine["start"]))
    assert [table["prefix"] + name for name in table["names"]] == [result.workload.jobs[position].name for position in kept]
    assert np.cumsum(unpacked(table["submitted"])).tolist() == (jobs.submitted[kept] // 1000).tolist()
    assert {kept[at]: int(when) * 1000 for at, when in zip(job, start, strict=True)} == {
        position: result.started_ms[position] - jobs.origin_ms for position in kept
    }
    last = start + np.array(unpacked(table["run"]))[job] + np.array(unfolded(unpacked(mine["longer"])))
    assert last.tolist() == [(result.ended_ms[position] - jobs.origin_ms) // 1000 for position in kept[job]]
    assert sum(unpacked(mine["pieces"])) == len(unpacked(mine["first"])) == len(unpacked(mine["count"]))


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_coarse_picture_is_as_full_as_the_bars(name: str) -> None:
    _, _, runs, lanes, pieces, span_ms = laid(WORKLOADS[name])
    text, rows = gantt.picture_of(lanes, runs, pieces, span_ms), gantt.rows_of(lanes)
    assert len(text) == rows * gantt.STRETCHES
    levels = np.array([int(character, 36) / 35 for character in text]).reshape(rows, gantt.STRETCHES)
    edges = np.arange(rows + 1) * lanes.total // rows
    area = (levels.mean(axis=1) * np.diff(edges)).sum() * span_ms
    true = (pieces.count * (runs.end - runs.start)[pieces.run]).sum()
    assert true <= area * 1.0001
    assert area - true < lanes.total * span_ms / 35


def test_numbers_as_names_take_little_room() -> None:
    shape = Shape(Amounts(MILLI))
    workload = workload_of("x", parse_nodes("1x4c"), [TraceJob(n, str(1000 + n), shape, n, 1) for n in range(50)])
    jobs = jobs_of(workload)
    table = gantt.table_of(workload, jobs, Lanes(workload), np.arange(50), 1)
    assert np.cumsum(unfolded(unpacked(table["names"]))).tolist() == list(range(1000, 1050))


def test_more_machines_than_slots_are_drawn_coarsely() -> None:
    workload = workload_of("wide", parse_nodes("3000x64c"), [TraceJob(1, "a", Shape(Amounts(MILLI)), 0, 5000)])
    _, _, _, lanes, pieces, _ = laid(workload)
    assert lanes.total <= 8192
    assert pieces.count.tolist() == [1]


def test_a_job_that_is_sent_back_has_two_runs() -> None:
    result = compare(batch(1, 5), ["easy"], "exact", Rules())[0]
    first = next(action for action in result.actions if action.kind == "start")
    result.actions = [
        first._replace(t_ms=0),
        first._replace(t_ms=4000, kind="preempt"),
        first._replace(t_ms=9000),
        first._replace(t_ms=9500, kind="end"),
    ]
    jobs = jobs_of(result.workload)
    runs = runs_of(result, jobs, 20_000)
    assert runs.start.tolist() == [0, 9000]
    assert runs.end.tolist() == [4000, 9500]
