"""GPU figures of a lease: what its holder's processes do on the device, from the driver to the figures that are kept."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from tenure.model.amounts import MIB
from tenure.model.commands import AcquireLease, Applied, Holder, JobRequest, JobSpec
from tenure.model.observations import EndReason
from tenure.monitors.gpus import GpuSampler
from tenure.monitors.keeping import Keeping
from tenure.monitors.reports import Reports
from tenure.monitors.tasks import TaskSampler
from tenure.monitors.watch import Round
from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.testing.store_rig import ADA, ONE_GPU, StoreRig, ended, node
from tests.support.nvml import FakeDriver, FakeGpu


def test_a_device_counts_for_the_lease_while_it_is_held(tmp_path: Path, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ctypes.CDLL
    monkeypatch.setattr(ctypes, "CDLL", lambda _name, **options: real(None, **options))
    rig = StoreRig(lambda: open_sqlite(str(tmp_path / "tenure.db"), StoreSettings(ballast_bytes=0)), [node("n1", gpus=3)])
    store = rig.store
    assert isinstance(store, SqlStore)
    wish = JobRequest("tool", ONE_GPU, kind="lease", limit_ms=60_000)
    asked = rig.apply(AcquireLease(rig.key(), ADA, wish, JobSpec(("tool",), "/", holder=Holder(os.getpid(), 1)), "a" * 64, 1_000))
    assert isinstance(asked, Applied)
    held = rig.run(asked.job_id, ONE_GPU, devices=[[2]])
    job = rig.submit(ONE_GPU)
    rig.run(job, ONE_GPU, devices=[[1]])
    idle = FakeGpu("GPU-n1-2", util=3, used=7)
    driver.show(
        FakeGpu("GPU-n1-0", util=20, used=100, watts=80, processes=((4711, 100),)),
        FakeGpu("GPU-n1-1", util=90, used=400, watts=250, processes=((os.getpid(), 400),)),
        idle,
    )
    tasks = TaskSampler(store.queries().live_tasks, list, lambda: None)  # the supervisor knows no process of a lease
    gpus = GpuSampler("n1")
    keeping = Keeping(
        Reports(str(tmp_path / "reports")),
        lambda points, reported: store.keep(points, reported, rig.now_ms),
        lambda _keys: {},
        lambda _keys: None,
    )

    def look() -> None:
        rig.now_ms += 5_000
        keeping(Round(rig.now_ms, {"tasks": tasks.sample(rig.now_ms), "gpus": gpus.sample(rig.now_ms)}))

    def lasts(number: int) -> dict[str, tuple[int, float]]:
        found = store.queries().series(number, 0, 5_000)
        return {one.name: (sum(bucket.values for bucket in one.buckets), one.buckets[-1].last) for one in found}

    look()
    of_lease = {"gpu_percent": (1, 90.0), "gpu_memory_bytes": (1, 400.0 * MIB), "gpu_power_w": (1, 250.0)}
    assert lasts(asked.job_id) == of_lease
    assert lasts(job) == {"gpu_percent": (1, 20.0), "gpu_memory_bytes": (1, 100.0 * MIB), "gpu_power_w": (1, 80.0)}
    rig.record(ended(held, None, EndReason.TIMEOUT))
    driver.change(1, util=99)
    look()
    assert lasts(asked.job_id) == of_lease, "whoever uses it after the end is not the lease"
    assert lasts(job)["gpu_percent"] == (2, 20.0)
    store.close()
