"""What the daemon says of the installation: nodes, devices, queues, itself."""

from __future__ import annotations

import msgspec

from tenure.wire.base import Page, Reply


class DeviceView(Reply):
    """One device: what it has, who holds it, what uses it. ``capability``: such as ``8.0``, empty if unknown."""

    node: str
    index: int
    uuid: str
    model: str
    memory_bytes: int
    status: str = "ok"
    why: str = ""
    pretend: bool = False
    used_milli: int = 0
    used_memory_bytes: int = 0
    jobs: list[str] = msgspec.field(default_factory=list)
    capability: str = ""
    utilisation: int | None = None
    memory_in_use_bytes: int | None = None
    temperature_c: int | None = None
    power_mw: int | None = None


class NodeView(Reply):
    """One node: capacity and what is held of it."""

    name: str
    status: str
    executor: str = "local"
    pretend: bool = False
    drain_reason: str = ""
    labels: list[str] = msgspec.field(default_factory=list)
    cpu_milli: int = 0
    memory_bytes: int = 0
    used_cpu_milli: int = 0
    used_memory_bytes: int = 0
    storage_bytes: int = 0
    used_storage_bytes: int = 0
    bandwidth_bps: int = 0
    used_bandwidth_bps: int = 0
    devices: int = 0
    devices_used_milli: int = 0
    jobs: int = 0


class NodesReply(Page):
    """All nodes and devices, by name and index."""

    nodes: list[NodeView]
    devices: list[DeviceView] = msgspec.field(default_factory=list)


class QueueView(Reply):
    """One queue and what waits in it."""

    name: str
    paused: bool = False
    default_limit_ms: int = 0
    max_limit_ms: int = 0
    bonus: int = 0
    pending: int = 0
    running: int = 0


class QueuesReply(Page):
    """All queues, by name."""

    queues: list[QueueView]


class StatusView(Reply):
    """The daemon about itself. ``healthy`` is false when its loop is stuck, ``problems`` says so in sentences. ``url`` is where it
    listens on TCP, if it does; ``warnings`` say what is wrong with that."""

    version: str
    protocol: int
    pid: int
    home: str
    socket: str
    store: str
    started_ms: int
    healthy: bool
    problems: list[str] = msgspec.field(default_factory=list)
    anomalies: list[str] = msgspec.field(default_factory=list)
    loop_age_ms: int = 0
    cycles: int = 0
    revision: int = 0
    supervisor_pid: int = 0
    supervisor_version: str = ""
    limits: dict[str, str] = msgspec.field(default_factory=dict)
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    url: str = ""
    warnings: list[str] = msgspec.field(default_factory=list)


class CheckView(Reply):
    """One finding of ``doctor``: ``level`` ok, note, warning or problem."""

    name: str
    level: str
    text: str
    remedy: str = ""


class DoctorReply(Reply):
    """All findings, the worst last."""

    checks: list[CheckView]


class BackupReply(Reply):
    """Where the copy is, and what is in it."""

    path: str
    bytes: int
    jobs: int


class HealthView(Reply):
    """Whether all is well: ``status`` pass or fail, and what is wrong in sentences."""

    status: str
    version: str
    problems: list[str] = msgspec.field(default_factory=list)


class KindView(Reply):
    """What the code of an error means; ``type`` is what problems of this code have as their type."""

    type: str
    code: str
    status: int
    title: str


class KindsReply(Reply):
    """Every code there is, sorted."""

    problems: list[KindView]
