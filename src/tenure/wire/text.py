"""Reasons in words: one English sentence per cause, for ``ps``, ``why`` and events. Pure; names are handed in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tenure.model import reasons
from tenure.model.amounts import format_bits, format_bytes, format_duration_ms, format_milli
from tenure.model.pool import told_class
from tenure.model.reasons import Reason, Shortfall

_UNITS: dict[str, Callable[[int], str]] = {
    "cpu_milli": lambda amount: count_text(amount, "cpu"),
    "memory_bytes": lambda amount: f"{format_bytes(amount)} of memory",
    "storage_bytes": lambda amount: f"{format_bytes(amount)} of storage",
    "bandwidth_bps": lambda amount: f"{format_bits(amount)}bit/s of bandwidth",
    "gpu_devices": lambda amount: count_text(amount * 1000, "GPU"),
    "gpu_milli": lambda amount: f"{format_milli(amount)} of a GPU",
    "places": lambda _amount: "a place beside tasks of the same app",
    "gpu_memory_bytes": lambda amount: f"{format_bytes(amount)} of GPU memory",
}
_PLAIN: dict[str, Callable[[int], str]] = {
    "cpu_milli": format_milli,
    "gpu_milli": format_milli,
    "gpu_devices": str,
    "bandwidth_bps": lambda amount: f"{format_bits(amount)}bit/s",
}


_SHARED: dict[str, Callable[[int], str]] = {**_UNITS, "gpu_milli": lambda amount: count_text(amount, "GPU")}
"""Of a project the GPUs are counted together, not per device."""
_NOBODY: Mapping[int, str] = {}


def count_text(milli: int, what: str) -> str:
    """A count in thousandths with its noun: ``1 cpu``, ``0.5 cpus``, ``8 GPUs``."""
    return f"{format_milli(milli)} {what}{'' if milli == 1000 else 's'}"


def amounts_text(cpu_milli: int, memory_bytes: int) -> str:
    """Cpu and memory as people say them: ``2 cpus and 4 GiB``."""
    cpus = count_text(cpu_milli, "cpu")
    return f"{cpus} and {format_bytes(memory_bytes)}" if memory_bytes else cpus


def lack_text(short: Shortfall) -> str:
    """What is lacking, in words: ``2 cpus (3 needed, 1 free)``; fractions of a GPU are per device, never summed."""
    if short.resource == "places":
        return _UNITS[short.resource](1)
    show = _PLAIN.get(short.resource, format_bytes)
    free = max(0, short.free)
    where = " on the device that has most" if short.resource in ("gpu_milli", "gpu_memory_bytes") else ""
    return f"{_UNITS[short.resource](short.needed - free)} ({show(short.needed)} needed, {show(free)} free{where})"


def clock_text(at_ms: int) -> str:
    """A moment in local time, with its day when that is not today."""
    moment, today = time.localtime(at_ms / 1000), time.localtime()
    return time.strftime("%H:%M:%S" if moment[:3] == today[:3] else "%a %d %b %H:%M", moment)


def reason_text(reason: Reason, nodes: Mapping[int, str], job: Callable[[int], str], projects: Mapping[int, str] = _NOBODY) -> str:
    """One sentence. ``nodes`` and ``projects`` name them by id, ``job`` writes a job's id as people type it."""
    if isinstance(reason, reasons.QuotaReached | reasons.MaximumReached):
        return _bound_text(reason, projects)
    return _SENTENCES[reason.code](reason, nodes, job)


def _bound_text(reason: reasons.QuotaReached | reasons.MaximumReached, projects: Mapping[int, str]) -> str:
    """What a project forbids, with the numbers."""
    name = projects.get(reason.project)
    whose = f"project {name}" if name else "its project"
    is_quota = isinstance(reason, reasons.QuotaReached)
    if not reason.resource:
        return f"{whose} is at its {'quota' if is_quota else 'maximum'}"
    show, plain = _SHARED[reason.resource], _PLAIN.get(reason.resource, format_bytes)
    kind = "quota, above which it may not borrow," if is_quota else "maximum"
    numbers = f"it holds {plain(reason.held)}, this job asks for {plain(reason.needed)}"
    return f"{whose} would exceed its {kind} of {show(reason.bound)}: {numbers}"


def _capacity(reason: reasons.Capacity, nodes: Mapping[int, str], _job: Callable[[int], str]) -> str:
    lacks = " and ".join(lack_text(short) for short in reason.short)
    where = f" on {nodes[reason.node_id]}" if reason.node_id in nodes else ""
    until = f"; expected by {clock_text(reason.until_ms)}" if reason.until_ms else ""
    return (f"it lacks {lacks}{where}" if lacks else "there is no room for it now") + until


def _would_delay(reason: reasons.WouldDelay, _nodes: Mapping[int, str], job: Callable[[int], str]) -> str:
    until = f" at {clock_text(reason.until_ms)}" if reason.until_ms else ""
    return f"it would delay the start of job {job(reason.head)}{until}"


def _reserved(reason: reasons.Reserved, _nodes: Mapping[int, str], _job: Callable[[int], str]) -> str:
    name = f" {reason.name!r}" if reason.name else ""
    what = f"maintenance{name}" if reason.maintenance else f"reservation {reason.window}{name}, which is for others"
    times = f"{clock_text(reason.from_ms)} to {clock_text(reason.until_ms)}"
    cure = f"; with a time limit of at most {format_duration_ms(reason.longest_ms)} it could start now" if reason.longest_ms else ""
    return f"it would run into {what} ({times}){cure}"


def _dependency(reason: reasons.Dependency, _nodes: Mapping[int, str], job: Callable[[int], str]) -> str:
    names = ", ".join(job(number) for number in reason.on)
    return (
        f"it waits for job {names} to end"
        if len(reason.on) == 1
        else f"it waits for jobs {names} to end"
        if names
        else "it waits for another job"
    )


class Awaited(NamedTuple):
    """A job that is waited for: as people type it, its name, its state, and the condition: ok, any or failed."""

    job: str
    name: str
    state: str
    condition: str


_CONDITIONS = {"ok": "succeed", "failed": "fail", "any": "end"}


def dependency_text(waits: Sequence[Awaited]) -> str:
    """What a job waits for, by name and state: ``it waits for job 2 (prepare, running) to succeed``; empty for nothing."""
    parts = []
    for wait in waits:
        known = ", ".join(item for item in (wait.name, wait.state) if item)
        parts.append(f"job {wait.job}" + (f" ({known})" if known else "") + f" to {_CONDITIONS.get(wait.condition, 'end')}")
    return f"it waits for {' and for '.join(parts)}" if parts else ""


def _room_promised(reason: reasons.RoomPromised, _nodes: Mapping[int, str], job: Callable[[int], str]) -> str:
    names = ", ".join(job(number) for number in reason.leaving)
    who = f"job {names} leaves" if len(reason.leaving) == 1 else f"jobs {names} leave" if names else "others leave"
    return f"{who} to make room for it" + (f"; the room is kept until {clock_text(reason.until_ms)}" if reason.until_ms else "")


def _nodes_text(ids: tuple[int, ...], nodes: Mapping[int, str]) -> str:
    return ", ".join(nodes.get(number, str(number)) for number in ids)


def _never(reason: reasons.NeverFits, nodes: Mapping[int, str], _job: Callable[[int], str]) -> str:
    if kind := told_class(reason.labels):
        return f"no pool takes {kind} work: let one take it, or submit it again"
    if reason.labels:
        return f"no declared node could ever hold it: none has the label {' or '.join(reason.labels)}"
    lacks = " and ".join(lack_text(short) for short in reason.short)
    where = f" on {nodes[reason.node_id]}" if reason.node_id in nodes else ""
    return "no declared node could ever hold it" + (f": it lacks {lacks}{where}" if lacks else "")


_SENTENCES: dict[str, Callable[..., str]] = {
    "capacity": _capacity,
    "would_delay": _would_delay,
    "reserved": _reserved,
    "better_place": lambda r, _n, _j: f"it waits for the place it prefers, until {clock_text(r.until_ms)} at most",
    "dependency": _dependency,
    "held": lambda _r, _n, _j: "it is held; tenure release lets it go",
    "not_before": lambda r, _n, _j: f"it may not start before {clock_text(r.at_ms)}",
    "array_cap": lambda _r, _n, _j: "its array runs as many elements as its cap allows",
    "queue_paused": lambda _r, _n, _j: "its queue is paused; tenure queue resume lets it go",
    "room_promised": _room_promised,
    "node_unavailable": lambda r, n, _j: f"it would fit only on nodes that take no work now: {_nodes_text(r.nodes, n)}",
    "device_unavailable": lambda _r, _n, _j: "it would fit only on devices that are not offered; tenure gpus shows why",
    "never_fits": _never,
    "not_reached": lambda _r, _n, _j: "the planner has not reached it yet",
}
