"""Other limits for a task that runs: what stands in the journal whenever the supervisor may be killed, and what is answered."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from tenure.executors.local.supervisor import amounts
from tenure.executors.local.supervisor.journal import Journal
from tenure.executors.local.supervisor.task import Task

MIB = 1 << 20
BEFORE = (2000, 512 * MIB)


class Kernel:
    """A control group that notes what a supervisor that took over at each change would set, and which takes what it ``can``."""

    path = ""

    def __init__(self, journal: Path, used: int = 0, *, can: bool = True) -> None:
        self.set = BEFORE
        self.seen: list[tuple[tuple[int, int], tuple[int, int]]] = []
        self._journal = journal
        self._used = used
        self._can = can

    def limit_cpu(self, cpu_milli: int) -> None:
        self._take((cpu_milli, self.set[1]))

    def limit_memory(self, memory_bytes: int) -> None:
        self._take((self.set[0], memory_bytes))

    def needed_bytes(self) -> int:
        return self._used

    def _take(self, limits: tuple[int, int]) -> None:
        if not self._can:
            raise OSError(errno.EBUSY, "busy")
        self.set = limits
        self.seen.append((limits, said(self._journal)))


class Disk:
    """os.write, until the disk is full."""

    full = False

    def write(self, fd: int, data: bytes) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(fd, data)


def said(journal: Path) -> tuple[int, int]:
    """What the journal says of the limits."""
    records = [json.loads(line) for line in journal.read_bytes().splitlines()]
    return next(((one["cpu_milli"], one["memory_bytes"]) for one in records[::-1] if one["kind"] == "resized"), BEFORE)


class Machine:
    """A task in a group, and its journal."""

    def __init__(self, folder: Path, used: int = 0, *, can: bool = True) -> None:
        self.disk = Disk()
        self.journal = Journal(str(folder), self.disk.write)
        self.file = folder / "journal.jsonl"
        self.kernel = Kernel(self.file, used, can=can)
        self.task = Task(1, 0, 1)
        self.task.group = self.kernel  # type: ignore[assignment]
        self.task.cpu_milli, self.task.memory_bytes = BEFORE

    def change(self, cpu_milli: int, memory_bytes: int) -> amounts.Kept:
        return amounts.change(self.task, cpu_milli, memory_bytes, self.journal)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_who_takes_over_in_the_middle_sets_no_less_than_the_kernel_had_and_no_more_than_is_held(machine: Machine) -> None:
    held = BEFORE
    for wanted in ((500, 128 * MIB), (1000, 64 * MIB), (400, 256 * MIB), BEFORE):
        held = (max(held[0], wanted[0]), max(held[1], wanted[1]))  # the store takes what is more before it asks
        assert machine.change(*wanted) == (*wanted, "")
        assert said(machine.file) == machine.kernel.set == wanted
        for limits, journal in machine.kernel.seen:
            assert all(now <= told <= most for now, told, most in zip(limits, journal, held, strict=True))
        machine.kernel.seen.clear()
        held = wanted


def test_what_the_kernel_does_not_take_is_not_what_the_journal_says_in_the_end(tmp_path: Path) -> None:
    machine = Machine(tmp_path, can=False)
    for wanted in ((500, 128 * MIB), (3000, 1024 * MIB)):
        cpu_milli, memory_bytes, why = machine.change(*wanted)
        assert (cpu_milli, memory_bytes) == said(machine.file) == BEFORE
        assert "busy" in why


def test_a_limit_leaves_headroom_above_what_is_used(tmp_path: Path) -> None:
    machine = Machine(tmp_path, used=80 * MIB)
    assert machine.change(0, 90 * MIB - 1)[1] == BEFORE[1]
    assert machine.change(0, 90 * MIB) == (BEFORE[0], 90 * MIB, "")


def test_what_cannot_be_written_down_is_not_answered(machine: Machine) -> None:
    machine.change(500, 128 * MIB)
    (machine.file.parent / "reserve").unlink()
    machine.journal.reserved = False
    machine.disk.full = True
    for wanted in ((400, 96 * MIB), (400, 96 * MIB), (1000, 256 * MIB)):
        assert machine.change(*wanted)[:2] == (None, None)
        assert machine.kernel.set == (400, 96 * MIB), "a task is not let use more than a later supervisor would let it"
    machine.disk.full = False
    assert machine.change(400, 96 * MIB) == (400, 96 * MIB, "")
    assert said(machine.file) == (400, 96 * MIB)
