"""Replays a log of decisions by adding up alone, and says what cannot have happened: more given out than there is, ends without starts.

It knows the machines and the lines, and nothing of how they were decided: no part of the planner is used. Invariant: a log without
findings never had more cpu, memory or thousandths of any device in use than the node has, at any line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tenure.model.node import Node
from tenure.sim.workload import TraceJob

Record = Mapping[str, Any]


def faults_of(records: Iterable[Record], nodes: Iterable[Node], jobs: Iterable[TraceJob] = ()) -> list[str]:
    """What is wrong, one sentence per line of the log that is. With ``jobs``, also starts before the submission."""
    check = _Check(nodes, jobs)
    for number, record in enumerate(records, 1):
        fault = check.take(record)
        if fault:
            check.faults.append(f"line {number}: {record['job']}: {fault}")
    return check.faults


class _Check:
    """What is in use, by node name."""

    def __init__(self, nodes: Iterable[Node], jobs: Iterable[TraceJob]) -> None:
        self.free = {
            node.name: {
                "cpu_milli": node.capacity.cpu_milli,
                "memory_bytes": node.capacity.memory_bytes,
                **{f"device {device.index}": device.capacity_milli for device in node.devices},
            }
            for node in nodes
        }
        self.submitted = {job.name: job.submitted_ms for job in jobs}
        self.held: dict[tuple[str, str], dict[str, int]] = {}
        self.started: dict[str, int] = {}
        self.gone: set[str] = set()
        self.now_ms = 0
        self.faults: list[str] = []

    def take(self, record: Record) -> str:
        """Apply one line; what is wrong with it, or nothing."""
        if record["t_ms"] < self.now_ms:
            return f"at {record['t_ms']} ms, after {self.now_ms} ms"
        self.now_ms = record["t_ms"]
        kind = record["action"]
        if kind == "drop":
            return self._drop(record)
        if record["node"] not in self.free:
            return f"no node is called {record['node']!r}"
        if kind == "start":
            return self._start(record)
        if kind in ("suspend", "resume"):
            return self._turn(record)
        return self._end(record) if kind in ("end", "preempt") else f"no action is called {kind!r}"

    def _drop(self, record: Record) -> str:
        fault = "dropped after it had started" if record["job"] in self.started else ""
        self.gone.add(record["job"])
        return fault

    def _start(self, record: Record) -> str:
        job, key, free = record["job"], (record["job"], record["node"]), self.free[record["node"]]
        if key in self.held or job in self.gone or self.started.setdefault(job, self.now_ms) != self.now_ms:
            return "started twice, or after it had gone"
        held = _amounts(record)
        self.held[key] = held
        short = [name for name in held if free.get(name, -1) < held[name]]
        for name, amount in held.items():
            free[name] = free.get(name, 0) - amount
        if short:
            return f"{record['node']} has too little {', '.join(short)}"
        return "started before it was submitted" if self.now_ms < self.submitted.get(job, 0) else ""

    def _turn(self, record: Record) -> str:
        """Who rests holds no cpus; who goes on holds them again."""
        held, free = self.held.get((record["job"], record["node"])), self.free[record["node"]]
        wanted = record["cpu_milli"] if record["action"] == "resume" else 0
        if held is None or held["cpu_milli"] != record["cpu_milli"] - wanted:
            return f"cannot {record['action']} on {record['node']}, where it does not run or rest"
        free["cpu_milli"] += held["cpu_milli"] - wanted
        held["cpu_milli"] = wanted
        return f"{record['node']} has too little cpu_milli" if free["cpu_milli"] < 0 else ""

    def _end(self, record: Record) -> str:
        held = self.held.pop((record["job"], record["node"]), None)
        if held is None:
            return f"ends on {record['node']}, where it did not run"
        for name, amount in held.items():
            self.free[record["node"]][name] += amount
        if record["action"] == "preempt":
            self.started.pop(record["job"], None)
        else:
            self.gone.add(record["job"])
        return "" if held == {**_amounts(record), "cpu_milli": held["cpu_milli"]} else "gives back something else than it took"


def _amounts(record: Record) -> dict[str, int]:
    devices = {f"device {share['index']}": share["milli"] for share in record["devices"]}
    return {"cpu_milli": record["cpu_milli"], "memory_bytes": record["memory_bytes"], **devices}
