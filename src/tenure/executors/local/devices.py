"""Whose the GPUs of this machine are: free, ours, somebody else's, lost, or quarantined.

Judged by processes and memory, never by utilisation: a hung foreign process holds 92 % of the memory at 0 %. A device is ours to give
when no compute process of anybody else is on it and, while none of our tasks holds it, its memory is (nearly) free.
Invariant: a device is quarantined only for what a task of ours left on it, and only until a later look finds it clean.
"""

from __future__ import annotations

import os
import pwd
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tenure.executors.local.gpu import LOST, NO_DRIVER, Gpu, GpuProcess, Reading, installed_nvml
from tenure.executors.local.settings import LocalSettings
from tenure.model.amounts import format_bytes
from tenure.model.lifecycle import DeviceStatus
from tenure.model.observations import DeviceFound

if TYPE_CHECKING:
    from tenure.executors.local.nvml import Nvml

Key = tuple[int, int]


class Owners(Protocol):
    """Who of us uses what; answered by the executor, from any thread and without locks."""

    def holders(self, uuid: str) -> Sequence[Key]:
        """Our tasks that hold the device and have processes, sorted."""
        ...

    def releasing(self, uuid: str) -> bool:
        """Whether a task that held it is gone but the device was not yet found clean."""
        ...

    def owner(self, pid: int) -> Key | None:
        """The task of ours, ended or not, that a process belongs to."""
        ...

    def leases(self, pid: int, uuid: str) -> bool:
        """Whether the process, or one above it, is whose lease holds the device."""
        ...


@dataclass(frozen=True, slots=True)
class Person:
    """A process as people know it."""

    pid: int
    user: str
    command: str


class Devices:
    """The judged devices. Usable from several threads."""

    def __init__(self, settings: LocalSettings, owners: Owners, nvml: Nvml | None = None) -> None:
        self._settings = settings
        self._owners = owners
        self._nvml = nvml
        self._lock = threading.RLock()
        self._found: dict[str, DeviceFound] = {}
        self._looked_at: dict[str, float] = {}
        self._looked_at_all = 0.0
        self._quarantine: dict[str, str] = {}
        self._culprits: dict[str, tuple[int, ...]] = {}
        self.driver = ""
        self.problem = ""
        self.revision = 0

    def probe(self, uuids: Iterable[str] | None = None, max_age_ms: int = 0) -> dict[str, DeviceFound]:
        """Look at the offered devices (or these of them), unless a look is younger than ``max_age_ms``; by uuid, in order of index.

        `revision` grows whenever a status changes, so that whoever keeps them knows when to ask again.
        """
        with self._lock:
            wanted = None if uuids is None else list(uuids)
            if max_age_ms and self._fresh(wanted, max_age_ms):
                return self._known(wanted)
            reading = self._read(wanted)
            if wanted is None:
                self._looked_at_all = time.monotonic()
            locked = locked_devices(self._settings.device_locks, [gpu.uuid for gpu in reading.gpus])
            for gpu in reading.gpus:
                if self._offered(gpu):
                    self._note(gpu, self._judged(gpu, gpu.uuid in locked))
            return self._known(wanted)

    def leftovers(self, uuids: Sequence[str]) -> dict[str, str]:
        """What ended tasks of ours still have on these devices, by uuid; a clean one is left out, and its quarantine lifted."""
        with self._lock:
            left: dict[str, str] = {}
            for gpu in self._read(list(uuids)).gpus:
                reason = self._left_on(gpu)
                if reason:
                    left[gpu.uuid] = reason
                elif self._quarantine.pop(gpu.uuid, ""):
                    self.revision += 1
            return left

    def quarantine(self, uuid: str, why: str) -> None:
        """Offer it no more until it is clean."""
        with self._lock:
            if uuid in self._found and uuid not in self._quarantine:
                self._quarantine[uuid] = why
                self.revision += 1

    def close(self) -> None:
        """Let go of the driver."""
        with self._lock:
            if self._nvml is not None:
                self._nvml.close()

    def _read(self, uuids: list[str] | None) -> Reading:
        self._nvml = self._nvml or installed_nvml()
        reading = self._nvml.read(uuids) if self._nvml is not None else Reading(problem=NO_DRIVER)
        self.driver, self.problem = reading.driver, reading.problem
        return reading

    def _known(self, uuids: list[str] | None) -> dict[str, DeviceFound]:
        known = sorted(self._found.values(), key=lambda found: (found.index, found.uuid))
        return {found.uuid: found for found in known if uuids is None or found.uuid in uuids}

    def _fresh(self, uuids: list[str] | None, max_age_ms: int) -> bool:
        oldest = time.monotonic() - max_age_ms / 1000
        looks = [self._looked_at_all] if uuids is None else [self._looked_at.get(uuid, 0.0) for uuid in uuids]
        return all(look >= oldest for look in looks)

    def _offered(self, gpu: Gpu) -> bool:
        wish = self._settings.gpus.strip()
        if wish in ("", "all"):
            return True
        names = {name.strip() for name in wish.split(",")}
        return gpu.uuid in names or str(gpu.index) in names

    def _note(self, gpu: Gpu, found: DeviceFound) -> None:
        before = self._found.get(gpu.uuid)
        if before is not None and before.status != found.status:
            self.revision += 1
        self._found[gpu.uuid] = found
        self._looked_at[gpu.uuid] = time.monotonic()

    def _judged(self, gpu: Gpu, locked: bool) -> DeviceFound:
        status, why = self._status(gpu, locked)
        return DeviceFound(gpu.uuid, gpu.index, gpu.model, gpu.memory_bytes, gpu.group, status.value, False, why, gpu.capability)

    def _status(self, gpu: Gpu, locked: bool) -> tuple[DeviceStatus, str]:
        if gpu.fault:
            return (DeviceStatus.LOST if gpu.fault == LOST else DeviceStatus.MIG), gpu.why
        if gpu.uuid in self._quarantine:
            if self._left_on(gpu):
                return DeviceStatus.QUARANTINED, self._quarantine[gpu.uuid]
            del self._quarantine[gpu.uuid]
        held = bool(self._owners.holders(gpu.uuid)) or self._owners.releasing(gpu.uuid)
        foreign = [process for process in self._counted(gpu) if not self._is_ours(process, gpu.uuid, held)]
        if foreign:
            return DeviceStatus.FOREIGN, self._steady(gpu.uuid, foreign, lambda: _who(foreign))
        return (DeviceStatus.OK, "") if held else self._unheld_status(gpu, locked)

    def _unheld_status(self, gpu: Gpu, locked: bool) -> tuple[DeviceStatus, str]:
        """Of a device that none of our tasks holds and that no visible process of others is on."""
        left = self._counted(gpu)
        if left:
            return DeviceStatus.QUARANTINED, self._steady(gpu.uuid, left, lambda: f"left over from an ended task: {_who(left)}")
        if locked:
            return DeviceStatus.FOREIGN, "another Tenure daemon on this machine uses it"
        if gpu.used_bytes > self._idle_bytes(gpu):
            return DeviceStatus.FOREIGN, self._steady(gpu.uuid, [], lambda: _unexplained(gpu))
        return DeviceStatus.OK, ""

    def _steady(self, uuid: str, culprits: Sequence[GpuProcess], describe: Callable[[], str]) -> str:
        """The same sentence for the same culprits, although their memory moves: a change of status is an event, a byte more is not."""
        pids = tuple(process.pid for process in culprits)
        before = self._found.get(uuid)
        if before is None or not before.why or self._culprits.get(uuid) != pids:
            self._culprits[uuid] = pids
            return describe()
        return before.why

    def _left_on(self, gpu: Gpu) -> str:
        """What of our ended tasks is on a device. A process that we cannot see is taken for one of them: better late than shared."""
        if gpu.fault:
            return ""
        held = self._owners.holders(gpu.uuid)
        processes = self._counted(gpu)
        left = []
        for process in processes:
            if self._owners.leases(process.pid, gpu.uuid):
                continue
            owner = self._owners.owner(process.pid)
            hidden = owner is None and not _is_visible(process.pid)
            if (hidden and not held) or (owner is not None and owner not in held):
                left.append(process)
        if left:
            return f"GPU {gpu.index} is {_who(left)}"
        if not held and not processes and gpu.used_bytes > self._idle_bytes(gpu):
            return f"GPU {gpu.index}: {_unexplained(gpu)}"
        return ""

    def _counted(self, gpu: Gpu) -> list[GpuProcess]:
        ignored = self._settings.ignored_processes
        return [process for process in gpu.processes or () if not (ignored and command_of(process.pid) in ignored)]

    def _is_ours(self, process: GpuProcess, uuid: str, held: bool) -> bool:
        """A process in another pid namespace cannot be told apart: on a device that we hold it is ours."""
        if held and (not _is_visible(process.pid) or self._owners.leases(process.pid, uuid)):
            return True
        return self._owners.owner(process.pid) is not None

    def _idle_bytes(self, gpu: Gpu) -> int:
        """How much may be in use on a device that nobody uses."""
        return self._settings.foreign_memory_bytes + gpu.memory_bytes * self._settings.foreign_memory_percent // 100


def _is_visible(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def command_of(pid: int) -> str:
    """The name of a process's program; empty where it cannot be seen."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def person(pid: int) -> Person:
    """A process as people know it, as far as it can be seen."""
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return Person(pid, "", "")
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return Person(pid, user, command_of(pid))


def is_blocked(found: DeviceFound | None) -> bool:
    """Whether a task must not be started on a device that was looked at."""
    return found is None or found.status != DeviceStatus.OK.value


def obstacle(uuid: str, found: DeviceFound | None) -> tuple[str, str]:
    """The code and the reason for not starting on a device."""
    if found is None:
        return "device_lost", f"there is no GPU {uuid} on this machine any more"
    return f"device_{found.status}", f"GPU {found.index} ({uuid}): {found.why}"


def locked_devices(directory: str, uuids: Sequence[str]) -> frozenset[str]:
    """Which of the devices somebody holds the machine's lock of. Looks without locking, so as to be in nobody's way."""
    inodes: dict[tuple[int, int, int], str] = {}
    for uuid in uuids:
        try:
            found = os.stat(os.path.join(directory, uuid + ".lock"))
        except OSError:
            continue
        inodes[os.major(found.st_dev), os.minor(found.st_dev), found.st_ino] = uuid
    if not inodes:
        return frozenset()
    locked = set()
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as file:
            for line in file:
                words = line.split()
                if "FLOCK" in words and "->" not in words:
                    major, minor, inode = next(word for word in words if word.count(":") == 2).split(":")
                    locked.add(inodes.get((int(major, 16), int(minor, 16), int(inode)), ""))
    except OSError:
        return frozenset()
    return frozenset(locked - {""})


def _who(processes: Sequence[GpuProcess]) -> str:
    texts = []
    for process in processes[:3]:
        known = person(process.pid)
        of = f" ({known.command}, user {known.user})" if known.command else " (not visible from here)"
        size = f", {format_bytes(process.memory_bytes)}" if process.memory_bytes else ""
        texts.append(f"pid {process.pid}{of}{size}")
    more = f" and {len(processes) - 3} more" if len(processes) > 3 else ""
    return f"in use by {', '.join(texts)}{more}"


def _unexplained(gpu: Gpu) -> str:
    return f"{format_bytes(gpu.used_bytes)} of its memory is in use, but the driver names no process"
