"""What `tenure doctor` says of this machine: what is enforced, what is advisory, what is wrong, and the way out.

Each check is a function from facts to findings, so that every sentence can be tested without the machine that would cause it.
Invariant: a finding that is not ok or a mere note names a remedy.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenure.executors.local.connection import CHANGES_AMOUNTS, CHANGES_LIMITS
from tenure.executors.local.settings import LocalSettings
from tenure.executors.local.supervisor import VERSION, kernel, proc
from tenure.model.amounts import GIB, MIB, format_bytes
from tenure.model.observations import DeviceFound

OK, NOTE, WARNING, PROBLEM = "ok", "note", "warning", "problem"

NETWORK_FILE_SYSTEMS = frozenset(
    (
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "glusterfs",
        "afs",
        "9p",
        "fuse.sshfs",
        "fuse.glusterfs",
    )
)
_STEADY_CLOCKS = frozenset(("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "xen", "s390-tod", "timebase"))
CLOCK_SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
_LOW_BYTES, _FULL_BYTES = 2 * GIB, 128 * MIB


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. ``level`` is ok, note, warning or problem; ``remedy`` is what a person can do about it."""

    name: str
    level: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the checks look at. ``hello`` and ``stats`` are the supervisor's words, empty while it cannot be reached (``problem``)."""

    settings: LocalSettings
    hello: Mapping[str, Any] = field(default_factory=dict)
    stats: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    devices: Sequence[DeviceFound] = ()
    driver: str = ""
    driver_problem: str = ""
    strays: Sequence[int] = ()


def diagnose(facts: Facts) -> list[Finding]:
    """All findings, in a fixed order."""
    checks = (supervisor, limits, journal, leftovers, gpus, occupied, fabric, pretending, logs, file_system, disk, clock_source)
    return [finding for check in checks for finding in check(facts)]


def supervisor(facts: Facts) -> Iterator[Finding]:
    """Whether it answers and is the one that is installed."""
    if not facts.hello:
        log = os.path.join(facts.settings.home, "log", "supervisor.log")
        yield Finding(
            "supervisor", PROBLEM, facts.problem or "the supervisor does not answer", f"see {log}; then tenure down, tenure up"
        )
        return
    version, pid = facts.hello.get("version", "?"), facts.hello.get("pid", 0)
    if version != VERSION:
        spoken = int(facts.hello.get("protocol", 0))
        lacks = "" if spoken >= CHANGES_AMOUNTS else "; it cannot change the cpu and memory of a task that runs"
        lacks = lacks if spoken >= CHANGES_LIMITS else "; it cannot change the time limit, cpu and memory of a task that runs"
        yield Finding(
            "supervisor",
            NOTE,
            f"the supervisor (pid {pid}) is version {version}, installed is {VERSION}; they speak protocol {spoken}{lacks}",
            "nothing to do: it is replaced when it is next started, after its tasks have ended",
        )
    else:
        yield Finding("supervisor", OK, f"version {version}, pid {pid}, {facts.stats.get('live', 0)} tasks")


def limits(facts: Facts) -> Iterator[Finding]:
    """What of cpu and memory is enforced by control groups."""
    groups = facts.hello.get("cgroups")
    if not groups:
        return
    cpu, memory, why = groups.get("cpu"), groups.get("memory"), groups.get("why") or "control groups are not available"
    if cpu == memory == "enforced":
        yield Finding("limits", OK, f"cpu and memory limits are enforced by control groups ({groups.get('mode')})")
        return
    remedy = (
        'take cgroups = "off" out of the settings'
        if facts.settings.cgroups == "off"
        else "let the system give you a group of your own: systemd-run --user --scope -p Delegate=yes tenure up"
    )
    if memory != "enforced":
        text = f"memory limits are watched by sampling, not enforced by the kernel ({why}): a task may exceed its limit for a moment"
        yield Finding("memory limits", WARNING, text, remedy)
    if cpu != "enforced":
        yield Finding("cpu limits", WARNING, f"cpu limits are advisory ({why}): a task may use more cpus than it asked for", remedy)


def journal(facts: Facts) -> Iterator[Finding]:
    """Whether ends of tasks can be recorded."""
    stats, home = facts.stats, facts.settings.home
    if stats.get("journal_blocked"):
        yield Finding(
            "journal", PROBLEM, "the disk is full: ends of tasks cannot be recorded, nothing is started", f"free space under {home}"
        )
    elif stats and not stats.get("reserve", True):
        yield Finding(
            "journal", WARNING, "no room could be set aside for ends of tasks, so nothing is started", f"free space under {home}"
        )
    if stats.get("journal_bad_lines"):
        path = os.path.join(home, "node", "journal.jsonl")
        text = f"{stats['journal_bad_lines']} lines of the supervisor's journal were unreadable and passed over"
        yield Finding(
            "journal lines", WARNING, text, f"check the disk under {path}; tasks whose records were lost are reported as lost"
        )


def leftovers(facts: Facts) -> Iterator[Finding]:
    """Processes of tasks that are no more."""
    if facts.strays:
        pids = ", ".join(map(str, facts.strays[:8])) + (", …" if len(facts.strays) > 8 else "")
        text = f"{len(facts.strays)} processes carry the tag of a task that has ended: pid {pids}"
        yield Finding(
            "leftovers", WARNING, text, f"look at them with ps -o pid,user,stat,cmd -p {pids}, and end them if they are not wanted"
        )
    if facts.stats.get("strays_unclaimed"):
        text = f"{facts.stats['strays_unclaimed']} children of the supervisor belong to no task"
        yield Finding("unclaimed processes", NOTE, text, f"look at them with ps --ppid {facts.hello.get('pid', 0)}")


def gpus(facts: Facts) -> Iterator[Finding]:
    """The driver, and what it shows."""
    if facts.driver:
        models = ", ".join(f"{count} x {model}" for model, count in _counted(device.model for device in facts.devices))
        yield Finding("gpus", OK, f"driver {facts.driver}: {models or 'no GPU'}")
        if facts.driver_problem:
            yield Finding("gpu driver", WARNING, facts.driver_problem, "see dmesg for Xid messages; a reset or a reboot may be needed")
    elif os.path.exists("/proc/driver/nvidia/version"):
        yield Finding("gpu driver", WARNING, facts.driver_problem, "check nvidia-smi; library and kernel module must be of one version")
    else:
        yield Finding("gpus", NOTE, f"this machine offers no GPUs: {facts.driver_problem or 'none were found'}")


def occupied(facts: Facts) -> Iterator[Finding]:
    """Devices that are not offered, and why."""
    for device in facts.devices:
        if device.status == "foreign":
            yield Finding(
                f"gpu {device.index}", WARNING, f"not offered: {device.why}", "it is offered again as soon as that process is gone"
            )
        elif device.status == "mig":
            yield Finding(
                f"gpu {device.index}", NOTE, f"not offered: {device.why}", f"nvidia-smi -i {device.index} -mig 0 makes it whole"
            )
        elif device.status != "ok":
            remedy = (
                "see dmesg for Xid messages, then nvidia-smi --gpu-reset or a reboot"
                if device.status == "lost"
                else "end what is on it"
            )
            yield Finding(f"gpu {device.index}", PROBLEM, f"{device.status}: {device.why}", remedy)


def fabric(facts: Facts) -> Iterator[Finding]:
    """Which devices are joined."""
    if len(facts.devices) < 2:
        return
    islands: dict[int, list[str]] = {}
    for device in facts.devices:
        islands.setdefault(device.group, []).append(str(device.index))
    text = "; ".join(f"GPUs {', '.join(indices)}" for _, indices in sorted(islands.items()))
    yield Finding("fabric", OK, f"{len(islands)} island{'s' if len(islands) > 1 else ''} of devices: {text}")


def pretending(facts: Facts) -> Iterator[Finding]:
    """Nodes that are not there."""
    names = ", ".join(node.name for node in facts.settings.pretend_nodes)
    if names:
        yield Finding("pretend nodes", NOTE, f"{names}: tasks placed there run on this machine, their GPUs compute nothing")


def logs(facts: Facts) -> Iterator[Finding]:
    """Whether the oldest bytes of a running log can be given back."""
    bound = facts.stats.get("log_bound", "")
    works = bound == "works" or (bound != "not possible on this file system" and can_punch(facts.settings.home))
    keep = format_bytes(facts.settings.log_keep_bytes)
    if works:
        yield Finding("logs", OK, f"the newest {keep} of each running task's log are kept")
    else:
        text = f"logs of running tasks grow without bound: this file system cannot give back their oldest bytes (wanted: {keep} each)"
        yield Finding("logs", WARNING, text, "keep the home on ext4, xfs, btrfs or tmpfs, or let tasks write less")


def file_system(facts: Facts) -> Iterator[Finding]:
    """Whether the home is on this machine."""
    kind = file_system_of(facts.settings.home)
    if kind in NETWORK_FILE_SYSTEMS:
        text = f"the home {facts.settings.home} is on a network file system ({kind}): locks and sockets do not work there"
        yield Finding("home", PROBLEM, text, "set TENURE_HOME to a directory on a local disk")
    else:
        yield Finding("home", OK, f"{facts.settings.home} on {kind or 'a local file system'}")


def disk(facts: Facts) -> Iterator[Finding]:
    """Room for logs, the store and the journal."""
    usage = shutil.disk_usage(facts.settings.home)
    text = f"{format_bytes(usage.free)} of {format_bytes(usage.total)} free"
    if usage.free < _FULL_BYTES:
        yield Finding(
            "disk", PROBLEM, f"{text}: jobs will fail to start", "free some space: old logs, finished jobs (settings: retention)"
        )
    elif usage.free < _LOW_BYTES:
        yield Finding("disk", WARNING, text, "free some space: old logs, finished jobs (settings: retention)")
    else:
        yield Finding("disk", OK, text)


def clock_source(_facts: Facts) -> Iterator[Finding]:
    """Time limits use the boot clock, which nobody can set; a poor source makes every look at it dear."""
    try:
        with open(CLOCK_SOURCE, encoding="ascii", errors="replace") as file:
            name = file.read().strip()
    except OSError:
        return
    if name in _STEADY_CLOCKS:
        yield Finding("clock", OK, f"clock source {name}")
    else:
        yield Finding("clock", NOTE, f"clock source {name} is slow to read; starts take longer", "see dmesg for why tsc was not chosen")


def strays(home_tag: str, live: Sequence[tuple[int, int]]) -> list[int]:
    """Processes on this machine that carry the tag of a task of this home which is not alive."""
    alive = {f"{home_tag}/{attempt}/{task}".encode() for attempt, task in live}
    tagged = ((pid, proc.tag(pid)) for pid in proc.every_pid())
    return [pid for pid, tag in tagged if tag and tag.startswith(home_tag.encode() + b"/") and tag not in alive and proc.alive(pid)]


def can_punch(home: str) -> bool:
    """Whether the home's file system can give back a part of a file."""
    try:
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(b"x" * 8192)
            file.flush()
            kernel.punch(file.fileno(), 4096)
    except OSError:
        return False
    return True


def file_system_of(path: str, mounts: str = "/proc/self/mountinfo") -> str:
    """The type of the file system that a path is on; empty where that cannot be told."""
    path = os.path.realpath(path)
    best, kind = "", ""
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                before, _, after = line.partition(" - ")
                point = before.split(" ")[4].replace("\\040", " ")
                inside = path == point or path.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, after.split(" ", 1)[0]
    except (OSError, IndexError):
        return ""
    return kind


def _counted(names: Iterator[str]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return sorted(counts.items())
