"""A look at this machine: processors, memory, disks, network, temperature, by psutil.

Invariant: rates and utilisation are differences between two looks, so the first look has none; what the system does not tell is None.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import psutil

from tenure.wire.monitoring import HostSample

T = TypeVar("T")

WARNING_PERCENT, CRITICAL_PERCENT = 85.0, 95.0
"""Of processors or memory; one look decides, so this is a state to show and no reason to act."""
WARNING_C, CRITICAL_C = 85.0, 95.0
_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "acpitz")
_IDLE = ("idle", "iowait")
_TWICE = ("guest", "guest_nice")
"""The kernel counts these within ``user`` and ``nice`` already."""


class _Counters(NamedTuple):
    """What grows: seconds each core has been busy and there at all, and bytes moved."""

    at_s: float
    busy_s: tuple[float, ...]
    all_s: tuple[float, ...]
    disk: tuple[int, int] | None
    network: tuple[int, int] | None


class HostSampler:
    """Looks at the machine it runs on. For one thread."""

    name = "host"

    def __init__(self, node: str) -> None:
        self._node = node
        self._before: _Counters | None = None

    def sample(self, now_ms: int) -> HostSample:
        """One look."""
        now, before = _counters(), self._before
        self._before = now
        memory = _tried(psutil.virtual_memory)
        frequency = _tried(psutil.cpu_freq)
        found = HostSample(
            node=self._node,
            at_ms=now_ms,
            cores=len(now.busy_s) or None,
            frequency_mhz=round(frequency.current, 1) if frequency and frequency.current else None,
            load_1m=_tried(lambda: round(os.getloadavg()[0], 2)),
            temperature_c=_temperature(),
        )
        if memory is not None:
            found.memory_bytes = memory.total
            found.memory_used_bytes = memory.total - memory.available
            found.memory_percent = round(100 * found.memory_used_bytes / memory.total, 1)
        if before is not None:
            _add_rates(found, before, now)
        found.state, found.why = state_of(found)
        return found

    def close(self) -> None:
        """Nothing is kept open."""


def state_of(sample: HostSample) -> tuple[str, str]:
    """healthy, warning or critical, and the figure that makes it so."""
    figures = (
        ("processors", sample.utilisation_percent, "%", WARNING_PERCENT, CRITICAL_PERCENT),
        ("memory", sample.memory_percent, "%", WARNING_PERCENT, CRITICAL_PERCENT),
        ("temperature", sample.temperature_c, " C", WARNING_C, CRITICAL_C),
    )
    for state, at in (("critical", 4), ("warning", 3)):
        for figure in figures:
            if figure[1] is not None and figure[1] >= figure[at]:  # type: ignore[operator]
                return state, f"{figure[0]} at {figure[1]:g}{figure[2]}"
    return "healthy", ""


def _counters() -> _Counters:
    cores: Sequence[Any] = _tried(lambda: psutil.cpu_times(percpu=True)) or ()
    everything = [sum(value for name, value in zip(core._fields, core, strict=True) if name not in _TWICE) for core in cores]
    idle = [sum(getattr(core, name, 0.0) for name in _IDLE) for core in cores]
    disk, network = _tried(psutil.disk_io_counters), _tried(psutil.net_io_counters)
    return _Counters(
        time.monotonic(),
        tuple(whole - unused for whole, unused in zip(everything, idle, strict=True)),
        tuple(everything),
        (disk.read_bytes, disk.write_bytes) if disk else None,
        (network.bytes_recv, network.bytes_sent) if network else None,
    )


def _add_rates(sample: HostSample, before: _Counters, now: _Counters) -> None:
    """What only two looks can tell. A counter that went back (a core or a disk was taken away) tells nothing."""
    pairs = [
        (busy - was_busy, whole - was_whole)
        for busy, was_busy, whole, was_whole in zip(now.busy_s, before.busy_s, now.all_s, before.all_s, strict=False)
    ]
    if len(now.busy_s) == len(before.busy_s) and pairs and sum(whole for _, whole in pairs) > 0:
        sample.core_percents = [_percent(busy, whole) for busy, whole in pairs]
        sample.utilisation_percent = _percent(sum(busy for busy, _ in pairs), sum(whole for _, whole in pairs))
    elapsed_s = now.at_s - before.at_s
    sample.disk_read_bytes_per_s, sample.disk_written_bytes_per_s = _rates(before.disk, now.disk, elapsed_s)
    sample.network_received_bytes_per_s, sample.network_sent_bytes_per_s = _rates(before.network, now.network, elapsed_s)


def _percent(part: float, whole: float) -> float:
    return round(min(100.0, max(0.0, 100 * part / whole)), 1) if whole > 0 else 0.0


def _rates(before: tuple[int, int] | None, now: tuple[int, int] | None, elapsed_s: float) -> tuple[int | None, int | None]:
    """Bytes per second."""
    if before is None or now is None or elapsed_s <= 0 or now[0] < before[0] or now[1] < before[1]:
        return None, None
    return round((now[0] - before[0]) / elapsed_s), round((now[1] - before[1]) / elapsed_s)


def _temperature() -> float | None:
    """The hottest sensor of the processors, where there is one."""
    if not hasattr(psutil, "sensors_temperatures"):
        return None
    found = _tried(psutil.sensors_temperatures) or {}
    readings = [entry.current for name in _SENSORS for entry in found.get(name, ()) if entry.current and entry.current > 0]
    return round(max(readings), 1) if readings else None


def _tried(call: Callable[[], T]) -> T | None:
    """A part of the system that cannot be read hides only itself."""
    try:
        return call()
    except (OSError, RuntimeError, NotImplementedError, ValueError):
        return None
