"""The commands about the daemon itself, without one and with a fake one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tenure.client import paths
from tenure.wire import dto
from tests.unit.cli.conftest import FakeClient, Shell
from tests.unit.client.fake import FakeDaemon, reply
from tests.unit.client.test_start import status


def test_without_a_daemon(shell: Shell, tmp_path: Path) -> None:
    done = shell("status")
    assert (done.code, done.out) == (1, "")
    assert "no daemon runs" in done.err
    assert "tenure up" in done.err
    assert json.loads(shell("status", "--json").err)["error"]["code"] == "not_running"
    assert shell("down") == (0, "No daemon runs.\n", "")
    assert json.loads(shell("down", "--json").out) == {"schema": 1, "stopped": False, "running_jobs": 0}
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("healthy", [True, False])
def test_status_of_a_daemon(shell: Shell, tmp_path: Path, healthy: bool) -> None:
    home = str(tmp_path / "home")
    paths.ensure_runtime_dir(home)
    fake = FakeDaemon(paths.daemon_socket(home), reply(status(healthy=healthy, problems=[] if healthy else ["stuck for 40 s"])))
    try:
        done = shell("status", "-o", "json")
        assert done.code == (0 if healthy else 1)
        assert json.loads(done.out)["pid"] == 2**22 + 1
        assert ("stuck for 40 s" in shell("status").out) != healthy
    finally:
        fake.stop()


def test_down_says_that_jobs_go_on(shell: Shell, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    paths.ensure_runtime_dir(home)
    path = paths.daemon_socket(home)

    def down(peer: Any) -> bool:
        os.rename(path, f"{path}.old")
        return reply({})(peer)

    fake = FakeDaemon(path, reply(status(counts={"running": 2, "pending": 1})), down)
    assert shell("down").out == "The daemon is down; 2 running jobs go on.\n"
    fake.path = f"{path}.old"
    fake.stop()


def test_up_and_doctor(shell: Shell, client: FakeClient) -> None:
    import msgspec

    client.answers["status"] = msgspec.convert(status(), dto.StatusView)
    assert shell("up").out.startswith("The daemon is up (pid ")
    assert json.loads(shell("up", "--json").out)["healthy"]
    client.answers["doctor"] = dto.DoctorReply(checks=[dto.CheckView(name="x", level="ok", text="fine")])
    assert shell("doctor").code == 0
    client.answers["doctor"] = dto.DoctorReply(checks=[dto.CheckView(name="x", level="problem", text="bad", remedy="mend it")])
    done = shell("doctor", "--check-store")
    assert done.code == 1
    assert "-> mend it" in done.out
    assert client.calls[-1][2] == {"check_store": True}
    assert shell("doctor", "--json").code == 1


def test_up_in_the_foreground_becomes_the_daemon(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _path, words: became.append(words))
    shell("up", "--foreground")
    assert became[0][1:] == ["-m", "tenure.bootstrap", "daemon", "--home", str(tmp_path / "home")]


def test_backup(shell: Shell, client: FakeClient, tmp_path: Path) -> None:
    client.answers["backup"] = dto.BackupReply(path="/b", bytes=2048, jobs=3)
    assert shell("backup", "copy.db").out == "/b: 3 jobs, 2K\n"
    assert client.calls[-1][1] == (str(tmp_path / "copy.db"),)
    assert json.loads(shell("backup", "x", "--json").out)["jobs"] == 3


class Ended:
    """A process that has ended."""

    def __init__(self, returncode: int, stdout: str = "", stderr: str = "") -> None:
        self.returncode, self.stdout, self.stderr = returncode, stdout, stderr


def test_restore(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import subprocess

    assert shell("restore", "copy.db").code == 2
    (tmp_path / "copy.db").write_text("x")
    ran: list[list[str]] = []

    def run(command: list[str], **_settings: Any) -> Ended:
        ran.append(command)
        return Ended(0, "restored 3 jobs\n") if len(ran) < 3 else Ended(1, "", "2026 tenure: this is no backup\n")

    monkeypatch.setattr(subprocess, "run", run)
    assert shell("restore", "copy.db").out == "restored 3 jobs\n"
    assert ran[0][1:] == ["-m", "tenure.bootstrap", "restore", "--home", str(tmp_path / "home"), str(tmp_path / "copy.db")]
    assert json.loads(shell("restore", "copy.db", "--json").out)["restored"] == str(tmp_path / "copy.db")
    assert shell("restore", "copy.db") == (1, "", "tenure: this is no backup\n")


def test_restore_wants_the_daemon_down(shell: Shell, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    paths.ensure_runtime_dir(home)
    (tmp_path / "copy.db").write_text("x")
    fake = FakeDaemon(paths.daemon_socket(home), reply(status()))
    try:
        assert shell("restore", "copy.db") == (1, "", "tenure: the daemon is running; run: tenure down\n")
    finally:
        fake.stop()
