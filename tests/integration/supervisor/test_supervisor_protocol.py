"""What clients may send and how they are treated: malformed input, versions, slowness, a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenure.executors.local.connection import SupervisorError, socket_path
from tenure.executors.local.supervisor import PROTOCOL
from tests.integration.supervisor.node import PATIENCE_S, Node, until
from tests.require import require


class Raw:
    """A client without manners."""

    def __init__(self, node: Node) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(socket_path(str(node.home)))
        self.lines = self.socket.makefile("rb")

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def heard(self) -> dict[str, Any]:
        return dict(json.loads(self.lines.readline()))

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


@pytest.fixture
def raw(node: Node) -> Iterator[Raw]:
    """A connection that sends bytes as they are."""
    raw = Raw(node)
    yield raw
    raw.close()


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"\xff\xfe\x00",
        b"[]",
        b"{}",
        b'{"op": 3}',
        b'{"op": "dance"}',
        b'{"op": "hello"}',
        b'{"op": "hello", "protocol": [1]}',
        b'{"op": "launch"}',
        b'{"op": "launch", "fence": 1, "tasks": 3}',
        b'{"op": "launch", "fence": 1, "tasks": [3]}',
        b'{"op": "launch", "fence": 1, "tasks": [{"template": "none", "attempt": 1}]}',
        b'{"op": "launch", "fence": 1, "tasks": [{"template": [], "attempt": 1}]}',
        b'{"op": "launch", "fence": true, "templates": {"t": {"argv": ["true"]}}, "tasks": []}',
        b'{"op": "launch", "fence": 1, "templates": {"t": {"argv": "true"}}, "tasks": []}',
        b'{"op": "launch", "fence": 1, "templates": {"t": {"argv": ["a\\u0000b"]}}, "tasks": []}',
        b'{"op": "launch", "fence": 1, "templates": {"t": {"env": {"A=B": "c"}}}, "tasks": []}',
        b'{"op": "launch", "fence": 1, "templates": {"t": {"env": {"A": "\\ud800\\ud800"}, "cwd": "x"}}, "tasks": []}',
        b'{"op": "launch", "fence": 1, "templates": {"t": {}}, "tasks": [{"template": "t", "attempt": 1}]}',
        b'{"op": "launch", "fence": 1, "templates": {"t": {"argv": ["true"]}}, "tasks": [{"template": "t", "attempt": -1}]}',
        b'{"op": "launch", "fence": 1, "templates": {"t": {"argv": ["true"], "devices": {}}}, "tasks": [{"template": "t"}]}',
        b'{"op": "signal", "fence": 1, "items": [{"attempt": 1, "action": "hug"}]}',
        b'{"op": "signal", "fence": 1, "items": [{"attempt": 1, "action": "signal", "signal": 99}]}',
        b'{"op": "signal", "fence": 1, "items": [{"attempt": 1, "action": "stop", "reason": 3}]}',
        b'{"op": "signal", "fence": 1, "items": {}}',
        b'{"op": "observe"}',
        b'{"op": "ack", "seq": 1.5}',
        b'{"op": "pids"}',
        b'{"op":"ack","seq":' + b"[" * 100_000,
    ],
)
def test_malformed_input_is_answered_and_harms_nobody(node: Node, raw: Raw, line: bytes) -> None:
    raw.say(line + b"\n")
    answer = raw.heard()
    assert answer["reply"] == "error"
    assert answer["code"] in ("bad_request", "unknown_op", "unknown_template")
    assert len(answer["why"]) > 10
    node.launch(5, "true")
    assert node.wait("exited", 5)["exit_code"] == 0
    assert node.kinds(1) == []


def test_versions_must_meet(raw: Raw) -> None:
    raw.say(b'{"op": "hello", "protocol": [%d, 99], "id": "x"}\n{"op": "hello", "protocol": [0, 99], "id": "y"}\n' % (PROTOCOL + 1))
    answer = raw.heard()
    assert (answer["reply"], answer["code"], answer["id"]) == ("error", "protocol_mismatch", "x")
    assert "restart it" in answer["why"]
    assert raw.heard()["protocol"] == PROTOCOL
    raw.say(b'{"op": "hello", "protocol": [1, 1], "id": "z"}\n{"op": "hello", "protocol": [0, 0], "id": "w"}\n')
    assert raw.heard()["protocol"] == 1, "an older daemon is spoken to in its own way"
    assert raw.heard()["code"] == "protocol_mismatch"


def test_requests_arrive_in_pieces(raw: Raw) -> None:
    for byte in b'{"op":"stats","id":1}\n{"op":"sta':
        raw.say(bytes([byte]))
    assert raw.heard()["id"] == 1
    raw.say(b'ts","id":2}\n')
    assert raw.heard()["id"] == 2


def test_an_endless_line_is_cut_off(node: Node, raw: Raw) -> None:
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        raw.say(b"x" * (64 << 20))
    assert node.ask("stats")["live"] == 0


def test_a_client_that_never_reads_is_dropped(node: Node, raw: Raw) -> None:
    node.ask("stats")
    node.ask("list")
    raw.socket.settimeout(0.5)
    with pytest.raises(OSError, match=r"Broken pipe|reset|timed out"):
        raw.say(b'{"op":"stats"}\n' * 400_000)
    until(lambda: node.ask("stats")["clients"] == 1, "it to be dropped")


def test_a_slow_observer_misses_nothing_and_delays_nobody(node: Node, raw: Raw) -> None:
    raw.say(b'{"op":"observe","since":0,"id":1}\n')
    count = 2000
    template = {"argv": ["true"], "env": {"PATH": os.environ["PATH"]}, "cwd": "/" + "./" * 900 + "nowhere", "umask": 0o22}
    tasks = [{"template": "t", "attempt": attempt} for attempt in range(1, count + 1)]
    node.ask("launch", fence=1, templates={"t": template}, tasks=tasks)
    node.wait("rejected", count)
    assert raw.heard()["reply"] == "observe"
    heard = [raw.heard() for _ in range(count)]
    assert [record["attempt"] for record in heard] == list(range(1, count + 1))
    node.launch(count + 1, "true")
    assert [raw.heard()["kind"], raw.heard()["kind"]] == ["started", "exited"]


def test_observers_may_join_at_any_point(node: Node) -> None:
    for attempt in (1, 2, 3):
        node.launch(attempt, "true")
        node.wait("exited", attempt)
    middle = node.wait("exited", 2)["seq"]
    node.records.clear()
    node.connect(since=middle)
    node.wait("exited", 3)
    assert {record["attempt"] for record in node.records} == {3}


def test_news_that_waits_for_company_is_told_without_it(node: Node) -> None:
    node.launch(1, "sleep", "60")
    node.launch(2, "true")
    assert node.wait("exited", 2)["exit_code"] == 0
    assert node.kinds(1) == ["started"]


def test_acknowledged_records_are_dropped_from_the_journal(node: Node) -> None:
    template = {"argv": ["true"], "env": {"PATH": os.environ["PATH"]}, "cwd": "/"}
    node.launch(1, "sleep", "60")
    start = node.wait("started", 1)
    for first in range(10, 4000, 1000):
        tasks = [{"template": "t", "attempt": first + i} for i in range(1000)]
        node.ask("launch", fence=1, templates={"t": template}, tasks=tasks)
        node.wait("exited", first + 999, 60)
        until(lambda: node.ask("stats")["live"] == 1, "all of them")
        last = max(record["seq"] for record in node.collect())
        node.ask("ack", seq=last)
    assert node.ask("stats")["journal_bytes"] < 2 << 20
    assert node.ask("stats")["unacknowledged"] == 0
    node.connect(since=start["seq"] - 1)
    assert node.wait("started", 1) == start


def test_the_socket_is_for_its_owner(node: Node) -> None:
    path = Path(socket_path(str(node.home)))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    require("root", os.getuid() == 0, "only root can become somebody else to be refused")
    path.chmod(0o666)
    for folder in [path.parent, *path.parents[1:-2]]:
        folder.chmod(0o755)
    program = f"import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect({str(path)!r})\nassert s.recv(1) == b''"
    done = subprocess.run(["python3", "-c", program], user=65534, group=65534, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_leaving_waits_for_the_last_task(node: Node) -> None:
    node.launch(1, "sh", "-c", "while [ ! -e go ]; do sleep 0.02; done; exit 3")
    node.wait("started", 1)
    with pytest.raises(SupervisorError, match="1 tasks still run"):
        node.ask("shutdown", if_idle=True)
    assert node.process is not None
    node.process.terminate()
    node.launch(2, "true")
    assert node.wait("exited", 2)["exit_code"] == 0, "it serves until the last task has ended"
    (node.root / "go").touch()
    assert node.wait("exited", 1)["exit_code"] == 3
    assert node.process.wait(PATIENCE_S) == 0


def test_a_full_disk_refuses_launches_and_records_ends(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    mounted = os.getuid() == 0 and subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    require("mount", mounted, "a small file system cannot be mounted")
    node = Node(tmp_path, "--cgroups", "off")
    node.home = disk / "home"
    node.home.mkdir()
    try:
        node.start()
        for attempt in range(1, 6):
            node.launch(attempt, "sh", "-c", f"while [ ! -e go ]; do sleep 0.05; done; exit {attempt}")
            node.wait("started", attempt)
        _fill(disk / "filler")
        (tmp_path / "go").touch()
        for attempt in range(1, 6):
            assert node.wait("exited", attempt)["exit_code"] == attempt
        until(lambda: _refused(node), "the journal's page to be full")
        rejection = [record for record in node.records if record["kind"] == "rejected"][-1]
        assert (rejection["fault"], rejection["code"], rejection["seq"]) == ("node", "disk_full", 0)
        (disk / "filler").unlink()
        node.launch(1_000_000, "true")
        assert node.wait("exited", 1_000_000)["exit_code"] == 0
        assert node.ask("stats")["reserve"]
        node.kill9()
        node.start()
        assert node.wait("exited", 5)["exit_code"] == 5
    finally:
        node.close()
        subprocess.run(["umount", "-l", str(disk)], check=True, timeout=30)


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass


def _refused(node: Node) -> bool:
    attempt = 1000 + len(node.records)
    node.launch(attempt, "true")
    until(lambda: node.kinds(attempt), "an answer")
    return node.kinds(attempt) == ["rejected"]
