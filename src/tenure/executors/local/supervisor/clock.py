"""Clocks: boot time for limits, wall time for people, kernel ticks for identity.

Limits use CLOCK_BOOTTIME, which nobody can set and which goes on while the machine sleeps; wall time is only reported.
Invariant: every function returns whole milliseconds, except `ticks`, which is in the unit of /proc/PID/stat.
"""

from __future__ import annotations

import os
from time import CLOCK_BOOTTIME, CLOCK_REALTIME, clock_gettime_ns

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def boot_ms() -> int:
    """Milliseconds since the machine was started, sleep included."""
    return clock_gettime_ns(CLOCK_BOOTTIME) // 1_000_000


def wall_ms() -> int:
    """Milliseconds since 1970; may jump."""
    return clock_gettime_ns(CLOCK_REALTIME) // 1_000_000


def ticks() -> int:
    """Now, in the unit of the start time in /proc/PID/stat: a process started now has this number."""
    return clock_gettime_ns(CLOCK_BOOTTIME) // TICK_NS


def boot_ms_of_ticks(start_ticks: int) -> int:
    """Boot time in ms of a process whose /proc/PID/stat says `start_ticks`."""
    return start_ticks * 1000 // TICKS_PER_SECOND


def boot_id() -> str:
    """Identity of this run of the machine."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
