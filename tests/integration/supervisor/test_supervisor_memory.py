"""Memory and cpu limits: by control groups where permitted, by looking where not; logs and devices within bounds."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from tests.integration.supervisor.node import Node, require_cgroups, until

GREEDY = "x = []\nwhile True: x.append(bytearray(1 << 20))"
MIB = 1 << 20


def test_out_of_memory_by_group(node: Node) -> None:
    require_cgroups(node)
    node.script(1, GREEDY, memory_bytes=64 * MIB)
    end = node.wait("exited", 1)
    assert (end["reason"], end["signal"]) == ("oom", signal.SIGKILL)
    assert end["oom_kills"] == 1
    assert str(64 * MIB) in end["why"]
    assert 48 * MIB < end["peak_memory_bytes"] <= 64 * MIB


def test_out_of_memory_of_a_child_is_the_reason_of_the_failure(node: Node) -> None:
    require_cgroups(node)
    node.launch(1, "sh", "-c", f'{sys.executable} -S -c "{GREEDY}"; exit 5', memory_bytes=64 * MIB)
    end = node.wait("exited", 1)
    assert (end["reason"], end["exit_code"]) == ("oom", 5)


def test_the_smallest_limit_never_ends_the_supervisor(node: Node) -> None:
    require_cgroups(node)
    for attempt in range(1, 30):
        node.launch(attempt, "sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done", memory_bytes=8 * MIB)
    for attempt in range(1, 30):
        assert node.wait("exited", attempt)["reason"] in ("oom", "exit")
    assert node.process is not None
    assert node.process.poll() is None


def test_a_group_used_again_starts_without_limit_and_history(node: Node) -> None:
    require_cgroups(node)
    node.script(1, GREEDY, memory_bytes=32 * MIB)
    node.wait("exited", 1)
    node.script(2, "x = bytearray(100 << 20)")
    end = node.wait("exited", 2)
    assert (end["exit_code"], end["reason"], end["oom_kills"]) == (0, "exit", 0)
    node.launch(3, "false", memory_bytes=32 * MIB)
    end = node.wait("exited", 3)
    assert (end["reason"], end["oom_kills"]) == ("exit", 0)
    assert end["peak_memory_bytes"] < 32 * MIB


def test_page_cache_of_an_earlier_task_is_not_counted(node: Node, tmp_path: Path) -> None:
    require_cgroups(node)
    node.launch(1, "dd", "if=/dev/zero", f"of={tmp_path / 'big'}", "bs=1M", "count=64")
    assert node.wait("exited", 1)["peak_memory_bytes"] > 48 * MIB
    node.launch(2, "true")
    end = node.wait("exited", 2)
    assert end["peak_memory_bytes"] < 16 * MIB
    assert end["peak_rss_bytes"] is None or end["peak_rss_bytes"] < 64 * MIB


def test_cpu_is_limited_by_group(node: Node) -> None:
    require_cgroups(node)
    node.launch(1, "sh", "-c", "while :; do :; done", cpu_milli=200)
    pid = node.wait("started", 1)["pid"]

    def used() -> int:
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))

    start = time.monotonic()
    until(lambda: used() >= 20, "0.2 s of cpu")
    assert time.monotonic() - start > 0.5, "at 200 milli that takes about a second"


def test_out_of_memory_by_looking(bare: Node) -> None:
    assert bare.line.hello["cgroups"] == {"mode": "off", "memory": "sampled", "cpu": "advisory", "why": "switched off"}
    bare.script(1, "import time\nx = bytearray(100 << 20)\ntime.sleep(60)", memory_bytes=32 * MIB)
    end = bare.wait("exited", 1)
    assert (end["reason"], end["signal"]) == ("oom_sampled", signal.SIGKILL)
    assert end["peak_memory_bytes"] > 32 * MIB
    assert str(32 * MIB) in end["why"]


def test_looking_counts_the_whole_tree(bare: Node) -> None:
    child = "import time; x = bytearray(40 << 20); time.sleep(60)"
    bare.launch(1, "sh", "-c", f"for i in 1 2 3; do {sys.executable} -S -c '{child}' & done; wait", memory_bytes=100 * MIB)
    assert bare.wait("exited", 1)["reason"] == "oom_sampled"


def test_looking_counts_shared_pages_once(bare: Node, tmp_path: Path) -> None:
    source = f"""
import os, time
x = bytearray(60 << 20)
for _ in range(4):
    if os.fork() == 0:
        time.sleep(60)
time.sleep(1)
open({str(tmp_path / "fine")!r}, 'w').close()
os._exit(0)
"""
    bare.script(1, source, memory_bytes=120 * MIB)
    assert bare.wait("exited", 1)["reason"] == "exit"
    assert (tmp_path / "fine").exists()


def test_an_idle_supervisor_has_no_timer_and_looks_at_nothing(bare: Node) -> None:
    bare.launch(1, "true", memory_bytes=32 * MIB, time_limit_ms=100)
    bare.wait("exited", 1)
    until(lambda: bare.ask("stats")["timers"] == 0, "its timers to run out", 15)
    assert bare.ask("stats")["live"] == 0


def test_logs_keep_their_newest_bytes(tmp_path: Path) -> None:
    node = Node(tmp_path, "--log-keep-bytes", str(MIB))
    try:
        node.start()
        log = node.script(1, "import sys, time\nfor i in range(200000): print(f'line {i:060}')\nsys.stdout.flush()\ntime.sleep(60)")
        size = 200000 * 66
        until(lambda: log.exists() and log.stat().st_size == size, "the log")
        until(
            lambda: log.stat().st_blocks * 512 < 2 * MIB or node.ask("stats")["log_bound"].startswith("not possible"), "the bound", 15
        )
        stats = node.ask("stats")
        assert log.stat().st_size == size, "offsets stay"
        assert log.read_bytes()[-MIB:].endswith(b"line %060d\n" % 199999)
        assert b"\0" not in log.read_bytes()[-MIB:]
        if stats["log_bound"] == "works":
            assert stats["log_released_bytes"] > 10 * MIB
    finally:
        node.close()


def test_a_device_belongs_to_one_supervisor_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    locks = ("--device-locks", str(tmp_path / "locks"))
    one, two = Node(tmp_path / "a", *locks), Node(tmp_path / "b", *locks)
    try:
        one.start()
        two.start()
        one.launch(1, "sleep", "60", devices=["GPU-1", "GPU-2"])
        one.launch(2, "sleep", "60", devices=["GPU-1"])
        one.wait("started", 2)
        two.launch(1, "true", devices=["GPU-3", "GPU-1"])
        rejection = two.wait("rejected", 1)
        assert (rejection["fault"], rejection["code"]) == ("node", "device_busy")
        two.launch(2, "true", devices=["GPU-3"])
        assert two.wait("exited", 2)["exit_code"] == 0
        one.signal(1, "kill")
        one.wait("exited", 1)
        two.launch(3, "true", devices=["GPU-2"])
        assert two.wait("exited", 3)["exit_code"] == 0
        two.launch(4, "true", devices=["GPU-1"])
        assert two.wait("rejected", 4)["code"] == "device_busy", "the second task still uses it"
        assert (tmp_path / "locks").stat().st_mode & 0o7777 == 0o1777
        assert (tmp_path / "locks" / "GPU-1.lock").stat().st_mode & 0o777 == 0o666
    finally:
        one.close()
        two.close()


def test_a_device_stays_locked_while_its_task_outlives_the_supervisor(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    locks = ("--device-locks", str(tmp_path / "locks"))
    one, two = Node(tmp_path / "a", *locks), Node(tmp_path / "b", *locks)
    try:
        one.start()
        two.start()
        one.launch(1, "sleep", "60", devices=["GPU-1"])
        pid = one.wait("started", 1)["pid"]
        one.kill9()
        two.launch(1, "true", devices=["GPU-1"])
        assert two.wait("rejected", 1)["code"] == "device_busy"
        one.start()
        one.launch(2, "true", devices=["GPU-1"])
        assert one.wait("exited", 2)["exit_code"] == 0, "its own task may share it"
        os.kill(pid, signal.SIGKILL)
        one.wait("exited", 1)
        two.launch(2, "true", devices=["GPU-1"])
        assert two.wait("exited", 2)["exit_code"] == 0
    finally:
        one.close()
        two.close()


def test_looking_begins_at_once_beside_a_task_without_a_limit(bare: Node) -> None:
    """The look every 200 ms must not wait for the next one of the 5 s that tasks without a limit get."""
    bare.launch(1, "sleep", "60")
    bare.wait("started", 1)
    bare.script(2, "import time\nx = bytearray(100 << 20)\ntime.sleep(2.5)", memory_bytes=32 * MIB)
    assert bare.wait("exited", 2)["reason"] == "oom_sampled"
