"""A replay's actions as lines of JSON, one per action and node, for people and programs that trust no simulator.

``{"t_ms", "action", "job", "node", "devices": [{"index", "milli"}], "cpu_milli", "memory_bytes"}``: ``job`` is the log's own name,
``devices`` are by their index on the node, amounts are those of all the job's tasks there. A drop happens nowhere: its node is null.
The end of a job that failed with its node has ``"failed": true`` besides.
Invariant: lines are in the order of what happened, ends before starts within a millisecond; `tenure.sim.check` can replay them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tenure.model.node import Node
from tenure.sim.results import END, FAIL, Replayed
from tenure.sim.workload import TraceJob


def records_of(result: Replayed) -> Iterator[dict[str, Any]]:
    """The lines as plain values."""
    nodes = {node.id: node for node in result.workload.nodes}
    indexes = {device.id: device.index for node in result.workload.nodes for device in node.devices}
    for action in result.actions:
        job = result.workload.jobs[action.job]
        if not action.placements:
            yield _record(action.t_ms, action.kind, job, None, {}, 0)
        tasks: dict[int, int] = {}
        devices: dict[int, dict[int, int]] = {}
        for place in action.placements:
            tasks[place.node_id] = tasks.get(place.node_id, 0) + 1
            held = devices.setdefault(place.node_id, {})
            for share in place.devices:
                index = indexes[share.device_id]
                held[index] = held.get(index, 0) + share.milli
        for node_id in sorted(tasks):
            yield _record(action.t_ms, action.kind, job, nodes[node_id], devices[node_id], tasks[node_id])


def _record(t_ms: int, kind: str, job: TraceJob, node: Node | None, devices: dict[int, int], tasks: int) -> dict[str, Any]:
    return {
        "t_ms": t_ms,
        "action": END if kind == FAIL else kind,
        "job": job.name,
        "node": None if node is None else node.name,
        "devices": [{"index": index, "milli": devices[index]} for index in sorted(devices)],
        "cpu_milli": job.shape.amounts.cpu_milli * tasks,
        "memory_bytes": job.shape.amounts.memory_bytes * tasks,
        **({"failed": True} if kind == FAIL else {}),
    }


def write_decisions(path: Path, result: Replayed) -> None:
    """Write the file. Raises OSError."""
    with path.open("w", encoding="utf-8") as file:
        for record in records_of(result):
            file.write(json.dumps(record, separators=(",", ":")) + "\n")
