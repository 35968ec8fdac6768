"""Reading this machine's own processes, device locks and log bounds, without a supervisor."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.executors.local.supervisor import clock, kernel, lengths, proc
from tenure.executors.local.supervisor.devices import Busy, DeviceLocks
from tenure.executors.local.supervisor.logs import Logs
from tenure.executors.local.supervisor.memory import limited
from tenure.executors.local.supervisor.task import Task

ODD = "import sys, time; open('/proc/self/comm', 'w').write(') S 1 1'); print(flush=True); time.sleep(60)"


@pytest.fixture
def odd() -> Iterator[subprocess.Popen[bytes]]:
    """A process with a name made to confuse."""
    env = {"A": "x", "TENURE_TASK_TAG": "home/1/0"}
    with subprocess.Popen([sys.executable, "-S", "-c", ODD], stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_process_is_read_whatever_its_name(odd: subprocess.Popen[bytes]) -> None:
    found = proc.stat(odd.pid)
    assert found is not None
    assert found.parent == os.getpid()
    assert found.session == os.getsid(0)
    assert abs(clock.ticks() - found.start_ticks) < 60 * clock.TICKS_PER_SECOND
    assert proc.alive(odd.pid)
    assert proc.tag(odd.pid) == b"home/1/0"
    assert odd.pid in proc.children(os.getpid())
    assert odd.pid in proc.descendants([os.getpid()])
    assert b"%d " % odd.pid in proc.OwnChildren().read()
    assert proc.rss_bytes(odd.pid) >= proc.pss_bytes(odd.pid) > 0
    odd.kill()
    os.waitid(os.P_PID, odd.pid, os.WEXITED | os.WNOWAIT)
    assert not proc.alive(odd.pid), "a zombie"
    assert proc.descendants([odd.pid]) == []


def test_what_is_not_there_reads_as_absent() -> None:
    pid = int(Path("/proc/sys/kernel/pid_max").read_text()) + 1
    assert proc.stat(pid) is None
    assert proc.tag(pid) is None
    assert proc.children(pid) == []
    assert proc.rss_bytes(pid) == 0
    assert proc.pss_bytes(pid) == 0
    assert proc.tag(os.getpid()) is None or b"/" in (proc.tag(os.getpid()) or b"")


def test_without_the_children_file_proc_is_searched(odd: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc, "_HAS_CHILDREN", False)
    assert odd.pid in proc.children(os.getpid())
    assert b"%d " % odd.pid in proc.OwnChildren().read()


def test_locks_are_counted_and_exclusive(tmp_path: Path) -> None:
    mine, other = DeviceLocks(str(tmp_path / "locks")), DeviceLocks(str(tmp_path / "locks"))
    assert len(mine.take(("a", "b"))) == 2
    mine.take(("a",))
    with pytest.raises(Busy, match="held by another daemon"):
        other.take(("c", "a"))
    assert len(other.take(("c",))) == 1, "nothing is kept of a refused wish"
    with pytest.raises(Busy, match="device c"):
        mine.take(("a", "c"))
    mine.release(("a", "b"))
    with pytest.raises(Busy, match="device a"):
        other.take(("a",))
    mine.release(("a",))
    other.take(("a", "b"))


def test_adopted_tasks_hold_their_devices_themselves(tmp_path: Path) -> None:
    (tmp_path / "a.lock").touch()
    inherited = os.open(tmp_path / "a.lock", os.O_RDWR)
    fcntl.flock(inherited, fcntl.LOCK_EX)
    locks = DeviceLocks(str(tmp_path))
    locks.adopt(("a", "b"))
    assert len(locks.take(("a", "b"))) == 1, "a second task of ours may share it; the first holds the lock"
    locks.release(("a", "b"))
    locks.release(("a", "b"))
    with pytest.raises(Busy, match="device a"):
        locks.take(("a",))
    os.close(inherited)
    assert len(locks.take(("a",))) == 1


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "ü", "a b"])
def test_odd_device_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Busy, match="not the name of a device"):
        DeviceLocks(str(tmp_path)).take((name,))


def test_a_lock_that_cannot_be_opened_says_where(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("a file")
    with pytest.raises(Busy, match=str(tmp_path / "locks")):
        DeviceLocks(str(tmp_path / "locks")).take(("a",))


def logged(path: Path) -> Task:
    task = Task(1, 0, 1)
    task.log_files = (str(path),)
    return task


def test_a_file_system_without_holes_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").write_bytes(b"x" * 100_000)
    logs = Logs(8192, str(tmp_path / "lengths"))

    def cannot(_fd: int, _length: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(kernel, "punch", cannot)
    logs.bound([logged(tmp_path / "log")])
    assert logs.supported is False
    assert (tmp_path / "log").read_bytes() == b"x" * 100_000


def test_a_small_log_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").write_bytes(b"x" * 9_000)
    monkeypatch.setattr(kernel, "punch", None)
    logs = Logs(8192, str(tmp_path / "lengths"))
    logs.bound([logged(tmp_path / "log")])
    assert logs.supported is None
    logs.bound([logged(tmp_path / "gone")])
    assert logs.supported is None, "a log that its task removed says nothing about the file system"


def test_a_log_is_noted_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(1_000, 10_000, 1_000))
    monkeypatch.setattr(clock, "wall_ms", lambda: next(times))
    logs = Logs(8192, str(tmp_path / "lengths"))
    log = tmp_path / "log"
    log.touch()
    task = logged(log)
    noted = lengths.path_of(str(tmp_path / "lengths"), 1, 0, 0)
    logs.bound([task])
    assert not os.path.exists(noted), "nothing was written to it"
    for text in ("12345", "", "678"):
        log.write_text(log.read_text() + text)
        logs.bound([task])
    assert os.path.getsize(noted) == 2 * lengths.RECORD.size
    assert [lengths.length_at(noted, moment) for moment in (1_000, 1_001, 2_000, 2_001, 99_999)] == [0, 5, 5, 8, 8]


def test_what_is_known_of_a_log_is_bounded_and_survives_a_torn_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lengths, "MOST_BYTES", 10 * lengths.RECORD.size)
    path = lengths.path_of(str(tmp_path), 7_001, 2, 1)
    for second in range(1, 1_001):
        lengths.note(path, second * 1_000, second)
    assert os.path.getsize(path) < 10 * lengths.RECORD.size
    assert lengths.length_at(path, 1_000_000) == 1_000, "the newest stays"
    assert 0 < lengths.length_at(path, 995_000) <= 995, "never more than had been written"
    with open(path, "ab") as file:
        file.write(b"torn")
    assert lengths.length_at(path, 2_000_000) == 1_000
    assert lengths.length_at(str(tmp_path / "none"), 1) == 0


def test_only_tasks_with_a_limit_are_looked_at() -> None:
    tasks = [Task(attempt, 0, 1) for attempt in range(3)]
    tasks[1].memory_bytes = 5
    tasks[2].memory_bytes, tasks[2].kill_sent = 5, True
    assert limited(tasks) == [tasks[1]]


def test_the_alarm_rings_on_boot_time() -> None:
    alarm = kernel.Alarm()
    alarm.clear()
    alarm.set(clock.boot_ms() - 1)
    assert os.read(alarm.fd, 8) != b""
    os.close(alarm.fd)
