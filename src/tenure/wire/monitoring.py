"""What monitoring says of machines, GPUs and containers: one look each, and how the looking goes.

Invariant: what could not be read is absent and never zero, so that nobody takes a missing thermometer for a cold machine.
"""

from __future__ import annotations

import msgspec

from tenure.wire.base import Page, Reply


class HostSample(Reply):
    """One look at a machine. Percentages are of everything there is; rates are since the look before, so the first has none.

    ``state`` is healthy, warning or critical, and ``why`` says by which figure.
    """

    node: str
    at_ms: int
    state: str = "healthy"
    why: str = ""
    utilisation_percent: float | None = None
    core_percents: list[float] | None = None
    cores: int | None = None
    frequency_mhz: float | None = None
    load_1m: float | None = None
    memory_bytes: int | None = None
    memory_used_bytes: int | None = None
    memory_percent: float | None = None
    disk_read_bytes_per_s: int | None = None
    disk_written_bytes_per_s: int | None = None
    network_received_bytes_per_s: int | None = None
    network_sent_bytes_per_s: int | None = None
    temperature_c: float | None = None


class GpuSample(Reply):
    """One look at a GPU. ``state`` is available, in_use or error; ``jobs`` hold it."""

    uuid: str
    index: int
    model: str
    node: str = ""
    state: str = "available"
    why: str = ""
    memory_bytes: int | None = None
    memory_used_bytes: int | None = None
    utilisation_percent: float | None = None
    temperature_c: float | None = None
    power_mw: int | None = None
    power_limit_mw: int | None = None
    jobs: list[str] = msgspec.field(default_factory=list)
    pretend: bool = False


class ContainerSample(Reply):
    """One look at a container. ``state`` is the engine's word (running, exited, paused, ...); byte counts are since it started."""

    id: str
    name: str
    image: str
    state: str
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    network_received_bytes: int | None = None
    network_sent_bytes: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


class CpuReply(Reply):
    """The processors of this machine."""

    node: str
    at_ms: int
    state: str
    why: str = ""
    utilisation_percent: float | None = None
    core_percents: list[float] | None = None
    cores: int | None = None
    frequency_mhz: float | None = None
    load_1m: float | None = None
    temperature_c: float | None = None


class GpusReply(Reply):
    """All GPUs by node and index. ``problem`` says why figures are missing."""

    at_ms: int
    gpus: list[GpuSample]
    problem: str = ""


class ContainersReply(Reply):
    """All containers of this machine's engine, by name. ``engine`` is empty where none runs."""

    at_ms: int
    engine: str
    containers: list[ContainerSample]
    problem: str = ""


class BucketView(Reply):
    """The values of one step of time that begins at ``at_ms``."""

    at_ms: int
    count: int
    mean: float
    low: float
    high: float
    last: float


class SeriesView(Reply):
    """One figure of one task over time, in steps of ``step_ms``. ``reported``: the job said so itself."""

    name: str
    task: int
    reported: bool
    step_ms: int
    points: list[BucketView]


class MetricsReply(Reply):
    """A job's figures, those that Tenure measured first. ``note`` says why some are missing at the moment."""

    id: str
    series: list[SeriesView]
    note: str = ""


class AnomalyView(Reply):
    """Something that has gone on for too long. ``job`` is empty where it is of none; ``closed_ms`` 0: it goes on."""

    key: str
    kind: str
    text: str
    remedy: str
    opened_ms: int
    closed_ms: int = 0
    job: str = ""
    subject: str = ""
    action: str = "warn"
    evidence: dict[str, float] = msgspec.field(default_factory=dict)


class AnomaliesReply(Page):
    """The open anomalies, the oldest first, or those that are kept, the newest first."""

    anomalies: list[AnomalyView]


class SamplerView(Reply):
    """How looking goes: ``pause_s`` is longer than usual while it fails."""

    name: str
    samples: int
    errors: int
    pause_s: float
    last_error: str = ""


class ResourcesReply(Reply):
    """Everything that was last seen."""

    at_ms: int
    every_s: float
    hosts: list[HostSample]
    gpus: list[GpuSample]
    containers: list[ContainerSample]
    samplers: list[SamplerView]
