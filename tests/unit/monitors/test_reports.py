"""Files in which jobs report: whole lines only, nonsense costs one line, and everything counts exactly once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.model.measures import LiveTask, Point, Reported
from tenure.monitors import reports as module
from tenure.monitors.keeping import Keeping
from tenure.monitors.reports import Reports, Writer
from tenure.monitors.tasks import TaskLook
from tenure.monitors.watch import Round
from tests.support.examples import examples

NOW_MS = 1_700_000_000_000
LIVE = Writer(3, lives=True)
ENDED = Writer(3, lives=False)


def values(found: Reported | None) -> list[tuple[str, int, float]]:
    return [] if found is None else [(point.name, point.at_ms, point.value) for point in found.points]


def test_whole_lines_are_read_once_the_store_has_them(tmp_path: Path) -> None:
    file = tmp_path / "7.0"
    reports = Reports(str(tmp_path))
    assert reports.waiting() == []
    file.write_text(f'{{"loss": 1, "step": 5, "at_ms": {NOW_MS - 9}}}\n{{"loss": 0.')
    assert reports.waiting() == [(7, 0)]
    found = reports.read((7, 0), LIVE, NOW_MS)
    assert values(found) == [("loss", NOW_MS - 9, 1.0), ("step", NOW_MS - 9, 5.0)]
    assert reports.read((7, 0), LIVE, NOW_MS) == found  # nobody said that it was kept
    assert found is not None
    reports.taken({(7, 0): found.end})
    assert reports.read((7, 0), LIVE, NOW_MS) is None
    with file.open("a") as more:
        more.write("5}\n")
    assert values(reports.read((7, 0), LIVE, NOW_MS)) == [("loss", NOW_MS, 0.5)]
    assert reports.latest[7, 0] == {"loss": (NOW_MS, 0.5), "step": (NOW_MS - 9, 5.0)}


@pytest.mark.parametrize(
    "line",
    ["{", "[1]", "7", '{"loss": "low"}', '{"loss": true}', '{"lo ss": 1}', '{"loss": 1e999}', '{"loss": NaN}', "\xff", '{"x": [1]}'],
)
def test_nonsense_costs_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "7.0").write_text(f'{line}\n{{"ok": 1}}\n', encoding="latin-1")
    assert values(Reports(str(tmp_path)).read((7, 0), LIVE, NOW_MS)) == [("ok", NOW_MS, 1.0)]


@pytest.mark.parametrize("said", [NOW_MS - 90_000_000, NOW_MS + 120_000, "soon", 1.5, None])
def test_a_time_that_cannot_be_is_not_believed(tmp_path: Path, said: Any) -> None:
    (tmp_path / "7.0").write_text(json.dumps({"a": 1, "at_ms": said}) + "\n")
    assert values(Reports(str(tmp_path)).read((7, 0), LIVE, NOW_MS)) == [("a", NOW_MS, 1.0)]


def test_of_a_task_that_ended_the_rest_counts_without_its_newline(tmp_path: Path) -> None:
    (tmp_path / "7.0").write_text('{"a": 1}')
    reports = Reports(str(tmp_path))
    assert reports.read((7, 0), LIVE, NOW_MS) is None
    assert values(reports.read((7, 0), ENDED, NOW_MS)) == [("a", NOW_MS, 1.0)]


def test_what_is_no_file_of_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "target").write_text('{"a": 1}\n')
    (tmp_path / "8.0").symlink_to(tmp_path / "target")
    reports = Reports(str(tmp_path))
    assert reports.waiting() == [(8, 0)]
    assert reports.read((8, 0), LIVE, NOW_MS) is None


def test_a_file_is_read_in_pieces_and_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE_BYTES", 100)
    monkeypatch.setattr(module, "PUNCH_BYTES", 4096)
    file = tmp_path / "7.0"
    file.write_text("x" * 500 + "\n" + '{"a": 1}\n' * 2000)
    reports, got = Reports(str(tmp_path)), 0
    before = file.stat().st_blocks
    while (piece := reports.read((7, 0), LIVE, NOW_MS)) is not None:
        got += len(piece.points)
        reports.taken({(7, 0): piece.end})
    assert got == 2000
    assert file.stat().st_size == 501 + 18_000
    assert file.stat().st_blocks < before  # what was read needs no room any more


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_can_hurt(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("r")
    (folder / "7.0").write_bytes(data)
    found = Reports(str(folder)).read((7, 0), ENDED, NOW_MS)
    assert (found is None) == (not data)
    assert found is None or found.end <= len(data)


class StoreDouble:
    """Keeps like the store: a piece counts only at its offset."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.offsets: dict[tuple[int, int], int] = {}
        self.forgotten: list[tuple[int, int]] = []
        self.writers: dict[tuple[int, int], Writer] = {}
        self.fails = False

    def keep(self, points: Sequence[Point], reported: Sequence[Reported]) -> Mapping[tuple[int, int], int]:
        self.points += points
        for one in reported:
            if self.offsets.get((one.attempt_id, one.task), 0) == one.start:
                self.points += one.points
                self.offsets[one.attempt_id, one.task] = one.end
        if self.fails:
            raise TimeoutError
        return {(one.attempt_id, one.task): self.offsets[one.attempt_id, one.task] for one in reported}

    def keeping(self, folder: Path) -> Keeping:
        return Keeping(
            Reports(str(folder)), self.keep, lambda keys: {k: self.writers[k] for k in keys if k in self.writers}, self.forget
        )

    def forget(self, keys: Sequence[tuple[int, int]]) -> None:
        self.forgotten += keys


def seen(*tasks: LiveTask) -> Round:
    return Round(NOW_MS, {"tasks": tuple(TaskLook(task, {"memory_bytes": 5.0}) for task in tasks)})


def test_a_round_keeps_figures_and_reports(tmp_path: Path) -> None:
    store = StoreDouble()
    keeping = store.keeping(tmp_path)
    (tmp_path / "7.1").write_text('{"loss": 2}\n')
    keeping(seen(LiveTask(7, 1, 3)))
    assert store.points == [Point(3, 1, "memory_bytes", False, NOW_MS, 5.0), Point(3, 1, "loss", True, NOW_MS, 2.0)]
    keeping(Round(NOW_MS, {}))  # it is gone, and the store knows nothing of it
    assert not (tmp_path / "7.1").exists()


def test_a_file_stays_until_its_task_has_ended_and_was_read(tmp_path: Path) -> None:
    store = StoreDouble()
    keeping = store.keeping(tmp_path)
    (tmp_path / "7.0").write_text('{"loss": 2}\n')
    store.writers[7, 0] = Writer(3, lives=True)
    keeping(Round(NOW_MS, {}))
    keeping(Round(NOW_MS, {}))
    assert (tmp_path / "7.0").exists()
    store.writers[7, 0] = Writer(3, lives=False)
    with (tmp_path / "7.0").open("a") as file:
        file.write('{"loss": 1}\n')
    keeping(Round(NOW_MS, {}))
    assert (tmp_path / "7.0").exists()
    keeping(Round(NOW_MS, {}))
    assert not (tmp_path / "7.0").exists()
    assert store.forgotten == [(7, 0)]
    assert [point.value for point in store.points] == [2.0, 1.0]


def test_after_a_failure_or_a_new_start_nothing_is_lost_and_nothing_counts_twice(tmp_path: Path) -> None:
    store = StoreDouble()
    store.writers[7, 0] = Writer(3, lives=True)
    keeping = store.keeping(tmp_path)
    (tmp_path / "7.0").write_text('{"loss": 1}\n')
    store.fails = True
    with pytest.raises(TimeoutError):  # it was written all the same
        keeping(Round(NOW_MS, {}))
    store.fails = False
    with (tmp_path / "7.0").open("a") as file:
        file.write('{"loss": 2}\n')
    for _ in range(3):
        keeping(Round(NOW_MS, {}))
    again = store.keeping(tmp_path)
    with (tmp_path / "7.0").open("a") as file:
        file.write('{"loss": 3}\n')
    for _ in range(3):
        again(Round(NOW_MS, {}))
    assert [point.value for point in store.points] == [1.0, 2.0, 3.0]
