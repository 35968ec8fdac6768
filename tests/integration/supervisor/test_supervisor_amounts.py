"""Other limits of cpu and memory for a task that runs: in the kernel, in the journal, and never below what it uses."""

from __future__ import annotations

import sys
from pathlib import Path

from tenure.executors.local.supervisor.detect import own_directories
from tests.integration.supervisor.node import Node, Record, require_cgroups, until

MIB = 1 << 20
HOLDS = "import sys, time\nx = bytearray(int(sys.argv[1]) << 20)\nopen(sys.argv[2], 'w').write('there')\ntime.sleep(1000)"
"""Holds so many MiB and says when it has them."""


def holding(node: Node, attempt: int, mib: int, **limits: int) -> None:
    """A task that uses so much memory."""
    mark = node.root / f"holds-{attempt}"
    node.launch(attempt, sys.executable, "-S", "-c", HOLDS, str(mib), str(mark), **limits)
    until(lambda: mark.exists() and mark.read_text(), "a task that has its memory")


def limits_of(node: Node, attempt: int) -> tuple[int, int]:
    """What the kernel keeps the task to: thousandths of a cpu, bytes."""
    pid = next(task["pid"] for task in node.ask("list")["tasks"] if task["attempt"] == attempt)
    v1, v2 = own_directories(f"/proc/{pid}")
    if "memory" in v1:
        quota_us = int(Path(v1["cpu"], "cpu.cfs_quota_us").read_text())
        return quota_us // 100, int(Path(v1["memory"], "memory.limit_in_bytes").read_text())
    quota, period = Path(str(v2), "cpu.max").read_text().split()
    return int(quota) * 1000 // int(period), int(Path(str(v2), "memory.max").read_text())


def resize(node: Node, attempt: int, cpu_milli: int = 0, memory_bytes: int = 0) -> list[object]:
    """What the task is kept to afterwards, and why that is not what was asked for."""
    reply: Record = node.signal(attempt, "resize", cpu_milli=cpu_milli, memory_bytes=memory_bytes)
    ((_, _, *kept),) = reply["resized"]
    return kept


def test_both_limits_are_lowered_and_raised_in_the_kernel(node: Node) -> None:
    require_cgroups(node)
    holding(node, 1, 16, cpu_milli=2000, memory_bytes=512 * MIB)
    assert limits_of(node, 1) == (2000, 512 * MIB)
    for _ in range(2):
        assert resize(node, 1, 500, 128 * MIB) == [500, 128 * MIB, ""]
        assert limits_of(node, 1) == (500, 128 * MIB)
    assert resize(node, 1, cpu_milli=1000) == [1000, 128 * MIB, ""]
    assert resize(node, 1, memory_bytes=256 * MIB) == [1000, 256 * MIB, ""]
    assert limits_of(node, 1) == (1000, 256 * MIB)
    node.signal(1, "kill")
    node.wait("exited", 1)
    node.launch(2, "true")
    assert node.wait("exited", 2)["exit_code"] == 0


def test_a_limit_below_what_is_used_changes_nothing_of_memory(node: Node) -> None:
    require_cgroups(node)
    holding(node, 1, 100, cpu_milli=2000, memory_bytes=512 * MIB)
    cpu_milli, memory_bytes, why = resize(node, 1, 500, 100 * MIB)
    assert (cpu_milli, memory_bytes) == (500, 512 * MIB)
    assert "M of memory, so it keeps at least 1" in str(why)
    assert limits_of(node, 1) == (500, 512 * MIB)


def test_pages_of_files_do_not_count_as_use(node: Node, tmp_path: Path) -> None:
    require_cgroups(node)
    mark, big = tmp_path / "written", tmp_path / "big"
    script = f"dd if=/dev/zero of={big} bs=1M count=200 conv=fsync 2>/dev/null; echo there > {mark}; sleep 1000"
    node.launch(1, "sh", "-c", script, memory_bytes=512 * MIB, cpu_milli=2000)
    until(lambda: mark.exists() and mark.read_text(), "a file in the page cache", 30)
    assert resize(node, 1, memory_bytes=64 * MIB) == [2000, 64 * MIB, ""]


def test_a_supervisor_that_takes_over_keeps_it_to_the_lower_limits(node: Node) -> None:
    require_cgroups(node)
    holding(node, 1, 16, cpu_milli=2000, memory_bytes=512 * MIB)
    resize(node, 1, 500, 128 * MIB)
    node.kill9()
    node.start()
    assert limits_of(node, 1) == (500, 128 * MIB)
    assert resize(node, 1, 500, 96 * MIB) == [500, 96 * MIB, ""]
    node.kill9()
    node.start()
    assert limits_of(node, 1) == (500, 96 * MIB)


def test_where_nothing_is_enforced_it_says_so(bare: Node) -> None:
    bare.launch(1, "sleep", "1000", memory_bytes=512 * MIB)
    bare.wait("started", 1)
    cpu_milli, memory_bytes, why = resize(bare, 1, 500, 128 * MIB)
    assert (cpu_milli, memory_bytes) == (None, None)
    assert "control group" in str(why)
    assert bare.signal(2, "resize", cpu_milli=1)["missing"] == [[2, 0]]
