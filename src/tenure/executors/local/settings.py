"""What the local executor must be told: where its state is, what of this machine it may offer, and pretend nodes.

Plain values, so that tests and other front ends build them without a file; zeros and empty texts mean "find out". Invariant: settings
say what is wished, `inventory` says what there is; nothing here looks at the machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenure import config
from tenure.model.amounts import MIB, parse_bits, parse_bytes, parse_milli
from tenure.model.pool import Pool

DEVICE_LOCKS = "/tmp/tenure-devices"
"""Where the lock files of devices are: one flock per device, shared between all users of the machine on purpose."""


@dataclass(frozen=True, slots=True)
class PretendGpus:
    """So many GPUs that do not exist."""

    count: int
    model: str
    memory_bytes: int
    capability: int = 0


@dataclass(frozen=True, slots=True)
class PretendNode:
    """A node for trying things out. Its tasks really run, on this machine; its amounts are only counted."""

    name: str
    cpu_milli: int = 1000
    memory_bytes: int = 1024 * MIB
    gpus: tuple[PretendGpus, ...] = ()
    labels: tuple[str, ...] = ()
    storage_bytes: int = 0
    bandwidth_bps: int = 0


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """How one machine is offered.

    ``name`` empty is the host's name; ``cpu_milli`` and ``memory_bytes`` 0 are what the machine (and our control group) has;
    ``reserve_memory_bytes`` is kept back for other programs. ``storage_bytes`` (less its reserve) and ``bandwidth_bps`` are what the
    machine has where they are None. ``gpus`` names the devices that may be offered (``all``, ``none``, or
    UUIDs and indices separated by commas). ``cgroups`` is auto or off.

    A device counts as used by somebody else when a compute process of somebody else is on it, or when more than
    ``foreign_memory_bytes`` plus ``foreign_memory_percent`` of its memory is in use although no task of ours is on it: drivers and
    displays take some hundred MiB. ``ignored_processes`` names programs that never count. ``probe_age_ms`` is how old a look at the
    devices may be before a start; ``release_ms`` how long a device may stay occupied after its task before it is quarantined.

    ``shared``: run by root for all users, each task as whose job it is; ``root_jobs``: that may be root.
    """

    home: str
    name: str = ""
    cpu_milli: int = 0
    memory_bytes: int = 0
    reserve_memory_bytes: int = 0
    storage_bytes: int | None = None
    reserve_storage_bytes: int = 0
    bandwidth_bps: int | None = None
    gpus: str = "all"
    labels: tuple[str, ...] = ()
    cgroups: str = "auto"
    log_keep_bytes: int = 256 * MIB
    pretend_nodes: tuple[PretendNode, ...] = ()
    pools: tuple[Pool, ...] = ()
    foreign_memory_bytes: int = 600 * MIB
    foreign_memory_percent: int = 4
    ignored_processes: tuple[str, ...] = ("nvidia-cuda-mps-server", "nvidia-persistenced")
    probe_age_ms: int = 500
    release_ms: int = 30_000
    device_locks: str = DEVICE_LOCKS
    shared: bool = False
    root_jobs: bool = False


def settings_of(home: str, settings: config.Settings) -> LocalSettings:
    """What the local executor must be told of the settings of an installation."""
    node = settings.node
    pretend = tuple(
        PretendNode(
            wished.name,
            parse_milli(wished.cpus),
            parse_bytes(wished.memory),
            tuple(PretendGpus(group.count, group.model, group.memory_bytes, group.capability) for group in wished.gpu_groups()),
            config.labels_of(wished),
            parse_bytes(wished.storage),
            parse_bits(wished.bandwidth),
        )
        for wished in settings.pretend_nodes
    )
    return LocalSettings(
        home=home,
        name=node.name,
        cpu_milli=parse_milli(node.cpus) if node.cpus else 0,
        memory_bytes=parse_bytes(node.memory) if node.memory else 0,
        reserve_memory_bytes=parse_bytes(node.reserve_memory),
        storage_bytes=parse_bytes(node.storage) if node.storage else None,
        reserve_storage_bytes=parse_bytes(node.reserve_storage),
        bandwidth_bps=parse_bits(node.bandwidth) if node.bandwidth else None,
        gpus=node.gpus or "all",
        labels=config.labels_of(node),
        cgroups=node.cgroups,
        log_keep_bytes=parse_bytes(node.log_keep),
        pretend_nodes=pretend,
        pools=config.pools_of(settings),
        shared=settings.shared.on,
        root_jobs=settings.shared.root,
    )
