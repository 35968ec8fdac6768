"""Checkpoints that jobs tell of: what counts as told, how often it is, and files that would hurt who opens them."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from tenure.model.measures import LiveTask
from tenure.monitors.checkpoints import EARLY_MS, EVERY_MS, MOST_BYTES, Checkpoints
from tenure.monitors.tasks import TaskLook
from tenure.monitors.watch import Round

NOW_MS = 1_700_000_000_000


class Rig:
    """A folder, jobs that run or wait, and what was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[int] = []
        self.waiting: set[int] = set()
        self.told: list[tuple[int, int]] = []
        self.seen = Checkpoints(str(folder), self.tell, lambda jobs: self.waiting & set(jobs))

    def tell(self, marks: Sequence[tuple[int, int]]) -> None:
        self.told += marks

    def touch(self, name: str, at_ms: int) -> None:
        path = self.folder / name
        path.touch()
        os.utime(path, ns=(at_ms * 1_000_000, at_ms * 1_000_000))

    def round(self, now_ms: int) -> list[tuple[int, int]]:
        """What one round tells."""
        self.told.clear()
        looks = [TaskLook(LiveTask(100 + job_id, 0, job_id, ()), {}) for job_id in self.running]
        self.seen(Round(now_ms, {"tasks": looks}))
        return list(self.told)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_a_job_that_runs_is_told_of_at_once_and_then_once_a_minute(rig: Rig) -> None:
    rig.running = [7]
    assert rig.round(NOW_MS) == []
    rig.touch("7", NOW_MS)
    assert rig.round(NOW_MS + 5) == [(7, NOW_MS)]
    rig.touch("7", NOW_MS + 10)
    assert rig.round(NOW_MS + 20) == []
    assert rig.round(NOW_MS + EVERY_MS) == [(7, NOW_MS + 10)]
    assert rig.round(NOW_MS + 9 * EVERY_MS) == []


def test_what_could_not_be_told_is_told_later(rig: Rig) -> None:
    def fail(marks: Sequence[tuple[int, int]]) -> None:
        raise OSError

    rig.running = [7]
    rig.touch("7", NOW_MS)
    rig.seen._tell = fail
    with pytest.raises(OSError):
        rig.round(NOW_MS)
    rig.seen._tell = rig.tell
    assert rig.round(NOW_MS) == [(7, NOW_MS)]


def test_a_displaced_job_keeps_its_file_and_who_has_ended_does_not(rig: Rig) -> None:
    rig.touch("7", NOW_MS)
    rig.touch("8", NOW_MS)
    rig.waiting = {7}
    assert rig.round(NOW_MS) == [(7, NOW_MS), (8, NOW_MS)]
    assert sorted(os.listdir(rig.folder)) == ["7"]
    rig.touch("7", NOW_MS + 1)
    rig.running = [7]  # in another run, before which it was written
    assert rig.round(NOW_MS + 2) == [(7, NOW_MS + 1)]


def test_a_time_that_is_to_come_is_not_believed(rig: Rig) -> None:
    rig.running = [7, 8]
    rig.touch("7", NOW_MS + EARLY_MS + 1)
    rig.touch("8", NOW_MS + 5)
    assert rig.round(NOW_MS) == [(8, NOW_MS)]


def test_nothing_is_opened_that_could_hurt(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "file"
    elsewhere.touch()
    rig.running = [1, 2, 3, 4]
    (rig.folder / "1").symlink_to(elsewhere)
    os.mkfifo(rig.folder / "2")
    (rig.folder / "3").mkdir()
    (rig.folder / "4").write_bytes(b"x" * (MOST_BYTES + 1))
    (rig.folder / "notes").touch()
    assert rig.round(2 * NOW_MS) == []
    rig.running = []
    rig.round(2 * NOW_MS)
    assert elsewhere.exists()
    assert sorted(os.listdir(rig.folder)) == ["3", "notes"]
    assert stat.S_ISDIR((rig.folder / "3").stat().st_mode)


def test_a_folder_that_is_not_there_or_is_a_link_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "7").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name in ("none", "link"):
        rig = Rig(tmp_path / name)
        assert rig.round(2 * NOW_MS) == []
    assert (tmp_path / "real" / "7").exists()
