"""What can be wrong with a database file, and what is said about it; nothing of a person's is ever removed."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tenure.model.commands import Applied, CancelJob, JobRequest, Refused, SubmitJob
from tenure.ports import StoreUnavailable
from tenure.store import SqlStore, StoreSettings, ballast, open_sqlite, sqlite
from tenure.testing.store_rig import ADA, ONE_CPU, SPEC, StoreRig, ended, started
from tenure.wire.dto import Selection

JOBS = 1000


def refused(path: str, **settings: int) -> StoreUnavailable:
    """The refusal to open a database."""
    with pytest.raises(StoreUnavailable) as caught:
        open_sqlite(path, StoreSettings(ballast_bytes=0, **settings))
    assert "\n" not in caught.value.why
    return caught.value


def test_a_file_that_is_no_database_is_kept(path: str) -> None:
    Path(path).write_bytes(b"my thesis, chapter one" * 1000)
    assert refused(path).code == "corrupt"
    assert Path(path).read_bytes().startswith(b"my thesis")


def test_a_database_of_another_program_is_kept(path: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
        other.commit()
    assert refused(path).code == "foreign_database"
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM recipes").fetchone() == (0,)


def test_a_damaged_database_is_reported(rig: StoreRig, path: str) -> None:
    for _ in range(50):
        rig.submit()
    rig.store.close()
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    assert refused(path).code == "corrupt"


def test_a_path_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    assert refused(str(tmp_path / "missing" / "tenure.db")).code == "unreadable"
    assert refused(str(tmp_path)).code == "unreadable"


def test_a_network_file_system_is_refused(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_file_system", lambda _directory: 0x6969)
    error = refused(path)
    assert error.code == "network_file_system"
    assert "NFS" in error.why


def test_the_kind_of_a_file_system_is_known(tmp_path: Path) -> None:
    assert sqlite._file_system(str(tmp_path)) not in (0, 0x6969)
    assert sqlite._file_system(str(tmp_path / "missing")) == 0


def test_a_writer_that_waits_too_long_says_so(rig: StoreRig, path: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert refused(path, busy_timeout_ms=1).code == "locked"
    rig.submit()


def test_after_an_error_the_store_is_opened_again(rig: StoreRig, store: SqlStore) -> None:
    job = rig.submit()
    store.database.link.cursor.connection.close()  # type: ignore[attr-defined]
    with pytest.raises(sqlite3.ProgrammingError):
        rig.submit()
    store.database.drop()  # type: ignore[attr-defined]
    assert rig.pending(job) is not None
    rig.submit()
    rig.sound()


class FullDisk:
    """Makes the database meet a full disk, and the file system say that it is full."""

    def __init__(self, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store = store
        self.free = 0
        monkeypatch.setattr(ballast.os, "statvfs", self._statvfs)

    def _statvfs(self, _path: str) -> os.statvfs_result:
        return os.statvfs_result((4096, 4096, 0, self.free // 4096, self.free // 4096, 0, 0, 0, 0, 255))

    def fill(self) -> None:
        """The next page is one too many."""
        cursor = self._store.database.link.cursor
        cursor.execute("PRAGMA page_count")
        cursor.execute(f"PRAGMA max_page_count={cursor.fetchone()[0]}")


@pytest.fixture
def disk(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    """A disk to fill."""
    return FullDisk(store, monkeypatch)


def until_full(rig: StoreRig) -> StoreUnavailable:
    """Submit until the disk is full."""
    with pytest.raises(StoreUnavailable) as caught:  # noqa: PT012 - one of them is too many
        for _ in range(10_000):
            rig.submit()
    return caught.value


def test_on_a_full_disk_exits_are_recorded_and_submissions_refused(rig: StoreRig, store: SqlStore, path: str, disk: FullDisk) -> None:
    launch = rig.run(rig.submit())
    assert os.path.getsize(f"{path}.ballast") == 1 << 20
    disk.fill()
    assert until_full(rig).code == "disk_full"
    assert not os.path.exists(f"{path}.ballast")
    assert rig.states(rig.record(ended(launch))) == {launch.job_id: "succeeded"}
    answer = rig.apply(SubmitJob(rig.key(), ADA, JobRequest("late", ONE_CPU), SPEC))
    assert isinstance(answer, Refused)
    assert answer.code == "disk_full"
    assert isinstance(rig.act(CancelJob, launch.job_id), Applied)
    disk.free = 2 << 20
    rig.submit()
    assert os.path.exists(f"{path}.ballast")
    rig.sound()


def test_what_failed_for_want_of_room_has_not_happened(rig: StoreRig, disk: FullDisk) -> None:
    rig.submit()
    before = rig.store.snapshot(rig.now_ms)
    disk.fill()
    with pytest.raises(StoreUnavailable), rig.store.group():  # noqa: PT012 - it fails somewhere in the middle
        for _ in range(10_000):
            rig.submit()
    assert rig.store.snapshot(rig.now_ms) == before
    rig.sound()


def test_a_ballast_that_cannot_be_taken_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    kept = ballast.Ballast(str(tmp_path / "b"), 4096)
    monkeypatch.setattr(ballast.os, "posix_fallocate", full)
    assert not kept.take()
    assert not (tmp_path / "b").exists()
    assert ballast.Ballast(str(tmp_path / "b"), 0).take()


def test_a_writer_killed_at_any_moment_leaves_a_sound_store(rig: StoreRig, path: str) -> None:
    """Kill -9 while it writes; what it had acknowledged is there, and nothing is half done."""
    rig.store.close()
    for lines in (1, 7, 23):
        acknowledged = _killed_after(path, lines)
        rig.reopen()
        rig.sound()
        known = {event.job_id for event in rig.store.events(0, 10**6)[0] if event.kind == "job.submitted"}
        assert acknowledged <= known
        rig.store.close()
    rig.reopen()


def _killed_after(path: str, lines: int) -> set[int]:
    """Run a writer, kill it after so many acknowledgements; the job ids it had acknowledged."""
    with subprocess.Popen([sys.executable, "-m", "tests.unit.store.endless_writer", path], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        seen = [writer.stdout.readline() for _ in range(lines)]
        writer.kill()
        seen += writer.stdout.readlines()
    return {int(line) for line in seen if line.endswith(b"\n")}


def test_a_thousand_cancels_while_readers_poll(rig: StoreRig, store: SqlStore) -> None:
    jobs = [rig.submit() for _ in range(JOBS)]
    done = threading.Event()
    failures: list[BaseException] = []
    readers = [threading.Thread(target=_poll, args=(store, done, failures)) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        answers = [rig.act(CancelJob, job) for job in jobs]
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not failures
    assert all(isinstance(answer, Applied) for answer in answers)
    with closing(store.queries()) as queries:
        assert queries.counts() == {"cancelled": JOBS}
    rig.sound()


def _poll(store: SqlStore, done: threading.Event, failures: list[BaseException]) -> None:
    try:
        with closing(store.queries()) as queries:
            while not done.is_set():
                queries.jobs(Selection(states=["active"], limit=100), ADA)
                queries.events(0, 100)
    except Exception as error:
        failures.append(error)


@pytest.fixture(autouse=True)
def _no_litter(path: str) -> Iterator[None]:
    yield
    assert not [name for name in os.listdir(os.path.dirname(path)) if name.endswith(".partial")]


def synchronised(store: SqlStore) -> int:
    """How the writer's connection commits: 2 is with the disk, 1 is with the kernel."""
    store.database.link.cursor.execute("PRAGMA synchronous")
    return int(store.database.link.cursor.fetchone()[0])


def test_only_what_need_not_last_is_not_synchronised(rig: StoreRig, store: SqlStore) -> None:
    launch = rig.start(rig.submit())[0]
    assert synchronised(store) == 2
    assert not store.settle()
    with store.group(lasting=False):
        rig.record(started(launch))
        assert synchronised(store) == 1
    rig.submit()
    assert synchronised(store) == 2
    assert not store.settle(), "that made the other last too"
    with store.group(lasting=False):
        rig.record(ended(launch))
    assert store.settle()
    assert synchronised(store) == 2
    assert not store.settle()
    with store.group(lasting=False):
        rig.submit()
    store.database.drop()  # as after an error: the next connection is a new one
    rig.submit()
    assert synchronised(store) == 2


def test_the_end_of_the_machine_undoes_what_was_not_to_last_and_no_more(
    rig: StoreRig, store: SqlStore, path: str, tmp_path: Path
) -> None:
    launch = rig.start(rig.submit())[0]
    log = Path(f"{path}-wal")
    on_disk = log.stat().st_size
    with store.group(lasting=False):
        rig.record(started(launch))
    assert log.stat().st_size > on_disk
    for name, length in (("kept.db", None), ("lost.db", on_disk)):
        (tmp_path / name).write_bytes(Path(path).read_bytes())
        (tmp_path / f"{name}-wal").write_bytes(log.read_bytes()[:length])
        with closing(open_sqlite(str(tmp_path / name))) as found:
            assert found.check() == []
            assert len(found.live_tasks()) == 1
            waits = found.claim_commands(rig.epoch, rig.now_ms).launches
            assert len(waits) == (1 if name == "lost.db" else 0)


def test_events_are_told_once_they_last(rig: StoreRig, store: SqlStore) -> None:
    launch = rig.start(rig.submit())[0]
    with closing(store.queries()) as queries:
        before = queries.last_cursor()
        with store.group(lasting=False):
            rig.record(started(launch))
        assert queries.events(before, 10) == ([], False)
        assert queries.last_cursor() == queries.jobs(Selection(), ADA).revision == before
        assert store.settle()
        assert [event.kind for event in queries.events(before, 10)[0]] == ["job.running"]
        with store.group(lasting=False):
            rig.record(ended(launch))
        rig.submit()
        told = [event.kind for event in queries.events(before, 10)[0]]
        assert told == ["job.running", "job.ended", "job.submitted"]
