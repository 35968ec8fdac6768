"""A workload: machines, and jobs that arrive over time with what is known about them now and what will turn out later.

Loaders and generators make workloads, replays run them; neither knows the other. Invariant: jobs are sorted by (submitted, number) and
their shapes are interned: equal shapes are the same object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from tenure.model.node import Node
from tenure.model.shape import Shape


@dataclass(frozen=True, slots=True)
class TraceJob:
    """One job of a workload. Times are milliseconds since the workload's beginning.

    ``number`` is unique and orders ties; ``name`` is the log's own id (``#k`` appended to repeated draws). ``run_ms`` is how long it
    really runs, which no policy may see before it has ended; ``requested_ms`` is the time its user asked for (0: nothing). ``lives``
    says that it never ends by itself (a service, or a job of a placement study). ``deadline_ms`` 0 is none. ``project`` is the log's
    queue, partition or virtual cluster.
    """

    number: int
    name: str
    shape: Shape
    submitted_ms: int
    run_ms: int
    requested_ms: int = 0
    lives: bool = False
    user: str = ""
    project: str = ""
    priority: int = 5
    deadline_ms: int = 0


@dataclass(frozen=True, slots=True)
class Workload:
    """Machines and jobs. ``skipped`` counts the records of a log that a loader left out, by reason."""

    name: str
    nodes: tuple[Node, ...]
    jobs: tuple[TraceJob, ...]
    skipped: dict[str, int] = field(default_factory=dict)

    def limited(self, count: int) -> Workload:
        """The first ``count`` jobs on the same machines."""
        return replace(self, jobs=self.jobs[:count])


class BadWorkload(ValueError):
    """A log, a node file or a generator's settings that cannot be used. The text is one sentence that says where and what to do."""


def workload_of(name: str, nodes: Iterable[Node], jobs: Iterable[TraceJob], skipped: dict[str, int] | None = None) -> Workload:
    """A workload with its jobs in order and equal shapes shared. Raises BadWorkload for numbers that are not unique."""
    ordered = sorted(jobs, key=lambda job: (job.submitted_ms, job.number))
    if len({job.number for job in ordered}) != len(ordered):
        raise BadWorkload(f"{name}: two jobs have the same number")
    return Workload(name, tuple(nodes), tuple(_interned(ordered)), dict(skipped or {}))


def _interned(jobs: list[TraceJob]) -> Iterator[TraceJob]:
    """The jobs with equal shapes shared. Loaders mostly share already: then no shape is hashed twice and no job is copied."""
    known: dict[Shape, Shape] = {}
    met: dict[int, Shape] = {}  # by identity, which holds as long as the list keeps the objects alive
    for job in jobs:
        shape = met.get(id(job.shape))
        if shape is None:
            shape = met[id(job.shape)] = known.setdefault(job.shape, job.shape)
        yield job if job.shape is shape else replace(job, shape=shape)


def span_ms(workload: Workload) -> int:
    """From the first submission to the last; at least 1."""
    return max(1, workload.jobs[-1].submitted_ms - workload.jobs[0].submitted_ms) if workload.jobs else 1


def offered_load(workload: Workload) -> float:
    """What jobs that end ask for over the whole span, as a share of what there is of the resource that is shortest: cpu or GPUs.

    A placement policy cannot do better than 1; a log that was recorded on these machines lies below it.
    """
    cpu = sum(node.capacity.cpu_milli for node in workload.nodes)
    gpu = sum(device.capacity_milli for node in workload.nodes for device in node.devices)
    ending = [job for job in workload.jobs if not job.lives]
    cpu_work = sum(job.run_ms * job.shape.tasks * job.shape.amounts.cpu_milli for job in ending)
    gpu_work = sum(job.run_ms * job.shape.tasks * job.shape.gpu_milli for job in ending)
    return max(cpu_work / max(1, cpu), gpu_work / max(1, gpu)) / span_ms(workload)
