"""Two jobs and a lease on one GPU: each is shown what its own processes do there, as the driver tells them apart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import tenure
from tenure.model.amounts import MIB
from tests.require import require
from tests.support.living import Installation, installation, until
from tests.support.nvml import FakeDriver, FakeGpu, library


@pytest.fixture
def living(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Installation, FakeDriver]]:
    built, why = library()
    require("nvml", built is not None, why)
    assert built is not None
    gpus = FakeDriver(tmp_path / "gpus")
    gpus.show(FakeGpu("GPU-a", util=90, watts=300, used=1000))
    with installation('[monitor]\nevery = "1s"\ncontainers = "off"\n') as home:
        home.env |= {"FAKE_NVML_STATE": str(gpus.state), "LD_LIBRARY_PATH": str(built.parent)}
        home.up()
        monkeypatch.setenv("TENURE_HOME", str(home.home))
        yield home, gpus


def test_each_holder_of_a_shared_device_is_shown_its_own_part(living: tuple[Installation, FakeDriver]) -> None:
    home, gpus = living

    def started(name: str) -> tuple[str, int]:
        """A job whose child computes; its id, and the child's pid."""
        script = f"sleep 600 & echo $! > {name}.new; mv {name}.new {name}; wait"
        job = home.submit("-J", name, "--gpus", "0.25", "--", "sh", "-c", script)
        until((home.work / name).exists, f"job {name}: {home.daemon_log()}")
        return job, int((home.work / name).read_text())

    with home.client() as client, tenure.lease(gpus=0.25, ttl="10m") as lease:
        (big, its_child), (small, other_child) = started("big"), started("small")
        gpus.change(0, processes=((its_child, 600, 60), (other_child, 300, 25), (os.getpid(), 100)))

        def last(job: str) -> dict[str, float]:
            found = client.monitor.metrics(job).series
            return {one.name: one.points[-1].last for one in found if one.name.startswith("gpu") and one.points}

        wanted = {
            big: {"gpu_percent": 60.0, "gpu_memory_bytes": 600.0 * MIB},
            small: {"gpu_percent": 25.0, "gpu_memory_bytes": 300.0 * MIB},
            str(lease.id): {"gpu_percent": 0.0, "gpu_memory_bytes": 100.0 * MIB},
        }
        for job, figures in wanted.items():
            until(lambda job=job, figures=figures: figures.items() <= last(job).items(), f"{job} to have {figures}")  # type: ignore[misc]
        assert client.monitor.metrics(big).note == ""
        share = round((250 + 250 + 0) / 750, 4)  # nobody uses more than he holds
        until(lambda: client.thinking.status(advise=False).efficiency.get("gpu") == share, "what is used of what is held")
        gpus.change(0, apart=False)
        until(lambda: client.monitor.metrics(big).note, "the driver to tell less")
        assert "shared: its driver does not tell" in home.cli("show", big, "--metrics").stdout
