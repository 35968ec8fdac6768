"""Who of several tasks on one GPU uses how much of it: the driver's figures by process, and whose processes these are.

Pure. A process belongs to the task whose tree or control group it is in, or to the lease whose holder it descends from. Invariant: what
cannot be told is None and never a guess: where the driver does not tell processes apart, where a holder's processes are not known, and
where one process is of two holders of the same device.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tenure.model.measures import LiveTask, TaskUse


class ProcessUse(NamedTuple):
    """What one process uses of a device; None: the driver does not say."""

    memory_bytes: int | None
    percent: float | None


class Part(NamedTuple):
    """What one task uses of a device; None: it cannot be told."""

    memory_bytes: int | None = None
    percent: float | None = None


Key = tuple[int, int]
Processes = Mapping[str, Mapping[int, ProcessUse]]
"""By device, then by pid; a device whose processes are not told is not in it."""


def parts_of(live: Sequence[LiveTask], uses: Mapping[Key, TaskUse], processes: Processes) -> dict[Key, dict[str, Part]]:
    """By task and device, for devices that several tasks hold; a task that shares none is not in it."""
    holders: dict[str, list[Key]] = {}
    for task in live:
        for uuid in task.devices:
            holders.setdefault(uuid, []).append((task.attempt_id, task.task))
    found: dict[Key, dict[str, Part]] = {}
    for uuid, keys in holders.items():
        if len(keys) > 1:
            pids = {key: uses[key].pids if key in uses else None for key in keys}
            for key, part in _split(pids, processes.get(uuid)).items():
                found.setdefault(key, {})[uuid] = part
    return found


def _split(pids: Mapping[Key, tuple[int, ...] | None], processes: Mapping[int, ProcessUse] | None) -> dict[Key, Part]:
    if processes is None:
        return dict.fromkeys(pids, Part())
    owners = Counter(pid for each in pids.values() for pid in each or () if pid in processes)
    return {key: _part(each, processes, owners) for key, each in pids.items()}


def _part(pids: tuple[int, ...] | None, processes: Mapping[int, ProcessUse], owners: Counter[int]) -> Part:
    if pids is None or any(owners[pid] > 1 for pid in pids):
        return Part()
    own = [processes[pid] for pid in pids if pid in processes]
    memory = [one.memory_bytes for one in own if one.memory_bytes is not None]
    percents = [one.percent for one in own if one.percent is not None]
    return Part(
        sum(memory) if len(memory) == len(own) else None,
        round(sum(percents), 1) if len(percents) == len(own) else None,
    )
