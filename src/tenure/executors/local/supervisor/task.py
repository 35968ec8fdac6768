"""What the supervisor knows of one task from its launch until nothing of it is left.

Invariant: `pid` is the session leader; a task is `running` while that process lives, `draining` while only leftovers
live, and `gone` afterwards. Nothing else than this object and the journal holds state of a task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .groups import Group
    from .protocol import Launch

Key = tuple[int, int]


class Task:
    """One member of a gang, as launched, or a lease. Times ending in `_boot_ms` are boot time, `_at_ms` wall time."""

    __slots__ = (
        "adopted",
        "attempt",
        "cpu_milli",
        "deadline_boot_ms",
        "devices",
        "draining",
        "ending",
        "fence",
        "frozen",
        "frozen_boot_ms",
        "gone",
        "grace_ms",
        "group",
        "group_path",
        "kill_sent",
        "kill_set",
        "lease",
        "lines",
        "log_files",
        "log_lengths",
        "memory_bytes",
        "oom_before",
        "paused",
        "peak_bytes",
        "pid",
        "pidfd",
        "remaining_ms",
        "room",
        "signalled",
        "start_ticks",
        "started_at_ms",
        "started_boot_ms",
        "stood_ms",
        "stop_reason",
        "stray_cpu_ms",
        "strays",
        "task",
        "time_limit_ms",
        "timers",
        "uid",
    )

    def __init__(self, attempt: int, task: int, fence: int) -> None:
        self.attempt = attempt
        self.task = task
        self.fence = fence
        self.lease = False  #: it has no process of its own; `pid` is then its holder's, which is watched and never signalled
        self.pid = 0
        self.start_ticks = 0
        self.started_at_ms = 0
        self.started_boot_ms = 0
        self.deadline_boot_ms = 0  #: 0: no limit, or the clock stands still because the task is suspended
        self.remaining_ms = 0  #: of the time limit, while suspended
        self.time_limit_ms = 0
        self.grace_ms = 5_000
        self.cpu_milli = 0
        self.memory_bytes = 0
        self.room = 0  #: the attempt whose room it has; 0: it shares with nobody
        self.devices: tuple[str, ...] = ()
        self.uid = 0  #: whose it is, where the supervisor serves others than its own user; else 0
        self.log_files: tuple[str, ...] = ()
        self.log_lengths = [0, 0]  #: when last looked at, by stream
        self.group: Group | None = None
        self.group_path = ""
        self.oom_before = 0
        self.peak_bytes = 0  #: highest sampled, where nothing better counts
        self.strays: list[int] = []  #: orphans of it that are now children of the supervisor
        self.signalled: set[int] = set()  #: leftovers that were told to end after its main process had gone
        self.stray_cpu_ms = 0
        self.ending = ""  #: why we are ending it: timeout, stopped, oom_sampled
        self.stop_reason = ""
        self.kill_set = False  #: the end of its grace is in the timers
        self.kill_sent = False
        self.draining = False
        self.gone = False
        self.frozen = False
        self.frozen_boot_ms = 0  #: since when it is suspended
        self.stood_ms = 0  #: how long it was suspended before that
        self.paused = False  #: it was frozen at some time
        self.adopted = False  #: not our child: it was started by an earlier supervisor, or it is a lease
        self.pidfd = -1
        self.timers = 0
        self.lines: list[tuple[int, bytes]] = []  #: its journal records, for compaction

    @property
    def strays_killed(self) -> int:
        return len(self.signalled)

    @property
    def limit_grace_ms(self) -> int:
        """The grace at the time limit: none for a lease, whose holder was told before."""
        return 0 if self.lease else self.grace_ms

    @property
    def key(self) -> Key:
        return (self.attempt, self.task)

    def used_ms(self, now_boot_ms: int) -> int:
        """How much of a time limit it has used: since its start, without the time it was suspended."""
        until = self.frozen_boot_ms if self.frozen else now_boot_ms
        return until - self.started_boot_ms - self.stood_ms

    @classmethod
    def of(cls, launch: Launch, fence: int) -> Task:
        """A task about to be started as `launch` says."""
        self = cls(launch.attempt, launch.task, fence)
        self.time_limit_ms = launch.time_limit_ms
        self.grace_ms = launch.grace_ms
        self.cpu_milli = launch.cpu_milli
        self.memory_bytes = launch.memory_bytes
        self.room = launch.room
        self.uid = launch.template.identity[0] if launch.template.identity else 0
        self.devices = launch.devices
        if launch.holder is not None:
            self.lease = self.adopted = True
            self.pid, self.start_ticks = launch.holder
            self.memory_bytes = 0  # whose process it is, his is the limit
            return self
        self.log_files = (launch.stdout,) if launch.stderr is None else (launch.stdout, launch.stderr)
        return self
