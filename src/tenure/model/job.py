"""Jobs as a plan sees them: the waiting ones in columns, the running ones as values.

There may be a hundred thousand waiting jobs and each cycle reads them all, so they travel as a `JobTable`: immutable 64-bit integer
columns in plain bytes, chunked by id range so that successive snapshots share what did not change. ``numpy.frombuffer`` reads a
column without a copy; `JobTable.job` makes one value on demand.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import groupby

from tenure.model.allocation import Allocation

CHUNK_SPAN = 4096
"""Ids per chunk. A change rewrites one chunk (about 0.5 MB of columns at most), the others are shared."""

NO_CAP = 2**31


def limit_until(deadline_ms: int, limit_ms: int, now_ms: int) -> int:
    """The time limit of a run that starts now and must have ended by its deadline: the job's own (0: none), or what is left."""
    left_ms = max(1, deadline_ms - now_ms)
    return min(limit_ms, left_ms) if limit_ms else left_ms


@dataclass(frozen=True, slots=True)
class PendingJob:
    """A job that waits, or the waiting rest of an array.

    Times are milliseconds since the epoch, 0 for none. ``eligible_ms`` is the earliest start (``--begin``, a retry's back-off).
    ``limit_ms`` is the time limit that will be enforced (0: none). ``held`` (by a person) and ``blocked`` (by a dependency) are 0
    or 1. An array has ``array_left`` elements that have not started, the next one at ``array_next`` (a position in its index list),
    and may have ``array_room`` more running now; a plain job has 1, 0 and `NO_CAP`. ``is_array`` is 0 or 1. ``attempts`` counts the
    runs so far. ``user`` and ``project`` are interned numbers: equal numbers, equal names. ``expected_ms`` is the median of its
    forecast run time: orders may go by it, nothing is enforced or promised by it. ``attained_ms`` is for how long it ran in earlier
    attempts. ``pace_ms`` is about the longest that elements of an array have run of late (0: none has ended, or it is no array).
    """

    id: int
    shape: int
    queue: int
    project: int = 0
    user: int = 0
    priority: int = 5
    submitted_ms: int = 0
    eligible_ms: int = 0
    limit_ms: int = 0
    deadline_ms: int = 0
    held: int = 0
    blocked: int = 0
    is_array: int = 0
    array_next: int = 0
    array_left: int = 1
    array_room: int = NO_CAP
    attempts: int = 0
    expected_ms: int = 0
    attained_ms: int = 0
    pace_ms: int = 0


JOB_COLUMNS: tuple[str, ...] = tuple(f.name for f in fields(PendingJob))


@dataclass(frozen=True, slots=True)
class JobChunk:
    """The waiting jobs of one id range, sorted by id: one ``bytes`` of int64 per column of `JOB_COLUMNS`."""

    number: int
    count: int
    columns: tuple[bytes, ...]

    @staticmethod
    def of(number: int, jobs: Iterable[PendingJob]) -> JobChunk:
        """A chunk of these jobs; they must belong to its id range and be sorted by id."""
        rows = [tuple(getattr(job, name) for name in JOB_COLUMNS) for job in jobs]
        columns = zip(*rows, strict=True) if rows else ((),) * len(JOB_COLUMNS)
        return JobChunk(number, len(rows), tuple(array("q", column).tobytes() for column in columns))

    def jobs(self) -> Iterator[PendingJob]:
        """The jobs as values, by id."""
        columns = [memoryview(column).cast("q") for column in self.columns]
        for row in zip(*columns, strict=True):
            yield PendingJob(*row)


@dataclass(frozen=True, slots=True)
class JobTable:
    """All waiting jobs: chunks sorted by number, rows sorted by id within each."""

    chunks: tuple[JobChunk, ...] = ()

    @staticmethod
    def of(jobs: Iterable[PendingJob]) -> JobTable:
        """A table of these jobs, in any order; ids must differ."""
        ordered = sorted(jobs, key=lambda job: job.id)
        return JobTable(tuple(JobChunk.of(n, rows) for n, rows in groupby(ordered, lambda job: job.id // CHUNK_SPAN)))

    def __len__(self) -> int:
        return sum(chunk.count for chunk in self.chunks)

    def jobs(self) -> Iterator[PendingJob]:
        """All jobs as values, by id."""
        for chunk in self.chunks:
            yield from chunk.jobs()

    def job(self, job_id: int) -> PendingJob | None:
        """One job as a value, or None when it does not wait."""
        number = job_id // CHUNK_SPAN
        for chunk in self.chunks:
            if chunk.number == number:
                return next((job for job in chunk.jobs() if job.id == job_id), None)
        return None

    def changed(self, upserts: Mapping[int, PendingJob], removed: Iterable[int]) -> JobTable:
        """This table with rows replaced, added and removed; untouched chunks are shared with this one."""
        gone = set(removed)
        touched = sorted({job_id // CHUNK_SPAN for job_id in (*upserts, *gone)})
        chunks = {chunk.number: chunk for chunk in self.chunks}
        for number in touched:
            old = chunks.pop(number, None)
            rows = {job.id: job for job in old.jobs()} if old else {}
            rows.update({i: job for i, job in upserts.items() if i // CHUNK_SPAN == number})
            kept = [rows[i] for i in sorted(rows) if i not in gone]
            if kept:
                chunks[number] = JobChunk.of(number, kept)
        return JobTable(tuple(chunks[number] for number in sorted(chunks)))


STOPS, RESTS = 1, 2
"""The rest of a running job: it was asked to suspend itself, or is suspended and holds no cpus."""

NO_TURNS = -1


@dataclass(frozen=True, slots=True)
class RunningJob:
    """An attempt that holds resources. ``ends_by_ms`` is its start plus its limit, 0 when it has none: then nothing is known.

    ``allocations`` are those not yet released, sorted by task. ``stopping`` is 1 once its end was asked for.
    ``grace_ms`` is how long it may take to end when it is asked, ``attained_ms`` for how long it ran in earlier attempts.
    ``rest`` is 0 while it runs, `STOPS` once it was asked to rest in favour of others, `RESTS` when it does and has given its cpus
    back; since ``slice_ms`` it has run, or rested, without a break (`NO_TURNS`: it takes none, as when a person has suspended it).
    ``checkpoint_ms`` is when it last said that it has written a checkpoint in this run (0: it has not).
    ``cpu_milli`` is what each task holds while it does not rest, where that was lowered (0: what it asked for).
    """

    id: int
    attempt_id: int
    shape: int
    queue: int
    project: int
    user: int
    priority: int
    started_ms: int
    ends_by_ms: int
    allocations: tuple[Allocation, ...]
    array_id: int = 0
    stopping: int = 0
    grace_ms: int = 0
    attained_ms: int = 0
    rest: int = 0
    slice_ms: int = NO_TURNS
    checkpoint_ms: int = 0
    cpu_milli: int = 0
