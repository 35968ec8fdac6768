"""Which figures a page shows, under which name, and whether more of it is better. Invariant: none depends on the wall clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of `tenure.sim.metrics` by its key. ``unit`` is s, % or empty; ``better`` is less or more.

    Those that are not ``told_first`` are left to the choices of the scatter plot, since nobody reads a table of everything.
    """

    key: str
    short: str
    label: str
    unit: str = ""
    better: str = "less"
    told_first: bool = True

    def told(self) -> list[str | bool]:
        """As the page reads it."""
        return [self.key, self.short, self.label, self.unit, self.better, self.told_first]


METRICS = (
    Metric("avebsld", "AVEbsld", "Mean bounded slowdown"),
    Metric("mean_wait_s", "Mean wait", "Mean wait", "s"),
    Metric("p50_wait_s", "Median wait", "Median wait", "s"),
    Metric("p95_wait_s", "p95 wait", "95th percentile of the wait", "s"),
    Metric("p99_wait_s", "p99 wait", "99th percentile of the wait", "s", told_first=False),
    Metric("max_wait_s", "Max wait", "Longest wait", "s"),
    Metric("mean_turnaround_s", "Turnaround", "Mean time from submission to end", "s"),
    Metric("p95_turnaround_s", "p95 turnaround", "95th percentile of the turnaround", "s", told_first=False),
    Metric("p99_turnaround_s", "p99 turnaround", "99th percentile of the turnaround", "s", told_first=False),
    Metric("makespan_s", "Makespan", "First submission to last end", "s"),
    Metric("cpu_utilisation_pct", "CPU used", "Share of the processors that was allocated", "%", "more"),
    Metric("gpu_allocated_pct", "GPU allocated", "Share of the GPUs that was allocated", "%", "more"),
    Metric("fragmentation_pct", "Stranded", "Share of the GPUs that is free and of no use to a job drawn from the log", "%"),
    Metric("fairness_jain", "Jain", "Jain's index of the users' mean slowdowns: 1 when all fare alike", "", "more"),
    Metric("deadline_hit_pct", "Deadlines hit", "Share of the deadlines that was met", "%", "more"),
    Metric("energy_kwh", "Energy", "Energy that the nodes drew, in kWh, where all say what they draw", told_first=False),
    Metric("cost", "Cost", "What the jobs held of nodes, at the nodes' prices, where all have one", told_first=False),
    Metric("preemptions", "Preemptions", "Jobs that were interrupted"),
    Metric("work_lost_s", "Work lost", "Time that was computed in vain", "s"),
    Metric("failures", "Node failures", "Nodes that failed", told_first=False),
    Metric("failed", "Failed", "Jobs that failed with their node", told_first=False),
    Metric("dropped", "Dropped", "Jobs that found no room and were gone"),
    Metric("waiting", "Left waiting", "Jobs that never started"),
)
