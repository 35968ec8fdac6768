"""What a machine offers: its own size within its limits, and nodes that are only pretended."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tenure.executors.local import machine
from tenure.executors.local.devices import Devices
from tenure.executors.local.inventory import Inventory, pretended
from tenure.executors.local.settings import LocalSettings, PretendGpus, PretendNode
from tenure.model.amounts import GIB, MIB, Amounts
from tests.support.nvml import FakeDriver, FakeGpu
from tests.unit.executors.test_devices import Ours

TERABYTE, TEN_GIGABITS = 1024 * GIB, 10**10


def inventory(settings: LocalSettings) -> Inventory:
    return Inventory(settings, Devices(settings, Ours()))


def groups(monkeypatch: pytest.MonkeyPatch, root: Path, v1: bool, files: dict[str, str]) -> None:
    """A control group of two levels, with these files."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    inner = str(root / "outer" / "inner")
    monkeypatch.setattr(machine, "own_directories", lambda: ({"cpu": inner, "memory": inner}, None) if v1 else ({}, inner))
    monkeypatch.setattr(machine, "GROUPS", str(root))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)))
    monkeypatch.setattr(machine, "memory_total_bytes", lambda: 64 * GIB)
    monkeypatch.setattr(machine, "storage_total_bytes", lambda _path: TERABYTE)
    monkeypatch.setattr(machine, "bandwidth_bps", lambda: TEN_GIGABITS)


def test_the_machine_is_what_the_kernel_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    groups(monkeypatch, tmp_path, False, {})
    assert machine.capacity() == Amounts(16_000, 64 * GIB, TERABYTE, TEN_GIGABITS)


@pytest.mark.parametrize(
    ("v1", "files"),
    [
        (False, {"outer/cpu.max": "250000 100000\n", "outer/inner/cpu.max": "max 100000\n", "outer/inner/memory.max": f"{8 * GIB}\n"}),
        (False, {"outer/inner/cpu.max": "250000 100000\n", "outer/memory.max": f"{8 * GIB}\n", "outer/inner/memory.max": "max\n"}),
        (
            True,
            {
                "outer/inner/cpu.cfs_quota_us": "-1\n",
                "outer/inner/cpu.cfs_period_us": "100000\n",
                "outer/cpu.cfs_quota_us": "250000\n",
                "outer/cpu.cfs_period_us": "100000\n",
                "outer/inner/memory.limit_in_bytes": "9223372036854771712\n",
                "outer/memory.limit_in_bytes": f"{8 * GIB}\n",
            },
        ),
    ],
)
def test_a_control_group_bounds_what_is_offered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, v1: bool, files: dict[str, str]
) -> None:
    groups(monkeypatch, tmp_path, v1, files)
    assert machine.capacity() == Amounts(2500, 8 * GIB, TERABYTE, TEN_GIGABITS)


def test_unreadable_limits_do_not_bound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    groups(monkeypatch, tmp_path, False, {"outer/cpu.max": "nonsense", "outer/memory.max": ""})
    assert machine.capacity() == Amounts(16_000, 64 * GIB, TERABYTE, TEN_GIGABITS)


def test_bandwidth_is_what_the_cards_with_a_link_say(tmp_path: Path) -> None:
    for name, speed, is_card in (
        ("eth0", "10000\n", True),
        ("eth1", "-1\n", True),
        ("ib0", "200000\n", True),
        ("br0", "10000\n", False),
    ):
        (tmp_path / name / "device" if is_card else tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "speed").write_text(speed)
    (tmp_path / "lo" / "device").mkdir(parents=True)
    assert machine.bandwidth_bps(str(tmp_path)) == 210 * 10**9
    assert machine.bandwidth_bps(str(tmp_path / "absent")) == 0


def test_scratch_space_is_the_size_of_its_file_system(tmp_path: Path) -> None:
    assert machine.storage_total_bytes(str(tmp_path)) == shutil.disk_usage(tmp_path).total
    assert machine.storage_total_bytes(str(tmp_path / "absent")) == 0


def test_memory_is_read_from_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:       2048 kB\nMemFree: 1 kB\n")
    assert machine.memory_total_bytes(str(tmp_path / "meminfo")) == 2 * MIB
    assert machine.memory_total_bytes(str(tmp_path / "absent")) == 0


def test_settings_override_and_a_reserve_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    groups(monkeypatch, tmp_path, False, {})
    kept_back = LocalSettings("/h", reserve_memory_bytes=4 * GIB, reserve_storage_bytes=24 * GIB)
    assert inventory(kept_back).capacity() == Amounts(16_000, 60 * GIB, 1000 * GIB, TEN_GIGABITS)
    told = LocalSettings("/h", cpu_milli=1500, memory_bytes=GIB, storage_bytes=0, bandwidth_bps=5)
    assert inventory(told).capacity() == Amounts(1500, GIB, 0, 5), "none of something can be said too"
    assert inventory(LocalSettings("/h", memory_bytes=GIB, reserve_memory_bytes=2 * GIB)).capacity().memory_bytes == 0


def test_the_own_node_comes_first_with_its_devices(driver: FakeDriver) -> None:
    driver.show(FakeGpu("GPU-1"), FakeGpu("GPU-0", lost=False))
    settings = LocalSettings("/h", name="box", labels=("ssd", "fast"), pretend_nodes=(PretendNode("toy"),))
    own, toy = inventory(settings).nodes()
    assert (own.name, own.labels, own.pretend, own.executor) == ("box", ("fast", "ssd"), False, "local")
    assert [(device.uuid, device.index, device.status) for device in own.devices] == [("GPU-1", 0, "ok"), ("GPU-0", 1, "ok")]
    assert (toy.name, toy.pretend) == ("toy", True)


def test_devices_can_be_left_out(driver: FakeDriver) -> None:
    driver.show(FakeGpu("GPU-1"))
    assert inventory(LocalSettings("/h", gpus="none")).nodes()[0].devices == ()


def test_a_node_without_a_name_has_the_hosts() -> None:
    assert inventory(LocalSettings("/h")).name == machine.host_name() != ""


def test_pretended_devices_are_marked_numbered_and_grouped() -> None:
    gpus = (PretendGpus(2, "A100", 80 * GIB), PretendGpus(1, "T4", 16 * GIB))
    node = pretended(PretendNode("toy", 64_000, 512 * GIB, gpus, ("fake",)))
    assert node.pretend
    assert node.capacity == Amounts(64_000, 512 * GIB)
    assert all(device.pretend for device in node.devices)
    assert [(device.uuid, device.index, device.model, device.group) for device in node.devices] == [
        ("PRETEND-toy-0", 0, "A100", 0),
        ("PRETEND-toy-1", 1, "A100", 0),
        ("PRETEND-toy-2", 2, "T4", 1),
    ]
    settings = LocalSettings("/h", pretend_nodes=(PretendNode("toy", gpus=gpus), PretendNode("other", gpus=gpus)))
    assert len(inventory(settings).pretend_uuids()) == 6
