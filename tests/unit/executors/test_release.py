"""A GPU is free when NVML says so, not when its process has gone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.executors.local.devices import Devices
from tenure.executors.local.release import Release
from tenure.executors.local.settings import LocalSettings
from tenure.model.observations import TaskEmptied
from tests.support.nvml import FakeDriver, FakeGpu
from tests.unit.executors.test_devices import Ours

PATIENCE_S = 20.0
REPORT = TaskEmptied(1, 0, 5)


class Place:
    """A release over one device, and whoever is woken by it."""

    def __init__(self, tmp_path: Path, release_ms: int) -> None:
        self.ours = Ours()
        self.devices = Devices(LocalSettings(str(tmp_path)), self.ours)
        self.woken = threading.Event()
        self.release = Release(self.devices, release_ms, self.woken.set)
        self.ours.waiting = self  # type: ignore[assignment]

    def __contains__(self, uuid: object) -> bool:
        return self.release.uses(str(uuid))

    def wait(self) -> None:
        assert self.woken.wait(PATIENCE_S), "nobody was woken"
        self.woken.clear()


@pytest.fixture
def patient(driver: FakeDriver, tmp_path: Path) -> Iterator[Place]:
    driver.show(FakeGpu("a"), FakeGpu("b"))
    place = Place(tmp_path, 60_000)
    place.devices.probe()
    yield place
    place.release.stop()


@pytest.fixture
def hasty(driver: FakeDriver, tmp_path: Path) -> Iterator[Place]:
    driver.show(FakeGpu("a"), FakeGpu("b"))
    place = Place(tmp_path, 0)
    place.devices.probe()
    yield place
    place.release.stop()


def test_clean_devices_hold_nothing_back_and_need_no_thread(patient: Place) -> None:
    threads = threading.active_count()
    assert not patient.release.hold(REPORT, 7, ("a",))
    assert patient.release.take() == []
    assert threading.active_count() == threads


def test_a_report_waits_until_the_memory_is_free(driver: FakeDriver, patient: Place) -> None:
    driver.change(0, used=40_000)
    assert patient.release.hold(REPORT, 7, ("a", "b"))
    assert patient.release.take() == []
    assert patient.release.uses("a")
    assert patient.devices.probe()["a"].status == "ok", "its allocation is not released, so nobody is offered it"
    driver.change(0, used=0)
    patient.wait()
    (held,) = patient.release.take()
    assert (held.report, held.seq) == (REPORT, 7)
    assert not patient.release.uses("a")
    assert patient.release.take() == []


def test_a_device_that_stays_occupied_is_quarantined_before_the_report_goes(driver: FakeDriver, hasty: Place) -> None:
    driver.change(0, used=40_000, processes=((os.getpid(), 40_000),))
    hasty.ours.pids[os.getpid()] = (1, 0)
    assert hasty.release.hold(REPORT, 7, ("a", "b"))
    hasty.wait()
    assert hasty.release.take() == [], "not before the control loop has been shown the quarantine"
    revision = hasty.devices.revision
    hasty.release.shown(revision - 1)
    assert hasty.release.take() == [], "what was shown is older than the quarantine"
    found = hasty.devices.probe()
    assert (found["a"].status, found["b"].status) == ("quarantined", "ok")
    assert f"pid {os.getpid()}" in found["a"].why
    hasty.release.shown(revision)
    (held,) = hasty.release.take()
    assert held.report == REPORT
    assert hasty.devices.probe()["a"].status == "quarantined", "the report is out, the device is still not offered"
    driver.change(0, used=0, processes=())
    assert hasty.devices.probe()["a"].status == "ok"


def test_what_is_held_can_be_forgotten(driver: FakeDriver, patient: Place) -> None:
    driver.change(0, used=40_000)
    assert patient.release.hold(REPORT, 7, ("a",))
    patient.release.clear()
    assert not patient.release.uses("a")
    assert patient.release.hold(REPORT, 8, ("a",))
    driver.change(0, used=0)
    patient.wait()
    assert [held.seq for held in patient.release.take()] == [8]
