"""What is measured of tasks while they run: counters as an executor reads them, and single values as they are kept.

Invariant: a figure that is not known is None or has no `Point`; nobody invents a zero.
"""

from __future__ import annotations

from typing import NamedTuple

FINE_MS, MINUTE_MS, COARSE_MS = 5_000, 60_000, 600_000
STEPS_MS = (FINE_MS, MINUTE_MS, COARSE_MS)
"""The widths of the buckets that values are gathered in, the finest first."""


class Holding(NamedTuple):
    """What a task holds that the scheduler may lower, or has (``is_lowered``), and what was asked for it."""

    cpu_milli: int
    memory_bytes: int
    asked_cpu_milli: int
    asked_memory_bytes: int
    is_lowered: bool = False


class LiveTask(NamedTuple):
    """A task that holds something: whose it is, and the devices by uuid; ``milli`` is how much of each, where that is known.
    ``holding`` None: what it holds is left alone."""

    attempt_id: int
    task: int
    job_id: int
    devices: tuple[str, ...] = ()
    milli: tuple[int, ...] = ()
    holding: Holding | None = None


class TaskUse(NamedTuple):
    """What a task has used since it began; memory is what it uses now. None: cannot be read, or is not its own but its holder's.

    ``pids`` are its processes, of a lease those of its holder; they are only told of who holds devices.
    """

    attempt_id: int
    task: int
    cpu_ms: int | None
    memory_bytes: int | None
    read_bytes: int | None = None
    written_bytes: int | None = None
    pids: tuple[int, ...] | None = None


class Point(NamedTuple):
    """One value of a task at one moment. ``reported``: the job said so itself, under a name of its own choice."""

    job_id: int
    task: int
    name: str
    reported: bool
    at_ms: int
    value: float


class Reported(NamedTuple):
    """What a task wrote into its file between two offsets. It is kept only if the store has seen the file as far as ``start``."""

    attempt_id: int
    task: int
    start: int
    end: int
    points: tuple[Point, ...] = ()


class Bucket(NamedTuple):
    """Values of one series within one step of time."""

    at_ms: int
    values: int
    total: float
    low: float
    high: float
    last: float


class Series(NamedTuple):
    """One figure of one task over time, in buckets of ``step_ms``."""

    task: int
    name: str
    reported: bool
    step_ms: int
    buckets: tuple[Bucket, ...]
