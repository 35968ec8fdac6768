"""Whose a GPU is: processes of others, lost devices, leftovers, quarantine, locks."""

from __future__ import annotations

import fcntl
import getpass
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.executors.local import gpu
from tenure.executors.local.devices import Devices, Key, locked_devices
from tenure.executors.local.settings import LocalSettings
from tests.support.nvml import FakeDriver, FakeGpu

HIDDEN_PID = 2**22 + 5
"""Larger than any pid of this kernel: a process of another pid namespace."""

ME = os.getpid()


class Ours:
    """Who of us uses what, as the test says."""

    def __init__(self) -> None:
        self.held: dict[str, list[Key]] = {}
        self.waiting: set[str] = set()
        self.pids: dict[int, Key] = {}
        self.leased: set[tuple[int, str]] = set()

    def holders(self, uuid: str) -> list[Key]:
        return self.held.get(uuid, [])

    def releasing(self, uuid: str) -> bool:
        return uuid in self.waiting

    def owner(self, pid: int) -> Key | None:
        return self.pids.get(pid)

    def leases(self, pid: int, uuid: str) -> bool:
        return (pid, uuid) in self.leased


@pytest.fixture
def ours() -> Ours:
    return Ours()


@pytest.fixture
def devices(driver: FakeDriver, ours: Ours, tmp_path: Path) -> Iterator[Devices]:
    devices = Devices(LocalSettings(str(tmp_path), device_locks=str(tmp_path / "locks")), ours)
    yield devices
    devices.close()


def status_of(devices: Devices, uuid: str = "a") -> tuple[str, str]:
    found = devices.probe()[uuid]
    return found.status, found.why


def test_a_free_device_is_offered(driver: FakeDriver, devices: Devices) -> None:
    driver.show(FakeGpu("a", used=450))  # what a driver and a small display take
    assert status_of(devices) == ("ok", "")


def test_a_device_full_of_a_foreign_process_is_not_offered_although_it_idles(driver: FakeDriver, devices: Devices) -> None:
    """92 % of the memory held at 0 % utilisation."""
    driver.show(FakeGpu("a", used=75_000, processes=((ME, 75_000),)), FakeGpu("b"))
    status, why = status_of(devices)
    assert status == "foreign"
    assert f"pid {ME}" in why
    assert getpass.getuser() in why
    assert "73.2G" in why
    assert status_of(devices, "b") == ("ok", "")


def test_memory_in_use_without_a_named_process_counts_as_foreign(driver: FakeDriver, devices: Devices) -> None:
    driver.show(FakeGpu("a", used=75_000), FakeGpu("b", used=75_000, processes=None))
    assert status_of(devices)[0] == status_of(devices, "b")[0] == "foreign"
    assert "names no process" in status_of(devices)[1]


def test_a_foreign_process_of_another_namespace_is_not_visible_but_counts(driver: FakeDriver, devices: Devices) -> None:
    driver.show(FakeGpu("a", used=10, processes=((HIDDEN_PID, 10),)))
    status, why = status_of(devices)
    assert status == "foreign"
    assert "not visible" in why


def test_our_own_task_does_not_make_a_device_foreign(driver: FakeDriver, devices: Devices, ours: Ours) -> None:
    driver.show(FakeGpu("a", used=75_000, processes=((ME, 40_000), (HIDDEN_PID, 30_000))))
    ours.held["a"], ours.pids[ME] = [(1, 0)], (1, 0)
    assert status_of(devices) == ("ok", "")


def test_a_foreign_process_beside_our_task_is_told(driver: FakeDriver, devices: Devices, ours: Ours) -> None:
    driver.show(FakeGpu("a", used=75_000, processes=((ME, 100), (os.getppid(), 75_000))))
    ours.held["a"], ours.pids[ME] = [(1, 0)], (1, 0)
    status, why = status_of(devices)
    assert status == "foreign"
    assert f"pid {os.getppid()}" in why
    assert f"pid {ME}" not in why


def test_a_device_is_free_again_when_the_foreign_process_is_gone(driver: FakeDriver, devices: Devices) -> None:
    driver.show(FakeGpu("a", used=75_000, processes=((ME, 75_000),)))
    assert status_of(devices)[0] == "foreign"
    before = devices.revision
    driver.change(0, used=0, processes=())
    assert status_of(devices) == ("ok", "")
    assert devices.revision > before


def test_the_reason_does_not_change_with_every_byte(driver: FakeDriver, devices: Devices) -> None:
    driver.show(FakeGpu("a", used=1000, processes=((ME, 1000),)))
    first, revision = status_of(devices), devices.revision
    driver.change(0, used=9000, processes=((ME, 9000),))
    assert status_of(devices) == first
    assert devices.revision == revision


def test_ignored_programs_never_count(driver: FakeDriver, ours: Ours, tmp_path: Path) -> None:
    driver.show(FakeGpu("a", used=100, processes=((ME, 30),)))
    name = Path(f"/proc/{ME}/comm").read_text().strip()
    devices = Devices(LocalSettings(str(tmp_path), ignored_processes=(name,)), ours)
    assert status_of(devices) == ("ok", "")


def test_a_lost_or_split_device_is_not_offered(driver: FakeDriver, devices: Devices) -> None:
    driver.show(FakeGpu("a"), FakeGpu("b", mig=True))
    devices.probe()
    driver.change(0, lost=True)
    assert status_of(devices)[0] == "lost"
    status, why = status_of(devices, "b")
    assert status == "mig"
    assert "only whole GPUs" in why
    driver.change(1, mig=False)
    assert status_of(devices, "b") == ("ok", "")


def test_only_chosen_devices_are_offered(driver: FakeDriver, ours: Ours, tmp_path: Path) -> None:
    driver.show(FakeGpu("a"), FakeGpu("b"), FakeGpu("c"))
    devices = Devices(LocalSettings(str(tmp_path), gpus="0, c"), ours)
    assert list(devices.probe()) == ["a", "c"]


def test_a_look_is_taken_from_memory_while_it_is_young(driver: FakeDriver, devices: Devices) -> None:
    driver.show(FakeGpu("a"))
    devices.probe()
    driver.change(0, used=75_000)
    assert devices.probe(["a"], max_age_ms=60_000)["a"].status == "ok"
    assert devices.probe(["a"])["a"].status == "foreign"


def test_what_an_ended_task_left_is_found_and_quarantined_until_it_is_gone(driver: FakeDriver, devices: Devices, ours: Ours) -> None:
    driver.show(FakeGpu("a", used=500, processes=((ME, 500),)), FakeGpu("b"))
    devices.probe()
    ours.pids[ME] = (1, 0)  # its tag says so, but the task is not among the holders any more
    left = devices.leftovers(["a", "b"])
    assert list(left) == ["a"]
    assert f"pid {ME}" in left["a"]
    devices.quarantine("a", "still occupied")
    assert status_of(devices) == ("quarantined", "still occupied")
    driver.change(0, used=0, processes=())
    assert status_of(devices) == ("ok", "")


def test_a_leftover_found_by_chance_is_quarantined_too(driver: FakeDriver, devices: Devices, ours: Ours) -> None:
    driver.show(FakeGpu("a", used=500, processes=((ME, 500),)))
    ours.pids[ME] = (1, 0)
    status, why = status_of(devices)
    assert (status, "left over from an ended task" in why) == ("quarantined", True)


def test_a_quarantine_is_lifted_by_a_look_for_leftovers(driver: FakeDriver, devices: Devices, ours: Ours) -> None:
    driver.show(FakeGpu("a", used=500, processes=((ME, 500),)))
    devices.probe()
    ours.pids[ME] = (1, 0)
    devices.quarantine("a", "still occupied")
    driver.change(0, used=0, processes=())
    before = devices.revision
    assert devices.leftovers(["a"]) == {}
    assert devices.revision > before


def test_memory_that_a_driver_has_not_freed_yet_is_a_leftover(driver: FakeDriver, devices: Devices) -> None:
    driver.show(FakeGpu("a", used=40_000))
    devices.probe()
    assert "names no process" in devices.leftovers(["a"])["a"]


def test_neighbours_on_a_shared_device_are_no_leftovers(driver: FakeDriver, devices: Devices, ours: Ours) -> None:
    driver.show(FakeGpu("a", used=40_000, processes=((ME, 20_000), (HIDDEN_PID, 20_000))))
    devices.probe()
    ours.held["a"], ours.pids[ME] = [(2, 0)], (2, 0)
    assert devices.leftovers(["a"]) == {}


def test_a_foreign_process_is_no_leftover(driver: FakeDriver, devices: Devices) -> None:
    driver.show(FakeGpu("a", used=40_000, processes=((ME, 20_000),)))
    devices.probe()
    assert devices.leftovers(["a"]) == {}


def test_a_process_that_cannot_be_seen_is_taken_for_a_leftover(driver: FakeDriver, devices: Devices) -> None:
    driver.show(FakeGpu("a", used=40_000, processes=((HIDDEN_PID, 20_000),)))
    devices.probe()
    assert "not visible" in devices.leftovers(["a"])["a"]


def test_a_device_that_is_being_released_does_not_flicker(driver: FakeDriver, devices: Devices, ours: Ours) -> None:
    driver.show(FakeGpu("a", used=40_000))
    ours.waiting.add("a")
    assert status_of(devices) == ("ok", "")


def test_a_lock_of_another_daemon_is_seen_without_touching_it(driver: FakeDriver, devices: Devices, tmp_path: Path) -> None:
    driver.show(FakeGpu("a"), FakeGpu("b"))
    (tmp_path / "locks").mkdir()
    for uuid in ("a", "b"):
        (tmp_path / "locks" / f"{uuid}.lock").touch()
    with (tmp_path / "locks" / "a.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not locked_devices(str(tmp_path / "locks"), ["a"]):
            pytest.skip("this kernel does not show the locks of this file system in /proc/locks")
        assert status_of(devices)[0] == "foreign"
        assert status_of(devices, "b") == ("ok", "")
    assert status_of(devices) == ("ok", "")


def test_a_machine_without_a_driver_has_no_devices_until_it_has_one(
    driver: FakeDriver, devices: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setattr(gpu, "LIBRARY", "libnobody-has-this.so.1")
        assert devices.probe() == {}
        assert "no NVIDIA driver is installed" in devices.problem
    driver.show(FakeGpu("a"))
    assert list(devices.probe()) == ["a"]
    assert devices.problem == ""
