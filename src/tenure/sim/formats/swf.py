"""The Standard Workload Format of the Parallel Workloads Archive: 18 numbers a line, comments after ``;``, -1 for what is unknown.

S. Chapin et al., "Benchmarks and standards for the evaluation of parallel job schedulers", JSSPP 1999; version 2.2 is described on the
archive's pages. The archive's protocols know one pool of processors, so the log's machine is *one* node with that many cores: no
placement stands between a policy and the published figures. Invariant: every record is a job or counted in ``skipped``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tenure.model.amounts import MILLI, Amounts
from tenure.model.node import Node
from tenure.model.shape import Shape
from tenure.sim.formats.gangs import even_tasks
from tenure.sim.formats.text import lines, milliseconds, whole
from tenure.sim.machines import Machine, nodes_of
from tenure.sim.workload import BadWorkload, TraceJob, Workload, workload_of

FIELDS = 18
MAX_PROCESSORS = 10**8
_SIZE = re.compile(r";\s*(MaxProcs|MaxNodes)\s*:\s*(\d{1,9})\s*$")
_PARTS = (2, 3, 4)
"""Status of a record that is a piece of a job (between checkpoints); the whole job has a record of its own."""


class _Record(NamedTuple):
    """A job that ran, in the order of its submission."""

    submitted_ms: int
    line: int
    name: str
    processors: int
    run_ms: int
    requested_ms: int
    user: str
    queue: str


def read_swf(path: str, nodes: tuple[Node, ...] = ()) -> Workload:
    """The jobs of a log on its own pool or on the given nodes (a wide job is then a gang).

    The pool is what the header calls MaxProcs, else MaxNodes. A job's size is what it requested, else what it was allocated. Records
    without a submission, a run time or processors are skipped, and those that ask for more than the machine. Times are relative to
    the first submission. Raises BadWorkload with file, line and reason.
    """
    header: dict[str, int] = {}
    skipped: dict[str, int] = {}
    records = []
    for record in _records(path, header):
        if isinstance(record, str):
            skipped[record] = skipped.get(record, 0) + 1
        else:
            records.append(record)
    machine = nodes or _pool(path, header.get("MaxProcs") or header.get("MaxNodes") or 0)
    return _workload(path, records, machine, skipped)


def _records(path: str, header: dict[str, int]) -> Iterator[_Record | str]:
    """Each record or why it is none; what the comments say of the machine goes into ``header``."""
    for number, line in lines(path):
        if line.startswith(";"):
            _note(line, header)
        elif line.strip():
            try:
                yield _record(line, number)
            except ValueError as error:
                raise BadWorkload(f"{path}, line {number}: {error}") from None


def _note(line: str, header: dict[str, int]) -> None:
    match = _SIZE.match(line)
    if match is not None:
        header[match[1]] = int(match[2])


def _pool(path: str, processors: int) -> tuple[Node, ...]:
    if not 0 < processors <= MAX_PROCESSORS:
        raise BadWorkload(f"{path}: the header names neither MaxProcs nor MaxNodes; give the machine as nodes, such as 1x128c")
    return nodes_of([Machine("pool", Amounts(cpu_milli=processors * MILLI))])


def _record(line: str, number: int) -> _Record | str:
    """One line as a record, or the reason why it is none. Raises ValueError for a line that the format does not allow."""
    fields = line.split()
    if len(fields) != FIELDS:
        raise ValueError(f"{len(fields)} fields where the format has {FIELDS}")
    name, submitted, _, run, allocated, _, _, wanted, asked, _, status, user, _, _, queue, *_ = fields
    submitted_ms = milliseconds(submitted, "the submit time", -1)
    run_ms = milliseconds(run, "the run time", -1)
    requested_ms = milliseconds(asked, "the requested time", -1)
    size = whole(wanted, "requested processors", -1, MAX_PROCESSORS)
    if size <= 0:
        size = whole(allocated, "allocated processors", -1, MAX_PROCESSORS)
    reason = _fault(submitted_ms, run_ms, size, whole(status, "the status", -1))
    return reason or _Record(submitted_ms, number, name, size, run_ms, max(0, requested_ms), _known(user), _known(queue))


def _fault(submitted_ms: int, run_ms: int, processors: int, status: int) -> str:
    """Why a record is no job, or nothing."""
    if status in _PARTS:
        return "part of a job that is listed whole"
    if submitted_ms < 0:
        return "no submit time"
    if run_ms < 0:
        return "no run time"
    return "" if processors > 0 else "no processors"


def _known(field: str) -> str:
    return "" if field == "-1" else field


def _workload(path: str, records: list[_Record], nodes: tuple[Node, ...], skipped: dict[str, int]) -> Workload:
    cores = [node.capacity.cpu_milli // MILLI for node in nodes]
    total, largest = sum(cores), max(cores)
    fitting = sorted(record for record in records if record.processors <= total)
    if len(fitting) < len(records):
        skipped["more processors than the machine"] = len(records) - len(fitting)
    first_ms = fitting[0].submitted_ms if fitting else 0
    shapes = {size: _shape(size, largest) for size in sorted({record.processors for record in fitting})}
    jobs = [
        TraceJob(
            number,
            record.name,
            shapes[record.processors],
            record.submitted_ms - first_ms,
            record.run_ms,
            record.requested_ms,
            user=record.user,
            project=record.queue,
        )
        for number, record in enumerate(fitting, 1)
    ]
    return workload_of(path, nodes, jobs, skipped)


def _shape(processors: int, largest: int) -> Shape:
    tasks, size = even_tasks(processors, max(1, largest))
    return Shape(Amounts(cpu_milli=size * MILLI), tasks=tasks)
