"""Figures of a replay. Waits and turnarounds in seconds, shares in per cent; None where a figure means nothing for a workload.

*AVEbsld* is the mean over jobs of the bounded slowdown max(1, (wait + run) / max(run, 10 s)): D. Feitelson and L. Rudolph, "Metrics
and benchmarking for parallel job scheduling", JSSPP 1998. *Jain* is R. Jain's index of the users' mean bounded slowdowns: 1 when all
fare alike, 1/n when one bears everything. Invariant: everything but the rates per second follows from the actions alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tenure.model.amounts import MILLI
from tenure.sim.consumption import consumed
from tenure.sim.results import DROP, FAIL, NOT_YET, SUSPEND, Replayed
from tenure.sim.runtimes import Predicted
from tenure.sim.workload import TraceJob

BOUND_MS = 10_000
"""Shorter runs count as if they took so long: nobody minds a wait of ten seconds."""

Figures = dict[str, float | int | str | None]


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that ran to its end. What was in vain because it was displaced counts as wait."""

    job: TraceJob
    wait_ms: int
    run_ms: int

    @property
    def turnaround_ms(self) -> int:
        """From submission to end."""
        return self.wait_ms + self.run_ms

    @property
    def slowdown(self) -> float:
        """Bounded slowdown."""
        return max(1.0, self.turnaround_ms / max(self.run_ms, BOUND_MS))


def ended_jobs(result: Replayed) -> list[Ended]:
    """The jobs that ended, in the workload's order."""
    times = zip(result.workload.jobs, result.started_ms, result.ended_ms, strict=True)
    found = []
    for position, (job, started, ended) in enumerate(times):
        if ended != NOT_YET:
            run_ms = ended - started + result.earlier_ms.get(position, 0) - result.lost_ms.get(position, 0)
            found.append(Ended(job, ended - job.submitted_ms - run_ms, run_ms))
    return found


def figures_of(result: Replayed) -> Figures:
    """All figures of a replay by name."""
    ended = ended_jobs(result)
    dropped = sum(action.kind == DROP for action in result.actions)
    failed = sum(action.kind == FAIL for action in result.actions)
    started = sum(at != NOT_YET for at in result.started_ms) + failed
    found: Figures = {
        "policy": result.policy,
        "runtimes": result.runtimes,
        "jobs": len(result.workload.jobs),
        "started": started,
        "ended": len(ended),
        "dropped": dropped,
        "waiting": len(result.workload.jobs) - started - dropped,
    }
    found |= _times(ended)
    found |= _use(result)
    found |= _fairness(ended)
    found |= _deadlines(result)
    found |= {
        "preemptions": result.preemptions,
        "suspensions": sum(action.kind == SUSPEND for action in result.actions),
        "failures": result.failures,
        "failed": failed,
        "work_lost_s": sum(result.lost_ms.values()) / MILLI,
        "runtime_accuracy": _accuracy(result),
    }
    found |= consumed(result)
    found |= _speed(result)
    return found


def _times(ended: Sequence[Ended]) -> Figures:
    """Slowdowns, waits, turnarounds."""
    waits = sorted(item.wait_ms for item in ended)
    turnarounds = sorted(item.turnaround_ms for item in ended)
    return {
        "avebsld": _mean([item.slowdown for item in ended]),
        "mean_wait_s": _seconds(_mean(waits)),
        "p50_wait_s": _seconds(quantile(waits, 50)),
        "p95_wait_s": _seconds(quantile(waits, 95)),
        "p99_wait_s": _seconds(quantile(waits, 99)),
        "max_wait_s": _seconds(waits[-1] if waits else None),
        "mean_turnaround_s": _seconds(_mean(turnarounds)),
        "p95_turnaround_s": _seconds(quantile(turnarounds, 95)),
        "p99_turnaround_s": _seconds(quantile(turnarounds, 99)),
    }


def _use(result: Replayed) -> Figures:
    """How full the machines were: over the time from the first submission to the last end, or at the end where nothing ever ends."""
    jobs, nodes = result.workload.jobs, result.workload.nodes
    lasting = bool(jobs) and all(job.lives for job in jobs)
    first_ms = jobs[0].submitted_ms if jobs else 0
    last_ms = max([first_ms, *result.ended_ms, *(action.t_ms for action in result.actions[-1:])])
    cpu = sum(node.capacity.cpu_milli for node in nodes)
    gpu = sum(device.capacity_milli for node in nodes for device in node.devices)
    cpu_used = gpu_used = 0
    for position, (job, started, ended) in enumerate(zip(jobs, result.started_ms, result.ended_ms, strict=True)):
        earlier_ms = result.earlier_ms.get(position, 0)
        if started != NOT_YET or earlier_ms:
            weight = 0 if started == NOT_YET else 1 if lasting else (last_ms if ended == NOT_YET else ended) - started
            weight += 0 if lasting else earlier_ms
            cpu_used += job.shape.amounts.cpu_milli * job.shape.tasks * weight
            gpu_used += job.shape.gpu_milli * job.shape.tasks * weight
    span = 1 if lasting else last_ms - first_ms
    stranded = _stranded(result, lasting=lasting)
    return {
        "makespan_s": None if lasting else _seconds(last_ms - first_ms),
        "cpu_utilisation_pct": _percent(cpu_used, cpu * span),
        "gpu_allocated_pct": _percent(gpu_used, gpu * span),
        "fragmentation_pct": None if stranded is None else _percent(stranded, gpu),
    }


def _stranded(result: Replayed, *, lasting: bool) -> float | None:
    """Thousandths of GPUs stranded: the mean over the samples, which are taken at even steps, or at the end."""
    found = [sample.stranded_milli for sample in result.samples]
    return _mean(found[-1:] if lasting else found)


def _fairness(ended: Sequence[Ended]) -> Figures:
    """Jain's index over users and over projects."""
    users = _groups((item.job.user, item.slowdown) for item in ended)
    projects = _groups((item.job.project, item.slowdown) for item in ended)
    return {"fairness_jain": jain(users), "fairness_jain_projects": jain(projects)}


def _groups(pairs: Iterable[tuple[str, float]]) -> list[float]:
    """The mean of each group, in the order of first appearance."""
    found: dict[str, list[float]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return [sum(values) / len(values) for values in found.values()]


def jain(values: Sequence[float]) -> float | None:
    """(sum x)² / (n sum x²); None of nothing."""
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values)) if values else None


def _deadlines(result: Replayed) -> Figures:
    """A deadline is hit by a job that has ended by then."""
    due = [(job.deadline_ms, ended) for job, ended in zip(result.workload.jobs, result.ended_ms, strict=True) if job.deadline_ms]
    hits = sum(NOT_YET < ended <= deadline for deadline, ended in due)
    return {"deadlines": len(due), "deadline_hits": hits, "deadline_hit_pct": _percent(hits, len(due))}


def _accuracy(result: Replayed) -> float | None:
    """Mean of min(p, r) / max(p, r) of belief at submission and run time, over the jobs of which something was believed: the limit,
    where run times are predicted the forecast."""
    believed_ms = result.believed_ms
    if result.runtimes == Predicted.name:
        believed_ms = [expected or limit for expected, limit in zip(result.expected_ms, believed_ms, strict=True)]
    runs = zip(believed_ms, result.started_ms, result.ended_ms, strict=True)
    pairs = [(believed, max(end - start, 1)) for believed, start, end in runs if believed and end != NOT_YET]
    return _mean([min(pair) / max(pair) for pair in pairs])


def _speed(result: Replayed) -> Figures:
    """How fast the replay went, by the wall clock."""
    elapsed = result.elapsed_s
    return {
        "events": result.events,
        "plans": result.plans,
        "decisions": result.decisions,
        "elapsed_s": elapsed,
        "decisions_per_s": result.decisions / elapsed if elapsed else None,
    }


def quantile(ordered: Sequence[int], percent: int) -> int | None:
    """The smallest value that so many per cent of the sorted values do not exceed."""
    return ordered[max(-(-len(ordered) * percent // 100), 1) - 1] if ordered else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _seconds(amount_ms: float | None) -> float | None:
    return None if amount_ms is None else amount_ms / MILLI


def _percent(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole else None
