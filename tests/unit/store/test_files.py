"""Files that belong to jobs: what a waiting, running or lately ended job needs is never removed, the rest is, whatever the order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tenure.client.files import write_once
from tenure.client.snapshot import take
from tenure.model.commands import CancelJob, JobSpec, RequeueJob
from tenure.store import files as module
from tenure.store import open_sqlite
from tenure.store.files import Files, Places, Sweeping
from tenure.store.settings import StoreSettings
from tenure.store.store import SqlStore
from tenure.testing.store_rig import StoreRig, ended

KEEP_MS = 100_000


@dataclass
class Home:
    """A store and its directories; ``rig`` tells the time of both."""

    root: Path
    rig: StoreRig
    files: Files

    def old(self, path: Path, content: str = "x") -> Path:
        """A file that was written at the time of the first job."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return self.aged(path)

    def aged(self, path: Path) -> Path:
        """Let it have been changed long ago."""
        os.utime(path, (1, 1))
        return path

    def snapshot(self, name: str) -> Path:
        """An old snapshot directory with a file in it."""
        folder = self.root / "snapshots" / name
        self.old(folder / "train.py")
        return self.aged(folder)

    def later(self, by_ms: int = KEEP_MS * 2) -> None:
        """Time goes by, and retention does its work in the store."""
        self.rig.now_ms += by_ms
        self.rig.store.retain(self.rig.now_ms)

    def sweep(self) -> int:
        return self.files.sweep(self.rig.now_ms - KEEP_MS)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    settings = StoreSettings(log_dir=str(tmp_path / "logs"), keep_released_ms=KEEP_MS, ballast_bytes=0)
    rig = StoreRig(lambda: open_sqlite(str(tmp_path / "tenure.db"), settings))
    assert isinstance(rig.store, SqlStore)
    places = Places(*(str(tmp_path / name) for name in ("logs", "snapshots", "scripts", "lengths")))
    files = Files(rig.store.database, places)
    yield Home(tmp_path, rig, files)
    files.close()
    rig.store.close()


def test_logs_go_with_the_rows_of_their_run(home: Home) -> None:
    rig = home.rig
    gone, runs, array = rig.submit(), rig.submit(), rig.submit(array=((0, 1, 1),))
    first = rig.run(gone)
    rig.record(ended(first, 1))
    rig.act(RequeueJob, gone)
    again = rig.run(gone)
    lives, element = rig.run(runs), rig.run(array, position=1)
    logs = [home.old(Path(launch.stdout)) for launch in (first, again, lives, element)]
    rig.record(ended(element))
    home.later()
    assert home.sweep() == 2, "of the ended run and of the ended element"
    assert [log.exists() for log in logs] == [False, True, True, False]
    rig.record(ended(again), ended(lives))
    assert home.sweep() == 0, "its rows are there"
    home.later()
    assert home.sweep() == 2
    assert home.sweep() == 0


def test_what_is_known_of_the_length_of_a_log_goes_with_its_run(home: Home) -> None:
    over, lives = home.rig.run(home.rig.submit()), home.rig.run(home.rig.submit())
    records = [
        home.old(home.root / "lengths" / "0" / f"{launch.attempt_id}.0.{stream}") for launch in (over, lives) for stream in (0, 1)
    ]
    other = home.old(home.root / "lengths" / "0" / "notes")
    home.rig.record(ended(over))
    assert home.sweep() == 0
    home.later()
    assert home.sweep() == 2
    assert [record.exists() for record in records] == [False, False, True, True]
    assert other.exists()


def test_only_what_tenure_named_in_its_own_folders_is_looked_at(home: Home) -> None:
    kept = [
        home.old(home.root / "logs" / "notes" / "a.log"),
        home.old(home.root / "logs" / "0" / "notes.txt"),
        home.old(home.root / "out.log"),
    ]
    stray = home.old(home.root / "logs" / "0" / "7.1.log")
    young = home.old(home.root / "logs" / "0" / "8.1.log")
    home.later()
    os.utime(young)
    assert home.sweep() == 1
    assert not stray.exists()
    assert young.exists()
    assert all(path.exists() for path in kept)


def test_snapshots_and_scripts_stay_while_a_job_needs_them(home: Home) -> None:
    rig = home.rig
    shots = {name: home.snapshot(name) for name in ("waits", "runs", "ended", "array", "nobody")}
    script = home.old(home.root / "scripts" / "abc-train.sh")
    spare = home.old(home.root / "scripts" / "def-old.sh")

    def spec(name: str, *argv: str) -> JobSpec:
        return JobSpec(argv or ("python", "train.py"), str(shots[name] / "inner" if name == "runs" else shots[name]))

    waits = rig.submit(spec=spec("waits", "/bin/bash", str(script), "1"))
    rig.run(rig.submit(spec=spec("runs")))
    over = rig.run(rig.submit(spec=spec("ended")))
    rig.submit(spec=spec("array"), array=((0, 9, 1),))
    home.later()
    rig.record(ended(over))
    assert home.sweep() == 2
    assert not shots["nobody"].exists()
    assert not spare.exists()
    assert all(shots[name].exists() for name in ("waits", "runs", "ended", "array"))
    rig.act(CancelJob, waits)
    home.later()
    assert home.sweep() == 3
    assert [name for name in sorted(shots) if shots[name].exists()] == ["array", "runs"]
    assert not script.exists()


def test_what_is_used_anew_while_it_is_being_removed_stays(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    source = home.root / "src"
    source.mkdir()
    (source / "a").write_text("1")
    taken = Path(take(str(source), str(home.root / "snapshots")))
    script = home.root / "scripts" / "s"
    write_once(str(script), b"1", 0o700)
    home.aged(taken), home.aged(script)
    real = Files._copies_in_use

    def meanwhile(files: Files, before_ms: int) -> set[str]:
        used = real(files, before_ms)
        assert Path(take(str(source), str(home.root / "snapshots"))) == taken
        write_once(str(script), b"1", 0o700)
        return used

    monkeypatch.setattr(Files, "_copies_in_use", meanwhile)
    assert home.sweep() == 0
    assert (taken / "a").read_text() == "1"
    assert script.exists()


def test_what_an_interrupted_sweep_or_submission_left_is_removed(home: Home) -> None:
    for name in (".gone-abc", ".draft-77"):
        home.snapshot(name)
    home.old(home.root / "scripts" / "abc.77")
    home.old(home.root / "logs" / "0" / ".gone-1.1.log")
    assert home.sweep() == 4
    assert list((home.root / "snapshots").iterdir()) == []


def test_many_jobs_are_read_a_piece_at_a_time(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "JOBS_A_READ", 2)
    monkeypatch.setattr(module, "KEYS_A_READ", 2)
    shots = [home.snapshot(str(number)) for number in range(7)]
    for shot in shots[:6]:
        home.rig.submit(spec=JobSpec(("true",), str(shot)))
    assert home.sweep() == 1
    assert [shot.exists() for shot in shots] == [True] * 6 + [False]


def test_an_error_is_told_and_tried_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOONEST_S", 0.0)
    failures, told = [OSError("the disk is gone")], []

    class Failing(Files):
        swept = 0

        def sweep(self, before_ms: int) -> int:
            if failures:
                raise failures.pop()
            self.swept += 1
            sweeping._stopped.set()
            return 0

    assert isinstance(home.rig.store, SqlStore)
    failing = Failing(home.rig.store.database, home.files._places)
    sweeping = Sweeping(failing, 0, told.append)
    sweeping.start()
    sweeping.join(10)
    sweeping.stop()
    assert failing.swept == 1
    assert "the disk is gone" in told[0]
