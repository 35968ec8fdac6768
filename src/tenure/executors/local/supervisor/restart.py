"""Taking over from a supervisor that died: what the journal says, compared with what still runs.

A process is the task's if pid, start time and boot id agree. It is not our child, so its exit code is lost: such an end is
recorded as unknown, never guessed. Limits go on from the process's own start time.
Invariant: every task without an end in the journal is either adopted or gets one; none is started again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from . import clock, holding, proc, records
from .records import End
from .resident import Resident
from .task import Key, Task
from .timers import LIMIT
from .tree import tagged

Record = dict[str, Any]


class Past:
    """What the journal says about tasks, by key, and about the supervisor before."""

    def __init__(self) -> None:
        self.boot_id = ""
        self.fence = 0
        self.acked = 0
        self.intents: dict[Key, Record] = {}
        self.started: dict[Key, Record] = {}
        self.exited: dict[Key, Record] = {}
        self.notes: dict[Key, list[Record]] = {}
        self.boot_of: dict[Key, str] = {}
        self.finished: dict[Key, int] = {}

    def see(self, record: Record) -> None:
        """The next record; one with missing or odd fields is passed over."""
        kind = record["kind"]
        if kind == "boot":
            self.boot_id = str(record.get("boot_id", ""))
            self.acked = max(self.acked, _integer(record, "acked"))
        elif kind == "ack":
            self.acked = max(self.acked, _integer(record, "upto"))
        self.fence = max(self.fence, _integer(record, "fence"))
        key = records.key_of(record)
        if key is None or (kind == "started" and _integer(record, "pid") <= 1 and not record.get("lease")):
            return
        if kind in ("intent", "started"):
            (self.intents if kind == "intent" else self.started)[key] = record
            self.boot_of[key] = self.boot_id
            self.finished.pop(key, None)
        elif kind in ("ending", "suspended", "resumed", "limited", "resized"):
            self.notes.setdefault(key, []).append(record)
        elif kind in ("rejected", "exited", "emptied"):
            self._ended(key, kind, record)

    def _ended(self, key: Key, kind: str, record: Record) -> None:
        if kind == "exited" and not record.get("empty"):
            self.exited[key] = record
            return
        for table in (self.intents, self.started, self.exited, self.notes, self.boot_of):
            table.pop(key, None)
        self.finished[key] = record["seq"]

    @property
    def live(self) -> list[Key]:
        """Tasks of which something may be left, in order of key."""
        return sorted(self.intents.keys() | self.started.keys() | self.exited.keys())


def take_over(resident: Resident) -> None:
    """Read the journal, adopt what runs, record the ends of what does not."""
    past = Past()
    for record in resident.journal.replay():
        past.see(record)
    journal = resident.journal
    resident.fence = past.fence
    journal.acked = past.acked
    for key, seq in sorted(past.finished.items(), key=lambda item: item[1]):
        if seq > past.acked:
            resident.endings.remember(seq, key)
    boot = records.note(journal.next_seq(), "boot", boot_id=resident.boot_id, fence=past.fence, acked=past.acked)
    journal.add(boot, public=False)
    pool = resident.setup.pool
    if pool is not None:
        pool.clear_stale({record.get("group", "") for record in past.intents.values()})
    for key in past.live:
        _take_over(resident, past, key)
    journal.flush()
    journal.announce()  # nobody observes yet; observers read it from the file


def _take_over(resident: Resident, past: Past, key: Key) -> None:
    task = _remembered(past, key)
    same_boot = past.boot_of.get(key, past.boot_id) == resident.boot_id
    _keep_lines(task, past, key)
    if task.lease and key not in past.started:
        _hand_back(resident, task)
        return
    if same_boot and key not in past.exited and _identified(resident, task, key in past.started):
        if key not in past.started:
            task.started_at_ms = clock.wall_ms() - (clock.boot_ms() - clock.boot_ms_of_ticks(task.start_ticks))
            _add_started(resident, task)
        _attach(resident, task)
        _restore_limits(resident, task, past.notes.get(key, []))
        return
    task.pid = task.pid or -1
    left = bool(tagged(resident.home_tag, *key)) if same_boot and not task.lease else False
    if key not in past.exited:
        resident.endings.record(task, _unknown_end(task, same_boot, left, key in past.started))
    if left:
        task.draining = True
        _attach(resident, task)
        resident.endings.end(task, "", task.stop_reason, task.grace_ms)
        resident.endings.look(task)
    elif key in past.exited:
        seq = resident.journal.next_seq()
        resident.journal.add(records.emptied(seq, task, clock.wall_ms()))
        resident.endings.remember(seq, key)


def _hand_back(resident: Resident, task: Task) -> None:
    """Nobody was told of this lease: whoever asked for it is best served by another try."""
    seq = resident.journal.next_seq()
    why = "the supervisor ended before it was held"
    resident.journal.add(records.rejected(seq, task, "node", "supervisor_ended", why, clock.wall_ms()))
    resident.endings.remember(seq, task.key)


def _remembered(past: Past, key: Key) -> Task:
    intent, started = past.intents.get(key, {}), past.started.get(key, {})
    task = Task(*key, fence=_integer(started or intent, "fence"))
    task.adopted = True
    task.pid = _integer(started, "pid")
    task.start_ticks = _integer(started, "start_ticks")
    task.started_at_ms = _integer(started, "at_ms")
    task.lease = bool(intent.get("lease"))
    task.started_boot_ms = _integer(started, "boot_ms") if task.lease else clock.boot_ms_of_ticks(task.start_ticks)
    for name in ("time_limit_ms", "grace_ms", "cpu_milli", "memory_bytes", "oom_before", "room", "uid"):
        setattr(task, name, _integer(intent, name))
    task.group_path = _text(intent, "group")
    task.devices = _texts(intent, "devices")
    task.log_files = _texts(intent, "logs")
    return task


def _keep_lines(task: Task, past: Past, key: Key) -> None:
    """For compaction: the records this task still needs, rendered anew."""
    for record in (past.intents.get(key), past.started.get(key), *past.notes.get(key, []), past.exited.get(key)):
        if record is not None:
            fields = {name: value for name, value in record.items() if name not in ("seq", "kind")}
            task.lines.append((record["seq"], records.note(record["seq"], record["kind"], **fields)))


def _identified(resident: Resident, task: Task, was_started: bool) -> bool:
    """Find the task's main process and hold on to it; False if it is not there any more."""
    if task.lease:
        return holding.grasp(task)
    for pid in [task.pid] if was_started else filter(_leads, tagged(resident.home_tag, task.attempt, task.task)):
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            continue
        found = proc.stat(pid)
        if found is None or not found.alive or (was_started and found.start_ticks != task.start_ticks):
            os.close(pidfd)
            continue
        task.pid, task.start_ticks, task.pidfd = pid, found.start_ticks, pidfd
        task.started_boot_ms = clock.boot_ms_of_ticks(found.start_ticks)
        return True
    return False


def _leads(pid: int) -> bool:
    found = proc.stat(pid)
    return found is not None and found.session == pid


def _add_started(resident: Resident, task: Task) -> None:
    seq = resident.journal.next_seq()
    line = records.started(seq, task)
    task.lines.append((seq, line))
    resident.journal.add(line)


def _attach(resident: Resident, task: Task) -> None:
    pool = resident.setup.pool
    if pool is not None and task.group_path and os.path.isdir(task.group_path):
        task.group = pool.kind.attach(task.group_path)
    resident.locks.adopt(task.devices)
    resident.adopted(task)


def _restore_limits(resident: Resident, task: Task, notes: list[Record]) -> None:
    endings = resident.endings
    for note in notes:
        if note["kind"] == "resized":
            task.cpu_milli, task.memory_bytes = _integer(note, "cpu_milli"), _integer(note, "memory_bytes")
    if task.group is not None:
        with suppress(OSError):  # the limits that the earlier supervisor set still stand
            task.group.confine(task.pid, task.cpu_milli, task.memory_bytes)
    if task.time_limit_ms:
        task.deadline_boot_ms = task.started_boot_ms + task.time_limit_ms
    for note in notes:
        if note["kind"] == "suspended":
            task.frozen, task.paused, task.deadline_boot_ms = True, True, 0
            task.remaining_ms = _integer(note, "remaining_ms")
            task.frozen_boot_ms = _integer(note, "at_boot_ms")
        elif note["kind"] == "resumed":
            task.frozen, task.remaining_ms = False, 0
            task.deadline_boot_ms = _integer(note, "deadline_boot_ms")
            task.stood_ms = _integer(note, "stood_ms")
        elif note["kind"] == "limited":
            for name in ("time_limit_ms", "deadline_boot_ms", "remaining_ms"):
                setattr(task, name, _integer(note, name))
    if task.deadline_boot_ms:
        resident.timers.add(task.deadline_boot_ms, LIMIT, task)
    wishes = [note for note in notes if note["kind"] == "ending"]
    if wishes:
        kill_at_ms = min(_integer(note, "kill_at_ms") for note in wishes)
        grace_ms = max(kill_at_ms - clock.boot_ms(), 0)
        endings.end(task, _text(wishes[0], "reason"), _text(wishes[0], "stop_reason"), grace_ms)


def _unknown_end(task: Task, same_boot: bool, left: bool, was_started: bool) -> End:
    end = End()
    end.at_ms = clock.wall_ms()
    end.empty = not left
    if not same_boot:
        end.why = "the machine restarted"
    elif task.lease:
        end.reason, end.why = "exit", holding.HOLDER_ENDED
    elif was_started:
        end.why = "it ended while no supervisor watched, so its exit code is lost"
    else:
        end.why = "the supervisor ended while starting it; it may have run"
    if was_started and same_boot:
        end.wall_ms = max(clock.boot_ms() - task.started_boot_ms, 0)
    return end


def _integer(record: Record, name: str) -> int:
    value = record.get(name, 0)
    return value if type(value) is int else 0


def _text(record: Record, name: str) -> str:
    value = record.get(name, "")
    return value if isinstance(value, str) else ""


def _texts(record: Record, name: str) -> tuple[str, ...]:
    value = record.get(name, [])
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
