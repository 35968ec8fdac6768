"""A workload: machines, and jobs that arrive over time with what is known about them now and what will turn out later.

Loaders and generators make workloads, replays run them; neither knows the other. Invariant: jobs are sorted by (submitted, number) and
their shapes are interned: equal shapes are the same object.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    known: dict[Shape, Shape] = {}
    ordered = sorted(jobs, key=lambda job: (job.submitted_ms, job.number))
    if len({job.number for job in ordered}) != len(ordered):
        raise BadWorkload(f"{name}: two jobs have the same number")
    shared = tuple(replace(job, shape=known.setdefault(job.shape, job.shape)) for job in ordered)
    return Workload(name, tuple(nodes), shared, dict(skipped or {}))
