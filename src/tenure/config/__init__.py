"""Settings: what a person may write into ``HOME/config.toml``. Every setting has a default, so the file need not exist.

Reading is strict: an unknown key or a value of the wrong type is refused with a sentence that names it, because a misspelt setting
that is silently ignored is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import msgspec

from tenure.config.listen import ListenSettings, SharedSettings
from tenure.config.monitoring import AnomalySettings, MonitorSettings, NotifySettings, check_monitoring
from tenure.model.amounts import GIB, MILLI, parse_bits, parse_bytes, parse_duration_ms, parse_milli
from tenure.model.gpu_kind import parse_capability
from tenure.model.pool import Pool
from tenure.model.project import SHARED, UNLIMITED, Bundle, Project
from tenure.model.settings import PlanSettings
from tenure.model.upkeep import POWER_FULL, POWER_IDLE, POWER_SLEEP, PRICE, label_of

_GPUS = re.compile(r"(?:(\d{1,3})x)?([A-Za-z0-9_. -]+?)(?::(\d+(?:\.\d+)?[KMGT]i?B?))?(?::(\d+\.\d))?", re.IGNORECASE)

LEAST_AUDIT_MS = 86_400_000
_PLAN_FIELDS = {field.name for field in fields(PlanSettings)}


class ConfigError(Exception):
    """The settings cannot be used; the message is one sentence that names the file and the key."""


class GpuSettings(msgspec.Struct, frozen=True):
    """So many pretend GPUs of one model."""

    count: int
    model: str
    memory_bytes: int
    capability: int = 0


class PretendNodeSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A node that exists only for trying things out: its tasks run on this machine, its GPUs compute nothing."""

    name: str
    cpus: str = "1"
    memory: str = "1G"
    storage: str = "0"
    bandwidth: str = "0"
    gpus: str = ""
    labels: tuple[str, ...] = ()
    power_idle_w: int | None = None
    power_w: int | None = None
    power_sleep_w: int | None = None
    price_per_hour: str = ""

    def gpu_groups(self) -> tuple[GpuSettings, ...]:
        """The ``gpus`` text read: ``8xA100:80G``, ``4xA100:80G:8.0, 4xT4:16G:7.5`` with the compute capability. Raises ValueError."""
        return tuple(_gpu_group(part) for part in self.gpus.split(",") if part.strip())


class NodeSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """This machine as a node. Empty values are found out; ``cgroups`` is auto or off; ``log_keep`` bounds each task's log. Power and
    price are told to the planner as labels (`tenure.model.upkeep`)."""

    name: str = ""
    cpus: str = ""
    memory: str = ""
    reserve_memory: str = "0"
    storage: str = ""
    reserve_storage: str = "0"
    bandwidth: str = ""
    gpus: str = ""
    labels: tuple[str, ...] = ()
    power_idle_w: int | None = None
    power_w: int | None = None
    power_sleep_w: int | None = None
    price_per_hour: str = ""
    cgroups: str = "auto"
    log_keep: str = "256M"
    probe: str = "5s"


class QueueSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One queue. ``default_time`` gives jobs without a limit one, so that they can be planned around."""

    default_time: str = ""
    max_time: str = ""
    bonus: int = 0
    paused: bool = False


class PlanSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The weights of the order (see the reference of `PlanSettings`) and the policy's name."""

    policy: str = "default"
    base_low: int = 100
    base_medium: int = 500
    base_high: int = 1000
    base_critical: int = 2000
    step: int = 10
    wait_bonus: int = 100
    wait_full: str = "1h"
    gpu_penalty: int = 10
    backfill_depth: int = 10_000
    patience: str = "2d"
    preempt_gap: int = 1
    preempt_min_run: str = "10m"
    preempt_cool_down: str = "1h"
    preempt_per_cycle: int = 8
    preempt_per_hour: int = 60
    preempt_checkpoint: str = "30s"
    preempt_restart: str = "60s"
    preempt_hold: str = "2m"
    checkpoint_every: str = "0s"
    quota_bonus: int = 0
    half_life: str = "7d"
    las_queue: str = "1h"
    promises: int = 200
    guard: str = "0s"
    successors: str = "50ms"
    slice: str = "10m"

    def durations(self) -> dict[str, str]:
        """The settings that are durations, as they were written."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if f"{name}_ms" in _PLAN_FIELDS}

    def settings(self) -> PlanSettings:
        """As the planner takes them. Raises ValueError for a duration that is none."""
        durations = self.durations()
        values = {name: getattr(self, name) for name in self.__struct_fields__ if name not in durations}
        return PlanSettings(**(values | {f"{name}_ms": parse_duration_ms(text) for name, text in durations.items()}))


class BoundSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Amounts of the resources that projects share; an empty one is not bounded."""

    cpus: float | str = ""
    memory: str = ""
    gpus: float | str = ""

    def bundle(self) -> Bundle:
        """In base units. Raises ValueError."""
        return Bundle(
            UNLIMITED if self.cpus == "" else parse_milli(str(self.cpus)),
            parse_bytes(self.memory) if self.memory else UNLIMITED,
            UNLIMITED if self.gpus == "" else parse_milli(str(self.gpus)),
        )


class ProjectSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One project: its ``weight`` among others, what is guaranteed (``quota``), what it never exceeds (``max``), and whether it may
    ``borrow`` above its quota what is idle."""

    weight: float = 1.0
    quota: BoundSettings = BoundSettings()
    max: BoundSettings = BoundSettings()
    borrow: bool = True

    def project(self, name: str) -> Project:
        """As the planner takes it, without a number. Raises ValueError."""
        weight_milli = round(self.weight * MILLI)
        if weight_milli < 1:
            raise ValueError(f"a weight is at least 0.001, not {self.weight:g}; to keep a project out, give it a max of 0")
        quota, most = self.quota.bundle(), self.max.bundle()
        for resource, mine, bound in zip(SHARED, quota, most, strict=True):
            if UNLIMITED < bound < mine:
                raise ValueError(f"the quota of {resource.partition('_')[0]} is more than its max; raise the max or lower the quota")
        return Project(0, name, weight_milli, quota, most, self.borrow)


class PoolSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"classes": "for"}):
    """One pool of nodes, by their names, labels and the model of their GPUs, ``for`` some classes of work; ``borrow``: and others."""

    nodes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    gpu: str = ""
    classes: tuple[str, ...] = ()
    borrow: bool = False

    def pool(self, name: str) -> Pool:
        """As nodes and jobs are told of it. Raises ValueError."""
        return Pool(name, self.nodes, self.labels, self.gpu, self.classes, self.borrow)


class RetentionSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How long the past is kept: details of ended runs with their logs, as well as the snapshots and scripts that no job needs any more
    (``runs``); events; utilisation samples; figures of tasks in steps of five seconds (``fine``), one minute (``minutes``) and ten
    (``coarse``); who changed what (``audit``). Jobs themselves are kept."""

    runs: str = "30d"
    events: str = "7d"
    samples: str = "30d"
    fine: str = "1h"
    minutes: str = "2d"
    coarse: str = "30d"
    audit: str = "400d"


class LeaseSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Leases. ``max_ttl`` is the longest time to live that one may be given at once; it may be renewed again and again."""

    max_ttl: str = "1h"


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole file. ``default_memory`` is what a job that names no memory is given (empty: it is neither counted nor limited)."""

    node: NodeSettings = NodeSettings()
    pretend_nodes: tuple[PretendNodeSettings, ...] = ()
    queues: dict[str, QueueSettings] = msgspec.field(default_factory=dict)
    projects: dict[str, ProjectSettings] = msgspec.field(default_factory=dict)
    pools: dict[str, PoolSettings] = msgspec.field(default_factory=dict)
    plan: PlanSection = PlanSection()
    retention: RetentionSettings = RetentionSettings()
    monitor: MonitorSettings = MonitorSettings()
    anomalies: AnomalySettings = AnomalySettings()
    notify: tuple[NotifySettings, ...] = ()
    leases: LeaseSettings = LeaseSettings()
    listen: ListenSettings = ListenSettings()
    shared: SharedSettings = SharedSettings()
    default_memory: str = ""
    max_pending: int = 1_000_000


def audit_span_ms(text: str) -> int:
    """For how long it is kept who changed what. Raises ValueError, also for less than a day: nobody would have looked by then."""
    found = parse_duration_ms(text)
    if found < LEAST_AUDIT_MS:
        raise ValueError(f"who changed what is kept for a day at least, not {text}")
    return found


def labels_of(node: NodeSettings | PretendNodeSettings) -> tuple[str, ...]:
    """The labels of a node, those that declare its power and its price among them. Raises ValueError for one that means nothing."""
    declared = [(name, getattr(node, name)) for name in (POWER_IDLE, POWER_FULL, POWER_SLEEP, PRICE)]
    return (*node.labels, *(label_of(name, str(value)) for name, value in declared if value not in (None, "")))


def pools_of(settings: Settings) -> tuple[Pool, ...]:
    """The pools by name."""
    return tuple(settings.pools[name].pool(name) for name in sorted(settings.pools))


def load(path: Path) -> Settings:
    """Read and check the settings; the defaults when the file does not exist. Raises ConfigError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise ConfigError(f"the settings in {path} cannot be read ({error.strerror}); mend its permissions or move it away") from None
    try:
        settings = msgspec.toml.decode(text, type=Settings)
        check(settings)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ConfigError(f"the settings in {path} are not understood: {error}") from None
    return settings


def check(settings: Settings) -> None:
    """Read every text in the settings once, so that a bad one is refused at the door. Raises ValueError naming the setting."""
    node = settings.node
    readings: list[tuple[str, str, Callable[[str], object]]] = [
        ("node.reserve_memory", node.reserve_memory, parse_bytes),
        ("node.reserve_storage", node.reserve_storage, parse_bytes),
        ("node.log_keep", node.log_keep, parse_bytes),
        ("node.probe", node.probe, parse_duration_ms),
        *((f"plan.{name}", text, parse_duration_ms) for name, text in settings.plan.durations().items()),
        ("leases.max_ttl", settings.leases.max_ttl, parse_duration_ms),
    ]
    kept = {name: getattr(settings.retention, name) for name in settings.retention.__struct_fields__}
    readings += [(f"retention.{name}", text, audit_span_ms if name == "audit" else parse_duration_ms) for name, text in kept.items()]
    # Of these an empty text means that there is none, or that it is found out.
    open_ones: list[tuple[str, str, Callable[[str], object]]] = [
        ("node.cpus", node.cpus, parse_milli),
        ("node.memory", node.memory, parse_bytes),
        ("node.storage", node.storage, parse_bytes),
        ("node.bandwidth", node.bandwidth, parse_bits),
        ("default_memory", settings.default_memory, parse_bytes),
    ]
    for name, queue in settings.queues.items():
        open_ones += [(f"queues.{name}.default_time", queue.default_time, parse_duration_ms)]
        open_ones += [(f"queues.{name}.max_time", queue.max_time, parse_duration_ms)]
    for pretend in settings.pretend_nodes:
        readings += [(f"pretend_nodes.{pretend.name}.cpus", pretend.cpus, parse_milli)]
        readings += [(f"pretend_nodes.{pretend.name}.memory", pretend.memory, parse_bytes)]
        readings += [(f"pretend_nodes.{pretend.name}.storage", pretend.storage, parse_bytes)]
        readings += [(f"pretend_nodes.{pretend.name}.bandwidth", pretend.bandwidth, parse_bits)]
        pretend.gpu_groups()
        labels_of(pretend)
    labels_of(node)
    readings += [(f"projects.{name}", name, project.project) for name, project in settings.projects.items()]
    readings += [(f"pools.{name}", name, pool.pool) for name, pool in settings.pools.items()]
    for setting, text, read in (*readings, *(one for one in open_ones if one[1])):
        try:
            read(text)
        except ValueError as error:
            raise ValueError(f"{setting}: {error}") from None
    check_monitoring(settings.monitor, settings.anomalies, settings.notify)
    settings.listen.check()
    if node.cgroups not in ("auto", "off"):
        raise ValueError(f"node.cgroups is auto or off, not {node.cgroups!r}")
    names = [pretend.name for pretend in settings.pretend_nodes]
    if len(set(names)) != len(names):
        raise ValueError("two pretend nodes have the same name")


def _gpu_group(part: str) -> GpuSettings:
    match = _GPUS.fullmatch(part.strip())
    if match is None:
        raise ValueError(f"{part.strip()!r} does not name GPUs; write it like 8xA100:80G")
    count, model, memory, capability = match.groups()
    size, tenths = parse_bytes(memory) if memory else 16 * GIB, parse_capability(capability) if capability else 0
    return GpuSettings(int(count or 1), model.strip(), size, tenths)
