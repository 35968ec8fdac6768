"""Starting tasks: exit codes, logs, directories, environment, and what is rejected and whose fault it is."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tenure.executors.local.connection import SupervisorError
from tests.integration.supervisor.node import Node, until


def test_exit_code_and_log(any_node: Node) -> None:
    log = any_node.launch(1, "sh", "-c", "echo out; echo err >&2; exit 3")
    end = any_node.wait("exited", 1)
    assert (end["exit_code"], end["signal"], end["reason"], end["empty"]) == (3, None, "exit", True)
    assert log.read_text() == "out\nerr\n"
    assert end["wall_ms"] >= 0
    assert end["ended_at_ms"] >= end["started_at_ms"] > 0


def test_signal(any_node: Node) -> None:
    any_node.launch(1, "sh", "-c", "kill -USR1 $$")
    end = any_node.wait("exited", 1)
    assert (end["exit_code"], end["signal"], end["reason"]) == (None, signal.SIGUSR1, "exit")


def test_started_comes_first_and_names_the_process(node: Node) -> None:
    node.launch(1, "sleep", "60")
    start = node.wait("started", 1)
    stat = Path(f"/proc/{start['pid']}/stat").read_text().rpartition(")")[2].split()
    assert int(stat[19]) == start["start_ticks"]
    assert int(stat[3]) == start["pid"], "it leads its own session"
    assert node.ask("list")["tasks"][0]["pid"] == start["pid"]


def test_directory_umask_environment_and_streams(node: Node, tmp_path: Path) -> None:
    err = tmp_path / "err"
    log = node.script(
        1,
        "import os, signal, sys; os.open('made', os.O_CREAT, 0o666); print(os.getcwd(), os.environ['A'], os.read(0, 1),"
        " signal.getsignal(signal.SIGPIPE), signal.pthread_sigmask(0, []), sorted(map(int, os.listdir('/proc/self/fd')))[:3]);"
        " print('oops', file=sys.stderr)",
        umask=0o077,
        env={"A": "ü"},
        stderr=str(err),
        cwd=str(tmp_path),
    )
    assert node.wait("exited", 1)["exit_code"] == 0, err.read_text()
    assert log.read_text().split()[:3] == [str(tmp_path), "ü", "b''"]
    assert "set()" in log.read_text()
    assert err.read_text() == "oops\n"
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600


def test_nothing_of_the_supervisor_leaks_into_a_task(node: Node) -> None:
    log = node.script(1, "import os; print(sorted(os.environ), sorted(map(int, os.listdir('/proc/self/fd'))))", env={})
    node.wait("exited", 1)
    names, fds = log.read_text().split("] [")
    assert set(names.strip("[").replace("'", "").split(", ")) <= {"TENURE_TASK_TAG", "LC_CTYPE"}
    assert fds.startswith("0, 1, 2, 3]"), "3 is the listing itself"


def test_extra_environment_and_own_arguments_of_one_task(node: Node, tmp_path: Path) -> None:
    template = {"argv": ["false"], "env": {"PATH": os.environ["PATH"], "RANK": "none"}, "cwd": "/"}
    tasks = [
        {"template": "t", "attempt": 1, "task": rank, "env": {"RANK": str(rank)}, "argv": ["sh", "-c", "exit $RANK"]}
        for rank in range(3)
    ]
    node.ask("launch", fence=1, templates={"t": template}, tasks=tasks)
    node.ask("launch", fence=1, tasks=[{"template": "t", "attempt": 2}])
    node.wait("exited", 2)
    ends = {(record["attempt"], record["task"]): record["exit_code"] for record in node.records if record["kind"] == "exited"}
    assert ends == {(1, 0): 0, (1, 1): 1, (1, 2): 2, (2, 0): 1}


@pytest.mark.parametrize(
    ("fields", "argv", "fault", "code"),
    [
        ({"cwd": "/nonexistent/place"}, ["true"], "job", "cwd_missing"),
        ({"cwd": "/etc/passwd"}, ["true"], "job", "cwd_missing"),
        ({}, ["no-such-program-anywhere"], "job", "not_found"),
        ({}, ["/no/such/program"], "job", "not_found"),
        ({}, ["/etc/passwd"], "job", "not_executable"),
        ({}, ["./plain"], "job", "not_executable"),
        ({}, ["./headless"], "job", "not_executable"),
        ({}, ["./bad-interpreter"], "job", "not_found"),
        ({"stdout": "/proc/nothing/log"}, ["true"], "job", "log_unwritable"),
        ({"memory_bytes": 1 << 20}, ["true"], "job", "memory_too_small"),
        ({"devices": ["../../etc"]}, ["true"], "node", "device_busy"),
        ({}, ["true", "x" * (1 << 20)], "job", "spawn_failed"),
    ],
)
def test_rejected(node: Node, tmp_path: Path, fields: dict[str, Any], argv: list[str], fault: str, code: str) -> None:
    for name, content, mode in (("plain", "", 0o644), ("headless", "exit 0\n", 0o755), ("bad-interpreter", "#!/no/such\n", 0o755)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(mode)
    node.launch(1, *argv, **fields)
    rejection = node.wait("rejected", 1)
    assert (rejection["fault"], rejection["code"]) == (fault, code), rejection
    assert len(rejection["why"]) > 20
    assert node.ask("list")["tasks"] == []
    node.launch(2, "true")
    assert node.wait("exited", 2)["exit_code"] == 0


def test_a_log_in_the_home_that_cannot_be_opened_is_the_nodes_fault(node: Node) -> None:
    (node.home / "logs").write_text("a file, where a folder should be")
    node.launch(1, "true", stdout=str(node.home / "logs" / "1.log"))
    rejection = node.wait("rejected", 1)
    assert (rejection["fault"], rejection["code"]) == ("node", "log_unwritable")


def test_a_fifo_without_reader_as_log_blocks_nobody(node: Node, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    node.launch(1, "true", stdout=str(tmp_path / "fifo"))
    assert node.wait("rejected", 1)["code"] == "log_unwritable"


def test_launching_again_starts_nothing_and_tells_what_is_known(node: Node, tmp_path: Path) -> None:
    node.launch(1, "sh", "-c", "echo once >> ran; exit 7")
    end = node.wait("exited", 1)
    node.launch(2, "sleep", "60")
    start = node.wait("started", 2)
    node.records.clear()
    node.launch(1, "sh", "-c", "echo twice >> ran")
    node.launch(2, "sleep", "60")
    assert node.wait("exited", 1) == end
    assert node.wait("started", 2) == start
    assert (tmp_path / "ran").read_text() == "once\n"


def test_a_rejected_launch_stays_rejected_until_acknowledged(node: Node) -> None:
    node.launch(1, "no-such-program-anywhere")
    rejection = node.wait("rejected", 1)
    node.launch(1, "true")
    node.records.clear()
    node.launch(1, "true")
    assert node.wait("rejected", 1) == rejection
    node.ask("ack", seq=rejection["seq"])
    node.launch(1, "true")
    assert node.wait("exited", 1)["exit_code"] == 0


def test_a_later_fence_shuts_out_an_earlier_daemon(node: Node) -> None:
    node.launch(1, "sleep", "60", fence=5)
    with pytest.raises(SupervisorError, match="step down") as refused:
        node.launch(2, "true", fence=4)
    assert refused.value.code == "stale_fence"
    with pytest.raises(SupervisorError, match="older"):
        node.signal(1, "kill", fence=4)
    node.wait("started", 1)
    assert node.kinds(1) == ["started"]
    assert node.kinds(2) == []
    assert node.line.hello["fence"] == 0
    assert node.connect().hello["fence"] == 5


def test_usage_and_peak_are_reported(any_node: Node) -> None:
    source = (
        "import signal, time\nx = bytearray(64 << 20)\nwhile time.process_time() < 0.3: pass\nopen('spun', 'w').close()\nsignal.pause()"
    )
    any_node.script(1, source)
    until((any_node.root / "spun").exists, "some cpu use")
    usage = any_node.ask("usage")["tasks"][0]
    assert usage["cpu_ms"] >= 150
    assert usage["memory_bytes"] >= 60 << 20
    pids = any_node.ask("pids", attempt=1)["tasks"]
    assert pids == [{"task": 0, "pids": [any_node.wait("started", 1)["pid"]]}]
    any_node.signal(1, "signal", signal=signal.SIGTERM)
    end = any_node.wait("exited", 1)
    assert end["signal"] == signal.SIGTERM
    assert end["reason"] == "exit"
    assert end["cpu_ms"] >= 150
    assert end["peak_memory_bytes"] >= 60 << 20


def test_five_hundred_at_once_all_end(any_node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    count = 500
    template = {"argv": ["true"], "env": {"PATH": os.environ["PATH"]}, "cwd": "/", "stdout": str(any_node.root / "log")}
    tasks = [{"template": "t", "attempt": attempt} for attempt in range(1, count + 1)]
    before = any_node.ask("stats")["cpu_ms"]
    any_node.ask("launch", fence=1, templates={"t": template}, tasks=tasks)
    any_node.wait("exited", count)
    ends = [any_node.wait("exited", attempt) for attempt in range(1, count + 1)]
    assert {end["exit_code"] for end in ends} == {0}
    stats = any_node.ask("stats")
    with capsys.disabled():
        mode = any_node.line.hello["cgroups"]["mode"]
        sys.stderr.write(f"\n[supervisor, control groups {mode}: {(stats['cpu_ms'] - before) / count:.3f} ms of cpu per task]\n")
    assert stats["live"] == 0
    seqs = [record["seq"] for record in any_node.records]
    assert seqs == sorted(seqs)
