"""The journal without processes: order, torn lines, full disks, compaction, catching up."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from tenure.executors.local.supervisor import journal as journals
from tenure.executors.local.supervisor import records
from tenure.executors.local.supervisor.journal import DiskFull, Journal
from tenure.executors.local.supervisor.task import Task

WRITE, ALLOCATE = os.write, os.posix_fallocate


class Disk:
    """os.write onto a disk with so many bytes of room; the reserve of the journal counts as room once it is gone."""

    def __init__(self, room: int, reserve: Path, reserve_bytes: int = 400) -> None:
        self.room = room
        self.reserve = reserve
        self.reserve_bytes = reserve_bytes

    def fallocate(self, fd: int, _offset: int, length: int) -> None:
        if self.room < length:
            raise OSError(errno.ENOSPC, "No space left on device")
        ALLOCATE(fd, 0, length)

    def write(self, fd: int, data: bytes) -> int:
        if self.reserve_bytes and not self.reserve.exists():
            self.room += self.reserve_bytes
            self.reserve_bytes = 0
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = WRITE(fd, data[: self.room])
        self.room -= count
        return count


def ended(journal: Journal, attempt: int) -> bytes:
    task = Task(attempt, 0, 1)
    return records.emptied(journal.next_seq(), task, 5)


def replayed(folder: Path) -> tuple[Journal, list[int]]:
    again = Journal(str(folder))
    return again, [record["seq"] for record in again.replay()]


def test_what_is_added_is_written_once_and_announced_after(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    line = ended(journal, 1)
    journal.add(line)
    journal.add(records.note(journal.next_seq(), "ack", upto=1), public=False)
    assert (tmp_path / "journal.jsonl").read_bytes() == b""
    journal.flush()
    assert journal.announce() == line
    assert journal.announce() == b""
    journal.flush()
    journal.close()
    again, seqs = replayed(tmp_path)
    assert seqs == [1, 2]
    assert again.next_seq() == 3
    again.close()


def test_a_torn_line_costs_itself_only(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    journal.add(ended(journal, 1))
    journal.flush()
    whole = (tmp_path / "journal.jsonl").read_bytes()
    for cut in range(len(whole)):
        (tmp_path / "journal.jsonl").write_bytes(whole + whole[:cut])
        again, seqs = replayed(tmp_path)
        twice = cut == len(whole) - 1  # only its end of line is missing
        assert seqs == [1, 1] if twice else seqs == [1]
        assert again.bad_lines == (0 if twice or not cut else 1)
        again.add(ended(again, 2))
        again.flush()
        again.close()
        last, seqs = replayed(tmp_path)
        assert sorted(set(seqs)) == [1, 2]
        last.close()
    journal.close()


def test_a_full_disk_takes_no_intent(tmp_path: Path) -> None:
    disk = Disk(100, tmp_path / "reserve")
    journal = Journal(str(tmp_path), disk.write)
    journal.intend(b"x" * 59 + b"\n")
    with pytest.raises(DiskFull):
        journal.intend(b"y" * 59 + b"\n")
    assert (tmp_path / "journal.jsonl").read_bytes() == b"x" * 59 + b"\n", "no half of it stays"
    assert journal.reserved, "the reserve is for ends"
    journal.close()


def test_a_full_disk_takes_ends_until_the_reserve_is_used_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(30, tmp_path / "reserve", 200)
    journal = Journal(str(tmp_path), disk.write)
    lines = [ended(journal, attempt) for attempt in range(1, 6)]
    assert len(lines[0]) * 2 < 230 < len(lines[0]) * 3
    journal.add(lines[0])
    journal.add(lines[1])
    journal.flush()
    assert journal.announce() == lines[0] + lines[1]
    assert not journal.reserved
    monkeypatch.setattr(os, "posix_fallocate", disk.fallocate)
    with pytest.raises(DiskFull):
        journal.intend(b"z\n")
    journal.add(lines[2])
    journal.flush()
    assert journal.blocked
    assert journal.announce() == b"", "nothing is told before it is written"
    journal.add(lines[3])
    journal.flush()
    assert journal.announce() == b""
    disk.room = 1 << 20
    journal.flush()
    assert journal.announce() == lines[2] + lines[3]
    assert not journal.blocked
    journal.intend(lines[4])
    assert journal.reserved, "made again once there is room"
    assert (tmp_path / "journal.jsonl").read_bytes() == b"".join(lines)
    journal.close()


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    def broken(_fd: int, _data: bytes) -> int:
        raise OSError(errno.EIO, "Input/output error")

    journal = Journal(str(tmp_path), broken)
    with pytest.raises(OSError, match="Input/output"):
        journal.intend(b"x\n")
    journal.add(b"y\n")
    with pytest.raises(OSError, match="Input/output"):
        journal.flush()


def test_compaction_keeps_the_head_and_what_is_not_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "COMPACT_BYTES", 2_000)
    monkeypatch.setattr(journals, "_MARK_BYTES", 500)
    journal = Journal(str(tmp_path))
    for attempt in range(100):
        journal.add(ended(journal, attempt))
        journal.flush()
    assert journal.announce()
    assert not journal.acknowledge(5), "not worth it yet"
    assert not journal.acknowledge(4), "acknowledged before"
    assert journal.acknowledge(90)
    assert journal.compact([records.note(journal.next_seq(), "boot", boot_id="b")])
    told, offset, seqs = b"", 0, []
    while offset < journal.size:
        told, offset = journal.public_lines(offset, 90, 700)
        seqs += [json.loads(line)["seq"] for line in told.splitlines()]
    assert seqs == list(range(91, 101))
    assert journal.size < 3_000
    journal.add(ended(journal, 200))
    journal.flush()
    journal.close()
    again, seqs = replayed(tmp_path)
    assert seqs[-1] == again.seq == 104
    assert not (tmp_path / "journal.jsonl.new").exists()
    again.close()


def test_compaction_without_room_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(str(tmp_path))
    journal.add(ended(journal, 1))
    journal.flush()
    before = (tmp_path / "journal.jsonl").read_bytes()
    disk = Disk(10, tmp_path / "none", 0)
    monkeypatch.setattr(os, "write", disk.write)
    assert not journal.compact([b"head\n" * 10])
    assert (tmp_path / "journal.jsonl").read_bytes() == before
    assert not (tmp_path / "journal.jsonl.new").exists()
    journal.close()


def test_observers_are_told_only_whole_public_lines(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    lines = [ended(journal, attempt) for attempt in (1, 2, 3)]
    for line in lines:
        journal.add(line)
    journal.add(records.note(journal.next_seq(), "fence", fence=3), public=False)
    journal.add(b'{"seq":77,"kind":"exited","attempt\n', public=False)
    journal.flush()
    assert journal.public_lines(0, 1) == (lines[1] + lines[2], journal.size)
    first, offset = journal.public_lines(0, 0, len(lines[0]) + 3)
    assert (first, offset) == (lines[0], len(lines[0]))
    journal.close()
