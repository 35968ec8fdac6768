"""The log of decisions, and the checker that replays it without trusting it: each kind of fault is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tenure.model.amounts import GIB, MILLI, Amounts
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.sim.check import faults_of
from tenure.sim.decisions import records_of, write_decisions
from tenure.sim.replay import Replay, Rules
from tenure.sim.results import Replayed
from tenure.sim.workload import TraceJob, workload_of
from tests.sim.drawn import cluster, mixed, placement_study

Record = dict[str, Any]


def gang() -> Replayed:
    """Two tasks of four GPUs on two nodes, then half a device."""
    jobs = [
        TraceJob(1, "gang#1", Shape(Amounts(2 * MILLI, GIB), 4000, tasks=2), 0, 10_000),
        TraceJob(2, "half", Shape(Amounts(MILLI, GIB), 500), 10_000, 5000),
    ]
    return Replay(workload_of("gang", cluster(2), jobs), policy_by_name("easy")).run()


def test_one_line_per_action_and_node() -> None:
    all_four = [{"index": index, "milli": 1000} for index in range(4)]
    own = {"job": "gang#1", "devices": all_four, "cpu_milli": 2000, "memory_bytes": GIB}
    half = {"job": "half", "node": "n1", "devices": [{"index": 0, "milli": 500}], "cpu_milli": 1000, "memory_bytes": GIB}
    assert list(records_of(gang())) == [
        {"t_ms": 0, "action": "start", "node": "n1", **own},
        {"t_ms": 0, "action": "start", "node": "n2", **own},
        {"t_ms": 10_000, "action": "end", "node": "n1", **own},
        {"t_ms": 10_000, "action": "end", "node": "n2", **own},
        {"t_ms": 10_000, "action": "start", **half},
        {"t_ms": 15_000, "action": "end", **half},
    ]


def test_tasks_on_the_same_node_share_a_line() -> None:
    jobs = [TraceJob(1, "two", Shape(Amounts(MILLI, GIB), 1000, tasks=2), 0, 10_000)]
    result = Replay(workload_of("two", cluster(1), jobs), policy_by_name("easy")).run()
    first = next(records_of(result))
    assert first["devices"] == [{"index": 0, "milli": 1000}, {"index": 1, "milli": 1000}]
    assert (first["cpu_milli"], first["memory_bytes"]) == (2000, 2 * GIB)


def test_a_drop_is_nowhere() -> None:
    result = Replay(placement_study(3), policy_by_name("greedy"), rules=Rules(drop=True)).run()
    dropped = next(record for record in records_of(result) if record["action"] == "drop")
    assert (dropped["node"], dropped["devices"], dropped["cpu_milli"], dropped["memory_bytes"]) == (None, [], 0, 0)


def test_the_file_is_the_records(tmp_path: Path) -> None:
    result = gang()
    write_decisions(tmp_path / "d.jsonl", result)
    assert [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()] == list(records_of(result))


def good() -> tuple[list[Record], Replayed]:
    """A log without faults."""
    result = Replay(mixed(4, 40), policy_by_name("easy")).run()
    return list(records_of(result)), result


def moved(records: list[Record]) -> None:
    """The first end goes to the front."""
    records.insert(0, records.pop(next(i for i, record in enumerate(records) if record["action"] == "end")))


def twice(records: list[Record]) -> None:
    """The first start happens again at the end."""
    records.append({**records[0], "t_ms": records[-1]["t_ms"]})


def fuller(records: list[Record]) -> None:
    """A start takes a whole node's cpus, so that what else runs there is too much."""
    last = next(record for record in records if record["action"] == "start")
    last["cpu_milli"] = 33 * MILLI


def heavier(records: list[Record]) -> None:
    """A device gives more than it has."""
    next(record for record in records if record["devices"] and record["action"] == "start")["devices"][0]["milli"] = 1001


def elsewhere(records: list[Record]) -> None:
    """A node that does not exist."""
    records[0]["node"] = "moon"


def absent(records: list[Record]) -> None:
    """A device that does not exist."""
    next(record for record in records if record["devices"] and record["action"] == "start")["devices"][0]["index"] = 9


def early(records: list[Record]) -> None:
    """A start before the submission."""
    for record in records:
        record["t_ms"] = 0


def generous(records: list[Record]) -> None:
    """An end gives back more than the start took."""
    next(record for record in records if record["action"] == "end")["memory_bytes"] += 1


def odd(records: list[Record]) -> None:
    """An action that nobody knows."""
    records[0]["action"] = "dance"


def late_drop(records: list[Record]) -> None:
    """A drop of what had started."""
    records.append({**records[0], "action": "drop", "t_ms": records[-1]["t_ms"]})


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        (moved, "where it did not run|after"),
        (twice, "started twice"),
        (fuller, "too little cpu_milli"),
        (heavier, "too little device 0"),
        (absent, "too little device 9"),
        (elsewhere, "no node is called"),
        (early, "before it was submitted"),
        (generous, "something else"),
        (odd, "no action is called"),
        (late_drop, "dropped after"),
    ],
)
def test_every_fault_is_found(spoil: Callable[[list[Record]], None], finding: str) -> None:
    records, result = good()
    assert faults_of(records, result.workload.nodes, result.workload.jobs) == []
    spoil(records)
    faults = faults_of(records, result.workload.nodes, result.workload.jobs)
    assert any(part in fault for part in finding.split("|") for fault in faults)
