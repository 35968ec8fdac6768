"""What the executor remembers of tasks: from the launch until the end is acknowledged. And which processes and devices are theirs.

Reports are kept per task, so that whoever asks again is answered from here. Invariant: a task that the supervisor may still know is
in the table, or a repeated launch would start it twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tenure.executors.local.link import AnyRecord, Exited, Rejected, Started
from tenure.executors.local.supervisor import proc
from tenure.model.commands import Holder
from tenure.model.observations import EndReason, Launch, LaunchRejected, LiveTask, Observation, TaskEmptied, TaskEnded, TaskStarted

Key = tuple[int, int]

_MAX_DEPTH = 64
"""So far up from a process its holder is looked for."""
_REASONS = {reason.value: reason for reason in EndReason}


class Known:
    """One task. ``devices`` are real ones only; ``is_over``: its main process ended; ``is_final``: nothing more will be reported. Of a
    lease ``holder`` is the pid of whose it is (0: nobody's that is known), of any other task it is None."""

    __slots__ = ("devices", "fence", "holder", "is_final", "is_over", "reports")

    def __init__(self, fence: int, devices: tuple[str, ...] = (), holder: int | None = None) -> None:
        self.fence = fence
        self.holder = holder
        self.devices = devices
        self.reports: list[Observation] = []
        self.is_over = False
        self.is_final = False


class Tasks:
    """The table. `holders`, `releasing`, `owner` and `leases` may be asked by any thread; the rest is for one at a time."""

    def __init__(self, home: str) -> None:
        os.makedirs(home, mode=0o700, exist_ok=True)
        identity = os.stat(home)
        self.tag = f"{identity.st_dev:x}.{identity.st_ino:x}"
        self._known: dict[Key, Known] = {}
        self._users: dict[str, tuple[Key, ...]] = {}  # values are replaced, never changed: others read them
        self._sessions: dict[int, Key] = {}
        self.releasing: Callable[[str], bool] = _never

    def get(self, key: Key) -> Known | None:
        """The task, if it is known."""
        return self._known.get(key)

    def add(self, launch: Launch, devices: tuple[str, ...]) -> None:
        """It is about to be launched."""
        key = (launch.attempt_id, launch.task)
        holder = launch.spec.holder
        self._known[key] = Known(launch.fence, devices, None if holder is None else holder.pid)
        self._occupy(key, devices)

    def drop(self, key: Key) -> None:
        """It was never launched after all."""
        known = self._known.pop(key, None)
        if known is not None:
            self.vacate(key, known)

    def reported(self, item: Observation) -> None:
        """Remember a report."""
        known = self._known.get((item.attempt_id, item.task))
        if known is None:
            return
        kind = type(item)
        if known.reports:
            known.reports = [report for report in known.reports if type(report) is not kind]
        known.reports.append(item)
        if kind is TaskStarted:
            if known.devices and known.holder is None:
                self._sessions[item.pid] = (item.attempt_id, item.task)  # type: ignore[union-attr]
        else:
            known.is_over = True
            known.is_final = known.is_final or is_final(item)

    def acknowledged(self, item: Observation) -> None:
        """A report is recorded for good; the last one of a task lets us forget it."""
        key = (item.attempt_id, item.task)
        known = self._known.get(key)
        if known is not None and known.is_final and is_final(item):
            self.drop(key)

    def vacate(self, key: Key, known: Known) -> None:
        """No process of it uses its devices any more."""
        for uuid in known.devices:
            self._users[uuid] = tuple(user for user in self._users.get(uuid, ()) if user != key)
        for report in known.reports:
            if isinstance(report, TaskStarted) and known.holder is None:
                self._sessions.pop(report.pid, None)

    def live(self) -> list[LiveTask]:
        """Tasks of which something is still to be reported, sorted."""
        return [_live(key, known) for key, known in sorted(self._known.items()) if not known.is_final]

    def restart(self, listed: Iterable[Mapping[str, Any]], records: Iterable[AnyRecord]) -> None:
        """Believe the supervisor: what it lists and what it still has to tell is all there is."""
        before, self._known = self._known, {}
        self._users, self._sessions = {}, {}
        for entry in listed:
            key = (int(entry["attempt"]), int(entry["task"]))
            holder = int(entry["pid"]) if entry.get("lease") else None
            known = self._known[key] = Known(int(entry["fence"]), tuple(entry.get("devices", ())), holder)
            self._occupy(key, known.devices)
            if entry["started_at_ms"]:
                self.reported(TaskStarted(*key, known.fence, int(entry["started_at_ms"]), int(entry["pid"])))
        for record in records:
            key = (record.attempt, record.task)
            if key not in self._known:
                devices = before[key].devices if key in before else ()
                self._known[key] = Known(record.fence, devices)

    def holders(self, uuid: str) -> Sequence[Key]:
        """Tasks that hold the device and have processes, sorted."""
        return self._users.get(uuid, ())

    def leases(self, pid: int, uuid: str) -> bool:
        """Whether the process, or one above it, is whose lease holds the device."""
        known = [self._known.get(key) for key in self._users.get(uuid, ())]
        pids = {entry.holder for entry in known if entry is not None and entry.holder}
        for _ in range(_MAX_DEPTH):
            if not pids or pid <= 1:
                return False
            if pid in pids:
                return True
            found = proc.stat(pid)
            pid = found.parent if found is not None else 0
        return False

    def owner(self, pid: int) -> Key | None:
        """The task that a process belongs to: by the tag in its environment, or by its session."""
        value = (proc.tag(pid) or b"").decode("ascii", "replace")
        home, _, rest = value.partition("/")
        attempt, _, task = rest.partition("/")
        if home == self.tag and attempt.isdigit() and task.isdigit():
            return (int(attempt), int(task))
        found = proc.stat(pid)
        return self._sessions.get(found.session) if found is not None else None

    def _occupy(self, key: Key, devices: tuple[str, ...]) -> None:
        for uuid in devices:
            self._users[uuid] = tuple(sorted({*self._users.get(uuid, ()), key}))


def holder_of(pid: int) -> Holder:
    """A process of this machine as the holder of a lease; nobody, where it cannot be seen."""
    found = proc.stat(pid) if pid > 0 else None
    return Holder(pid, found.start_ticks) if found is not None else Holder()


def is_final(item: Observation) -> bool:
    """Whether nothing more will be reported of the task."""
    return isinstance(item, TaskEmptied | LaunchRejected) or (isinstance(item, TaskEnded) and item.empty)


def observation_of(record: AnyRecord) -> Observation:
    """The supervisor's record as the control loop takes it."""
    if isinstance(record, Started):
        return TaskStarted(record.attempt, record.task, record.fence, record.at_ms, record.pid)
    if isinstance(record, Exited):
        return TaskEnded(
            record.attempt,
            record.task,
            record.fence,
            _REASONS.get(record.reason, EndReason.UNKNOWN),
            record.exit_code,
            record.signal or 0,
            record.started_at_ms or 0,
            record.ended_at_ms,
            record.cpu_ms or 0,
            record.peak_memory_bytes or 0,
            record.empty,
            record.stop_reason,
            record.why,
        )
    if isinstance(record, Rejected):
        return LaunchRejected(record.attempt, record.task, record.fence, record.fault == "job", record.code, record.why)
    return TaskEmptied(record.attempt, record.task, record.fence, record.strays_killed)


def _live(key: Key, known: Known) -> LiveTask:
    for report in known.reports:
        if isinstance(report, TaskStarted):
            return LiveTask(*key, known.fence, report.pid, report.at_ms)
    return LiveTask(*key, known.fence, 0, 0)


def _never(_uuid: str) -> bool:
    return False
