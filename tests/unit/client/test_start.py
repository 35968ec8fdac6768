"""Finding, starting and replacing the daemon, with a stand-in for the process that is started."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tenure import __version__
from tenure.client import errors, paths, start
from tests.unit.client.fake import Answer, FakeDaemon, reply


def status(**changes: Any) -> dict[str, Any]:
    return {
        "version": __version__,
        "protocol": 1,
        "pid": 2**22 + 1,  # no such process
        "home": "/h",
        "socket": "/s",
        "store": "sqlite",
        "started_ms": 0,
        "healthy": True,
        **changes,
    }


class _Done:
    """A process that goes on."""

    returncode = None

    def poll(self) -> None:
        return None

    def wait(self) -> int:
        return 0


class Starter:
    """Stands in for ``subprocess.Popen``: starting a daemon makes a fake one."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.started: list[FakeDaemon] = []
        self.commands: list[list[str]] = []
        self.answer: Answer = reply(status())

    def __call__(self, command: list[str], **_settings: Any) -> _Done:
        self.commands.append(command)
        self.started.append(FakeDaemon(paths.daemon_socket(self.home), self.answer))
        return _Done()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TENURE_HOME", str(tmp_path))
    return str(tmp_path)


@pytest.fixture
def starter(home: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Starter]:
    found = Starter(home)
    monkeypatch.setattr(subprocess, "Popen", found)
    yield found
    for fake in found.started:
        if os.path.exists(fake.path):
            fake.stop()


def test_the_first_command_starts_a_daemon(home: str, starter: Starter) -> None:
    with start.connect() as client:
        assert client.admin.status().version == __version__
    assert starter.commands == [[sys.executable, "-m", "tenure.bootstrap", "daemon", "--home", home, "--detach"]]
    with start.connect(home):
        assert len(starter.commands) == 1


def test_ten_at_once_start_one(home: str, starter: Starter) -> None:
    barrier = threading.Barrier(10)

    def connect(_number: int) -> None:
        barrier.wait(10)
        start.connect(home).close()

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(connect, range(10)))
    assert len(starter.commands) == 1


def test_without_autostart_nothing_is_started(home: str, starter: Starter) -> None:
    with pytest.raises(errors.DaemonUnreachable, match="no daemon answers"):
        start.connect(home, autostart=False)
    assert not starter.commands


def failing(text: str, code: int) -> Any:
    """A stand-in for ``Popen`` whose process writes to the log and ends."""
    real = subprocess.Popen

    def popen(_command: list[str], **settings: Any) -> Any:
        return real([sys.executable, "-c", f"import sys; print({text!r}, file=sys.stderr); sys.exit({code})"], **settings)

    return popen


@pytest.mark.parametrize("code", [1, 0])
def test_a_daemon_that_does_not_start_says_why(home: str, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    os.makedirs(os.path.dirname(paths.daemon_log(home)))
    Path(paths.daemon_log(home)).write_text("an old line\n")
    monkeypatch.setattr(subprocess, "Popen", failing("2026-01-31T12:00:00+0000 tenure: config.toml: no such setting: nodde", code))
    with pytest.raises(errors.DaemonUnreachable, match=r"did not start: config\.toml: no such setting: nodde") as found:
        start.connect(home)
    assert "daemon.log" in found.value.remedy
    assert "old" not in found.value.message


def test_a_home_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.DaemonUnreachable, match="cannot be started"):
        start.connect(str(tmp_path / "file" / "home"))


def test_another_protocol_is_refused_with_the_way_out(home: str, starter: Starter) -> None:
    starter.answer = reply(status(protocol=99, version="99.0"))
    with pytest.raises(errors.ProtocolMismatch, match="protocol 99") as found:
        start.connect(home)
    assert "tenure down && tenure up" in found.value.remedy


def test_an_older_daemon_is_replaced_and_that_is_said(home: str, starter: Starter) -> None:
    paths.ensure_runtime_dir(home)
    path = paths.daemon_socket(home)

    def down(_peer: Any) -> bool:
        os.rename(path, path + ".old")  # it listens no more
        return reply({})(_peer)

    old = FakeDaemon(path, reply(status(version="0.0.9")), down)
    said: list[str] = []
    with start.connect(home, say=said.append) as client:
        assert client.admin.status().version == __version__
    assert [asked.path for asked in old.asked] == ["/v1/status", "/v1/down"]
    assert len(starter.commands) == 1
    assert len(said) == 1
    assert "0.0.9" in said[0]
    os.rename(path + ".old", path + ".x")
    old.path = path + ".x"
    old.stop()


def test_submit_in_one_call(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDaemon(home + "/d", reply(status()), reply({"id": "1", "number": 1}))
    monkeypatch.setattr(paths, "daemon_socket", lambda _home: home + "/d")
    assert start.submit(["true"], gpus=1).id == "1"
    assert fake.asked[1].json["gpu_milli"] == 1000
    fake.stop()


@pytest.mark.parametrize(("older", "newer"), [("0.1.0", "0.1.1"), ("0.9", "0.10"), ("1.0rc1", "1.1"), ("", "0.1")])
def test_versions_compare_as_numbers(older: str, newer: str) -> None:
    assert start._ordered(older) < start._ordered(newer)
