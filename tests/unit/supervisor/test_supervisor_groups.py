"""Control groups against a pretended file system: what is written, in which order, and what is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tenure.executors.local.supervisor import cgroup_v1, cgroup_v2, detect, groups
from tenure.executors.local.supervisor.cgroup_v1 import V1
from tenure.executors.local.supervisor.cgroup_v2 import V2
from tenure.executors.local.supervisor.groups import Files, Group, Pool, Unavailable

WRITTEN: list[tuple[str, str, str]] = []  #: (hierarchy, file, value), in order
V2_FILES = {"cgroup.procs": "", "memory.max": "max", "memory.swap.max": "max", "cpu.max": "max 100000", "memory.peak": "5000"}
V2_FILES |= {"memory.current": "4000", "memory.events": "low 0\noom 1\noom_kill 2\n", "cpu.stat": "usage_usec 9000\nuser_usec 1\n"}
V1_MEMORY = {
    "tasks": "",
    "cgroup.procs": "",
    "memory.limit_in_bytes": "",
    "memory.max_usage_in_bytes": "700",
    "memory.usage_in_bytes": "600",
}
V1_MEMORY |= {"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"}


def folder(path: Path, files: dict[str, str]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).write_text(content)
    return path


@pytest.fixture
def v2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> V2:
    """A delegated subtree in which new groups get the kernel's files."""
    base = tmp_path / "tenure-x"
    folder(base / "supervisor", {"cgroup.procs": ""})
    _kernel(monkeypatch, {str(base): V2_FILES})
    return V2(str(base), frozenset(("memory", "cpu")))


@pytest.fixture
def v1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> V1:
    """Both hierarchies."""
    memory, cpu = tmp_path / "memory", tmp_path / "cpu"
    folder(memory, {"tasks": ""})
    folder(cpu, {"tasks": ""})
    _kernel(monkeypatch, {str(memory): V1_MEMORY, str(cpu): {"tasks": "", "cpu.cfs_quota_us": ""}})
    return V1(str(memory / "tenure-x"), str(cpu / "tenure-x"))


def _kernel(monkeypatch: pytest.MonkeyPatch, files: dict[str, dict[str, str]]) -> None:
    """Below these directories new ones come with files, and take them away when removed; a write replaces the content."""
    make, remove = os.makedirs, os.rmdir

    def makedirs(path: str, exist_ok: bool = False) -> None:
        make(path, exist_ok=exist_ok)
        for base, content in files.items():
            if path.startswith(base):
                folder(Path(path), content)

    def rmdir(path: str) -> None:
        if Path(path, "cgroup.procs").exists() and Path(path, "cgroup.procs").read_text().strip("0\n"):
            raise OSError(16, "Device or resource busy")
        for file in Path(path).iterdir():
            if file.is_file():
                file.unlink()
        remove(path)

    def put(self: Files, name: str, value: bytes) -> None:
        Path(self.directory, name).stat()
        Path(self.directory, name).write_bytes(value)
        WRITTEN.append((Path(self.directory).parts[-3], name, value.decode()))

    WRITTEN.clear()
    monkeypatch.setattr(os, "makedirs", makedirs)
    monkeypatch.setattr(os, "rmdir", rmdir)
    monkeypatch.setattr(Files, "put", put)


def content(group: Group, name: str) -> str:
    return Path(group.path, name).read_text()


def v1_home(group: Group, hierarchy: str) -> str:
    """What was written to the place where the supervisor lives."""
    return (Path(group.path.replace("/memory/", f"/{hierarchy}/")).parents[1] / "tasks").read_text()


def test_v2_limits_come_after_leaving_and_go_before_the_next_task(v2: V2) -> None:
    pool = Pool(v2)
    group = pool.acquire()
    assert content(group, "memory.max") == "max"
    group.enter()
    assert content(group, "cgroup.procs") == "0"
    assert content(group, "memory.max") == "max", "no limit while the supervisor stands inside"
    v2.leave()
    group.confine(7, 1500, 12345678)
    assert content(group, "memory.max") == "12345678"
    assert content(group, "memory.swap.max") == "0"
    assert content(group, "cpu.max") == "150000 100000"
    assert group.oom_kills() == 2
    assert group.usage_bytes() == 4000
    assert group.cpu_ms() == 0
    Path(group.path, "cpu.stat").write_text("usage_usec 59000\n")
    assert group.cpu_ms() == 50
    assert group.peak_bytes() is None, "the peak is an earlier task's"
    Path(group.path, "memory.peak").write_text("6000")
    assert group.peak_bytes() == 6000
    pool.release(group)
    assert content(group, "memory.max") == "max"
    assert pool.acquire() is group


def test_v1_limits_and_the_cpu_group(v1: V1) -> None:
    pool = Pool(v1)
    group = pool.acquire()
    cpu = Path(group.path.replace("/memory/", "/cpu/"))
    group.enter()
    entered = [(hierarchy, name) for hierarchy, name, value in WRITTEN if value == "0" and name != "memory.max_usage_in_bytes"]
    assert entered == [("memory", "tasks"), ("cpu", "tasks")], "a whole process would wait for the kernel's lock on forks"
    assert (cpu / "cpu.cfs_quota_us").read_text() == "-1", "no quota while the supervisor stands inside"
    v1.leave()
    assert (v1_home(group, "memory"), v1_home(group, "cpu")) == ("0", "0")
    Path(group.path, "cgroup.procs").write_text("41\n42\n")
    group.confine(41, 250, 99)
    assert content(group, "memory.limit_in_bytes") == "99"
    assert (cpu / "cpu.cfs_quota_us").read_text() == "25000"
    assert group.pids() == [41, 42]
    assert group.cpu_ms() is None
    assert group.oom_kills() == 3
    assert group.usage_bytes() == 600
    pool.release(group)
    assert content(group, "memory.limit_in_bytes") == "-1"
    assert (cpu / "cpu.cfs_quota_us").read_text() == "-1"
    group.confine(41, 1, 0)
    assert (cpu / "cpu.cfs_quota_us").read_text() == "1000", "the kernel's smallest quota"


def test_a_pool_reuses_the_longest_unused(v1: V1) -> None:
    pool = Pool(v1)
    first, second = pool.acquire(), pool.acquire()
    pool.release(second)
    pool.release(first)
    assert pool.acquire() is second
    assert pool.acquire() is first


def test_a_pool_keeps_only_so_many(v1: V1, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "HOT_GROUPS", 2)
    pool = Pool(v1)
    taken = [pool.acquire() for _ in range(4)]
    for group in taken:
        pool.release(group)
    assert [os.path.isdir(group.path) for group in taken] == [True, True, False, False]
    pool.close()
    assert not os.path.exists(v1.main)


def test_stale_groups_are_removed_if_empty(v1: V1) -> None:
    for name in ("3", "4", "9"):
        v1.make(name)
    Path(v1.main, "4", "cgroup.procs").write_text("17\n")
    pool = Pool(v1)
    assert pool.clear_stale({f"{v1.main}/9"}) == 1
    assert sorted(name for name in os.listdir(v1.main) if name.isdigit()) == ["4", "9"]
    assert pool.acquire().path.endswith("/10"), "no name is used twice"


def test_groups_beyond_the_hot_ones_keep_no_file_open(v2: V2) -> None:
    files = Files(v2.make("77").path, hot=False)
    before = len(os.listdir("/proc/self/fd"))
    files.put("memory.max", b"1")
    assert files.number("memory.peak") == 5000
    assert files.number("memory.max.none") is None
    assert files.field("memory.events", b"nothing") == 0
    assert len(os.listdir("/proc/self/fd")) == before


def test_v2_needs_controllers_handed_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = folder(tmp_path / "own", {"cgroup.controllers": "hugetlb\n", "cgroup.procs": ""})
    with pytest.raises(Unavailable, match="neither memory nor cpu"):
        cgroup_v2.detect(str(own), "x")
    (own / "cgroup.controllers").write_text("cpu memory pids\n")
    _kernel(monkeypatch, {str(own): {"cgroup.procs": ""}})
    with pytest.raises(Unavailable, match="holds other processes"):
        cgroup_v2.detect(str(own), "x")
    folder(own, {"cgroup.subtree_control": ""})
    folder(own / "tenure-x", {"cgroup.subtree_control": ""})
    kind = cgroup_v2.detect(str(own), "x")
    assert (kind.memory, kind.cpu, kind.mode) == (True, True, "v2")
    assert (own / "cgroup.subtree_control").read_text() == "+memory"
    with pytest.raises(Unavailable, match="delegated group"):
        cgroup_v2.detect(str(tmp_path / "nowhere"), "x")


def test_v1_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="no version 1 memory hierarchy is mounted; cpu: Not a directory at"):
        cgroup_v1.detect({"cpu": str(tmp_path / "file")}, "x")


PROC = """9:cpu,cpuacct:/user
8:memory:/docker/abc
1:name=systemd:/
0::/slice/session
"""
MOUNTS = """31 23 0:28 / {0} rw - tmpfs tmpfs rw
32 31 0:29 / {0}/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 /docker/abc {0}/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / {0}/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
"""


def test_own_directories(tmp_path: Path) -> None:
    for name in ("cpu,cpuacct/user", "memory", "unified/slice/session"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "cgroup").write_text(PROC)
    (tmp_path / "mountinfo").write_text(MOUNTS.format(tmp_path))
    v1, v2 = detect.own_directories(str(tmp_path))
    assert v1 == {"cpu": f"{tmp_path}/cpu,cpuacct/user", "memory": f"{tmp_path}/memory"}, "a part of a hierarchy is mounted"
    assert v2 == f"{tmp_path}/unified/slice/session"
    assert detect.own_directories(str(tmp_path / "none")) == ({}, None)


def test_switched_off() -> None:
    setup = detect.setup("off", "x")
    assert setup.described() == {"mode": "off", "memory": "sampled", "cpu": "advisory", "why": "switched off"}
    assert setup.pool is None


def test_v2_other_limits_of_a_task_that_runs(v2: V2) -> None:
    group = Pool(v2).acquire()
    group.confine(7, 1500, 12345678)
    group.limit_cpu(500)
    group.limit_memory(9000000)
    assert (content(group, "cpu.max"), content(group, "memory.max")) == ("50000 100000", "9000000")
    Path(group.path, "memory.stat").write_text("anon 5\ninactive_file 1000\nactive_file 500\n")
    assert group.needed_bytes() == 2500


def test_v1_memory_is_never_limited_higher_than_together_with_swap(v1: V1, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Pool(v1).acquire()
    v1.swap = True
    for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
        Path(group.path, name).write_text("1000")
    WRITTEN.clear()
    group.limit_memory(2000)
    group.limit_memory(500)
    names = [name for _, name, _ in WRITTEN]
    assert names == ["memory.memsw.limit_in_bytes", "memory.limit_in_bytes", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
    put = Files.put

    def busy(self: Files, name: str, value: bytes) -> None:
        if "memsw" in name:
            raise OSError(16, "Device or resource busy")
        put(self, name, value)

    monkeypatch.setattr(Files, "put", busy)
    with pytest.raises(OSError, match="busy"):
        group.limit_memory(100)
    assert content(group, "memory.limit_in_bytes") == "500", "what stood before stands"
    v1.memory = False
    with pytest.raises(OSError, match="not supported"):
        group.limit_memory(100)


def test_v1_what_is_not_limited_here_is_not_said_to_be(v1: V1) -> None:
    group = cgroup_v1.GroupV1(V1(v1.memory_base, None), Pool(v1).acquire().path, "1")
    group.confine(7, 1500, 0)
    with pytest.raises(OSError, match="not supported"):
        group.limit_cpu(500)
