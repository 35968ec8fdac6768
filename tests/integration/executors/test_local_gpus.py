"""Tasks on GPUs, with a real supervisor and real processes on a stand-in driver: evidence before reuse, processes of others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tenure.model.amounts import Amounts
from tenure.model.commands import JobSpec
from tenure.model.observations import Launch, Signal, SignalAction, TaskEmptied, TaskEnded, TaskStarted
from tenure.testing.executor_rig import Watcher
from tests.support.local_executor import LocalRig, local_rig
from tests.support.nvml import FakeDriver, FakeGpu


@pytest.fixture
def rig(driver: FakeDriver) -> Iterator[LocalRig]:
    driver.show(FakeGpu("GPU-a"), FakeGpu("GPU-b"))
    with local_rig(gpus="all", probe_age_ms=0, release_ms=60_000) as rig:
        rig.executor.nodes()
        yield rig


@pytest.fixture
def watch(rig: LocalRig) -> Watcher:
    return Watcher(rig)


def launch(attempt_id: int, *argv: str, devices: tuple[str, ...] = ("GPU-a",), stdout: str = "", milli: int = 1000) -> Launch:
    spec = JobSpec(argv or ("sleep", "1000"), "/", {"PATH": "/usr/bin:/bin"})
    return Launch(attempt_id, attempt_id, 0, 1, "here", "gpu", spec, Amounts(1000), devices=devices, gpu_milli=milli, stdout=stdout)


def stop(attempt_id: int) -> Signal:
    return Signal(attempt_id, 0, 1, SignalAction.STOP)


def statuses(rig: LocalRig) -> list[str]:
    return [device.status for device in rig.executor.nodes()[0].devices]


def test_a_task_sees_its_devices_by_uuid(rig: LocalRig, watch: Watcher) -> None:
    log = rig.home / "log"
    rig.executor.launch([launch(1, "sh", "-c", "echo $CUDA_VISIBLE_DEVICES", devices=("GPU-b", "GPU-a"), stdout=str(log))])
    assert watch.ended(1).empty, "clean devices hold nothing back"
    assert log.read_text() == "GPU-b,GPU-a\n"


def test_a_device_that_somebody_took_meanwhile_is_not_used(rig: LocalRig, watch: Watcher, driver: FakeDriver) -> None:
    driver.change(0, used=75_000, processes=((os.getpid(), 75_000),))
    rig.executor.launch([launch(1), launch(2, "true", devices=("GPU-b",))])
    rejected = watch.rejected(1)
    assert (rejected.code, rejected.job_fault) == ("device_foreign", False)
    assert f"pid {os.getpid()}" in rejected.why
    assert watch.ended(2).exit_code == 0
    assert statuses(rig) == ["foreign", "ok"]


def test_a_device_that_vanished_is_not_used(rig: LocalRig, watch: Watcher, driver: FakeDriver) -> None:
    driver.change(0, lost=True)
    rig.executor.launch([launch(1), launch(2, devices=("GPU-unheard-of",))])
    assert watch.rejected(1).code == watch.rejected(2).code == "device_lost"
    assert statuses(rig) == ["lost", "ok"]


def test_our_task_on_a_device_is_not_foreign_and_may_be_told_again(rig: LocalRig, watch: Watcher, driver: FakeDriver) -> None:
    one = launch(1, milli=500)
    rig.executor.launch([one])
    pid = watch.started(1).pid
    driver.change(0, used=70_000, processes=((pid, 70_000),))
    assert statuses(rig) == ["ok", "ok"]
    rig.executor.launch([one, launch(2, "true", milli=500)])
    assert watch.ended(2).exit_code == 0, "two fractions share a device"
    assert set(watch.reports(TaskStarted, 1)) == {watch.started(1)}


def test_a_device_is_released_when_its_memory_is_free(rig: LocalRig, watch: Watcher, driver: FakeDriver) -> None:
    rig.executor.launch([launch(1)])
    driver.change(0, used=70_000, processes=((watch.started(1).pid, 70_000),))
    driver.change(0, used=70_000, processes=())
    rig.executor.signal([stop(1)])
    assert not watch.ended(1).empty, "the driver has not freed the memory yet"
    assert [task.attempt_id for task in rig.executor.discover()] == [1], "it counts as alive: its devices are still taken"
    assert not watch.reports(TaskEmptied, 1)
    rig.executor.acknowledge(watch.cursor)
    driver.change(0, used=0)
    watch.until(lambda: watch.gone(1), "the evidence")
    assert rig.executor.discover() == []
    assert statuses(rig) == ["ok", "ok"]


def test_a_device_that_stays_occupied_is_quarantined_not_the_node(driver: FakeDriver) -> None:
    driver.show(FakeGpu("GPU-a"), FakeGpu("GPU-b"))
    with local_rig(gpus="all", probe_age_ms=0, release_ms=0) as rig:
        watch = Watcher(rig)
        rig.executor.nodes()
        rig.executor.launch([launch(1)])
        watch.started(1)
        driver.change(0, used=70_000)
        before = rig.executor.devices_revision
        rig.executor.signal([stop(1)])
        assert not watch.ended(1).empty
        watch.until(lambda: rig.executor.devices_revision > before, "the quarantine")
        watch.look()
        assert not watch.gone(1), "the quarantine is to be shown before the device could look free"
        assert statuses(rig) == ["quarantined", "ok"]
        watch.until(lambda: watch.gone(1), "the evidence")
        rig.executor.launch([launch(2), launch(3, "true", devices=("GPU-b",))])
        assert watch.rejected(2).code == "device_quarantined"
        assert watch.ended(3).exit_code == 0
        driver.change(0, used=0)
        assert statuses(rig) == ["ok", "ok"], "it is looked at again, and offered again"


def test_leftovers_that_ignore_the_stop_are_gone_before_the_device_is_free(rig: LocalRig, watch: Watcher, driver: FakeDriver) -> None:
    """Data loaders that were re-parented, in a session of their own, deaf to TERM."""
    mark = rig.home / "worker"
    worker = f'trap "" TERM; echo $$ > {mark}.new; mv {mark}.new {mark}; while :; do sleep 0.05; done'
    rig.executor.launch([launch(1, "sh", "-c", f"setsid sh -c '{worker}' & while :; do sleep 0.05; done")])
    other = launch(2, devices=("GPU-b",))
    rig.executor.launch([other])
    bystander = watch.started(2)
    watch.until(mark.exists, "the worker")
    pid = int(mark.read_text())
    driver.change(0, used=70_000, processes=((pid, 70_000),))
    assert statuses(rig) == ["ok", "ok"], "a worker that left the session is still ours, by its tag"
    rig.executor.signal([replace(stop(1), grace_ms=100)])
    watch.until(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the worker")
    watch.until(lambda: bool(watch.reports(TaskEnded, 1)), "the end of the task")
    watch.look()
    assert not watch.gone(1), "the driver still names the worker"
    driver.change(0, used=0, processes=())
    watch.until(lambda: watch.gone(1), "the evidence")
    assert [(task.attempt_id, task.pid) for task in rig.executor.discover()] == [(2, bystander.pid)]
