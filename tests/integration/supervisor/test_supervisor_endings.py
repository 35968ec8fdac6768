"""How tasks end: time limits, stops, whole trees, leftovers; and that nobody else is touched."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tests.integration.supervisor import trees
from tests.integration.supervisor.node import GRACE_MS, Node, alive, pid_in, require_cgroups, state, until


def test_time_limit_asks_first(any_node: Node) -> None:
    log = any_node.launch(1, "sh", "-c", "trap 'echo saved; exit 9' TERM; sleep 60 & wait", time_limit_ms=300, grace_ms=60_000)
    end = any_node.wait("exited", 1)
    assert (end["reason"], end["exit_code"]) == ("timeout", 9)
    assert "300 ms" in end["why"]
    assert log.read_text() == "saved\n"


def test_time_limit_ends_who_ignores_it(any_node: Node, tmp_path: Path) -> None:
    any_node.script(1, trees.DEAF_FAMILY.format(path=str(tmp_path / "last")), time_limit_ms=500)
    last = pid_in(tmp_path / "last")
    end = any_node.wait("exited", 1)
    assert (end["reason"], end["signal"]) == ("timeout", signal.SIGKILL)
    assert end["wall_ms"] >= 500 + GRACE_MS
    until(lambda: any_node.kinds(1)[-1] == "emptied" or end["empty"], "the end of the tree")
    assert not alive(last)


def test_a_shorter_limit_added_later_is_kept(node: Node) -> None:
    node.launch(1, "sleep", "60", time_limit_ms=60_000)
    node.launch(2, "sleep", "60", time_limit_ms=100)
    assert node.wait("exited", 2)["reason"] == "timeout"
    assert node.kinds(1) == ["started"]


def test_stop_reaches_the_whole_tree_and_nobody_else(any_node: Node, tmp_path: Path) -> None:
    any_node.script(1, trees.STAYS.format(path=str(tmp_path / "one")))
    any_node.script(2, trees.STAYS.format(path=str(tmp_path / "two")))
    one, two = pid_in(tmp_path / "one"), pid_in(tmp_path / "two")
    any_node.signal(1, "stop", reason="cancelled")
    end = any_node.wait("exited", 1)
    assert (end["reason"], end["stop_reason"], end["signal"]) == ("stopped", "cancelled", signal.SIGTERM)
    assert end["empty"] is False
    assert any_node.wait("emptied", 1)["strays_killed"] == 1
    assert not alive(one)
    assert alive(two)
    assert any_node.kinds(2) == ["started"]
    pids = any_node.ask("pids", attempt=2)["tasks"][0]["pids"]
    assert two in pids
    assert any_node.wait("started", 2)["pid"] in pids


def test_kill_does_not_wait(any_node: Node, tmp_path: Path) -> None:
    any_node.script(1, trees.DEAF_FAMILY.format(path=str(tmp_path / "last")), grace_ms=600_000)
    last = pid_in(tmp_path / "last")
    any_node.signal(1, "kill", reason="preempted")
    end = any_node.wait("exited", 1)
    assert (end["reason"], end["stop_reason"], end["signal"]) == ("stopped", "preempted", signal.SIGKILL)
    until(lambda: not alive(last), "the last of the family")


def test_a_second_stop_can_only_shorten_the_grace(node: Node, tmp_path: Path) -> None:
    node.script(1, trees.DEAF_FAMILY.format(path=str(tmp_path / "last")))
    pid_in(tmp_path / "last")
    node.signal(1, "stop", grace_ms=600_000, reason="first")
    node.signal(1, "stop", grace_ms=50, reason="second")
    assert node.wait("exited", 1)["stop_reason"] == "first"


def test_what_is_left_behind_is_ended_and_reported(any_node: Node, tmp_path: Path) -> None:
    any_node.script(1, trees.LEAVES_ONE_BEHIND.format(path=str(tmp_path / "stray")))
    end = any_node.wait("exited", 1)
    stray = pid_in(tmp_path / "stray")
    assert (end["reason"], end["exit_code"], end["empty"]) == ("exit", 0, False)
    assert any_node.wait("emptied", 1)["strays_killed"] == 1
    assert not alive(stray)
    assert any_node.ask("list")["tasks"] == []
    assert any_node.ask("stats")["strays_unclaimed"] == 0


def test_a_grandchild_of_a_running_task_is_left_alone(any_node: Node, tmp_path: Path) -> None:
    any_node.script(1, trees.STAYS.format(path=str(tmp_path / "one")))
    one = pid_in(tmp_path / "one")
    for attempt in range(2, 6):
        any_node.launch(attempt, "true")
        assert any_node.wait("exited", attempt)["empty"]
    assert alive(one)


def test_children_that_end_with_their_parent_leave_nothing(any_node: Node) -> None:
    any_node.launch(1, "sh", "-c", "sleep 60 & sleep 60 & exit 0", grace_ms=60_000)
    end = any_node.wait("exited", 1)
    assert end["empty"] is False, "two sleepers are left"
    assert any_node.wait("emptied", 1)["strays_killed"] == 2


def test_suspended_time_does_not_count(any_node: Node) -> None:
    any_node.launch(1, "sh", "-c", "while :; do :; done", time_limit_ms=1_000)
    pid = any_node.wait("started", 1)["pid"]
    any_node.signal(1, "suspend")
    assert any_node.ask("list")["tasks"][0]["state"] == "suspended"
    assert any_node.ask("list")["tasks"][0]["deadline_boot_ms"] == 0

    def cpu_ticks() -> int:
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))

    until(lambda: state(pid) != "R", "it to stand still")
    used = cpu_ticks()
    any_node.launch(2, "sh", "-c", "sleep 1.2")
    any_node.wait("exited", 2)
    assert any_node.kinds(1) == ["started"], "the limit stands still"
    assert cpu_ticks() <= used + 1
    any_node.signal(1, "resume")
    until(lambda: cpu_ticks() > used + 5, "it to run again")
    assert any_node.wait("exited", 1)["reason"] == "timeout"


def test_a_changed_limit_does_not_count_suspended_time(any_node: Node) -> None:
    any_node.launch(1, "sleep", "60")
    started = any_node.wait("started", 1)
    any_node.signal(1, "suspend")
    any_node.launch(2, "sleep", "1")
    any_node.wait("exited", 2)
    any_node.signal(1, "limit", limit_ms=900)
    assert any_node.ask("list")["tasks"][0]["time_limit_ms"] == 900
    assert any_node.kinds(1) == ["started"], "the second it stood still is not used"
    any_node.signal(1, "resume")
    end = any_node.wait("exited", 1)
    assert end["reason"] == "timeout"
    assert end["ended_at_ms"] - started["at_ms"] > 1_500
    assert "900 ms" in end["why"]


def test_the_same_limit_again_is_not_written_again(node: Node) -> None:
    node.launch(1, "sleep", "60", time_limit_ms=60_000)
    node.wait("started", 1)
    node.signal(1, "limit", limit_ms=50_000)
    once = node.ask("stats")["journal_bytes"]
    deadline = node.ask("list")["tasks"][0]["deadline_boot_ms"]
    for _ in range(3):
        node.signal(1, "limit", limit_ms=50_000)
    assert node.ask("stats")["journal_bytes"] == once
    assert node.ask("list")["tasks"][0]["deadline_boot_ms"] == deadline


def test_a_suspended_task_can_be_stopped(any_node: Node) -> None:
    log = any_node.launch(1, "sh", "-c", "trap 'echo told; exit 4' TERM; echo up; while :; do sleep 0.01; done", grace_ms=60_000)
    until(lambda: log.exists() and "up" in log.read_text(), "its trap")
    any_node.signal(1, "suspend")
    any_node.signal(1, "stop", reason="cancelled")
    end = any_node.wait("exited", 1)
    assert (end["exit_code"], end["reason"]) == (4, "stopped")
    assert "told" in log.read_text()


def test_a_suspended_task_can_be_killed(any_node: Node) -> None:
    any_node.launch(1, "sleep", "60")
    any_node.wait("started", 1)
    any_node.signal(1, "suspend")
    any_node.signal(1, "kill")
    assert any_node.wait("exited", 1)["signal"] == signal.SIGKILL


def test_signalling_a_task_that_is_not_there(node: Node) -> None:
    assert node.signal(77, "stop")["missing"] == [[77, 0]]


def test_a_tree_that_keeps_forking_is_ended(any_node: Node, tmp_path: Path) -> None:
    source = f"""
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
open({str(tmp_path / "up")!r}, 'w').write(f'{{os.getpid()}}\\n')
while True:
    if os.fork() == 0:
        os.setsid()
    else:
        signal.sigtimedwait([], 0.02)
        os._exit(0)
"""
    any_node.script(1, source)
    pid_in(tmp_path / "up")
    any_node.signal(1, "kill", reason="cancelled")
    end = any_node.wait("exited", 1)
    if not end["empty"]:
        any_node.wait("emptied", 1)
    assert any_node.ask("list")["tasks"] == []
    assert not [path for path in Path("/proc").glob("[0-9]*/environ") if b"/1/0\0" in _tagged(path, any_node)]


def _tagged(path: Path, node: Node) -> bytes:
    found = node.home.stat()
    try:
        data = path.read_bytes()
    except OSError:
        return b""
    return data if f"TENURE_TASK_TAG={found.st_dev:x}.{found.st_ino:x}/".encode() in data and alive(int(path.parts[2])) else b""


def test_an_environment_less_session_is_still_found(node: Node, tmp_path: Path) -> None:
    program = f"import os, time; open({str(tmp_path / 'bare')!r}, 'w').write(f'{{os.getpid()}}\\n'); time.sleep(60)"
    source = f"""
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.execve(sys.executable, [sys.executable, '-S', '-c', {program!r}], {{}})
os.wait()
while not os.path.exists({str(tmp_path / "bare")!r}): time.sleep(0.01)
"""
    require_cgroups(node)  # without them nothing ties it to its task; it is counted as unclaimed instead
    node.launch(1, sys.executable, "-S", "-c", source)
    node.wait("emptied", 1)
    assert not alive(pid_in(tmp_path / "bare"))
