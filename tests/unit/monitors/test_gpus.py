"""The look at GPUs, through the real client of NVML and through nvidia-smi."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import pytest

from tenure.model.amounts import MIB
from tenure.monitors import gpus
from tenure.monitors.gpus import GpuSampler, read_smi
from tenure.monitors.sharing import ProcessUse
from tests.support.nvml import FakeDriver, FakeGpu


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> Any:
        raise OSError("not found")

    monkeypatch.setattr(ctypes, "CDLL", missing)


@pytest.fixture
def sampler(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> GpuSampler:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    return GpuSampler("box")


def test_a_device_is_read_with_all_figures(driver: FakeDriver, sampler: GpuSampler) -> None:
    driver.show(
        FakeGpu("GPU-a", total=1000, reserved=100, used=40, util=87, temp=65, watts=300, processes=((7, 30),)), FakeGpu("GPU-b")
    )
    first, second = sampler.sample(0)
    assert (first.uuid, first.index, first.model, first.node) == ("GPU-a", 0, "NVIDIA A100", "box")
    assert (first.memory_bytes, first.memory_used_bytes) == (900 * MIB, 40 * MIB)
    assert (first.utilisation_percent, first.temperature_c, first.power_mw, first.power_limit_mw) == (87.0, 65.0, 300_000, 400_000)
    assert first.state == "in_use"
    # What the driver does not tell is absent, and an idle device is available.
    assert (second.utilisation_percent, second.temperature_c, second.power_mw, second.state) == (None, None, None, "available")


def test_processes_are_told_apart(driver: FakeDriver, sampler: GpuSampler) -> None:
    me, parent = os.getpid(), os.getppid()
    driver.show(FakeGpu("GPU-a", processes=((me, 30, 70), (parent, 20))), FakeGpu("GPU-b"), FakeGpu("GPU-c", processes=None))
    assert sampler.processes() == {}
    sampler.sample(0)
    both = {me: ProcessUse(30 * MIB, None), parent: ProcessUse(20 * MIB, None)}
    assert sampler.processes() == {"GPU-a": both, "GPU-b": {}}, "how busy they were before is no figure of now"
    sampler.sample(1)
    assert sampler.processes()["GPU-a"] == {me: ProcessUse(30 * MIB, 70.0), parent: ProcessUse(20 * MIB, 0.0)}
    driver.change(0, processes=((me, 30), (parent, 20)))
    sampler.sample(2)
    assert {use.percent for use in sampler.processes()["GPU-a"].values()} == {0.0}
    driver.unload()
    with pytest.raises(RuntimeError):
        sampler.sample(3)
    assert sampler.processes() == {}


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ({"apart": False}, ProcessUse(30 * MIB, None)),
        ({"mig": True}, ProcessUse(30 * MIB, None)),
        ({"processes": ((os.getpid(), -1, 5),)}, ProcessUse(None, 5.0)),
        ({"processes": ((os.getpid(), 30, 3_000_000),)}, ProcessUse(30 * MIB, None)),
        ({"processes": ((os.getpid(), 30), (4_194_304, 30))}, None),  # one that is not of this machine, as in a container
    ],
)
def test_what_the_driver_does_not_tell_of_a_process_is_absent(
    driver: FakeDriver, sampler: GpuSampler, shown: dict[str, Any], told: ProcessUse | None
) -> None:
    driver.show(FakeGpu("GPU-a", **{"processes": ((os.getpid(), 30, 5),)} | shown))
    sampler.sample(0)
    sampler.sample(1)
    assert sampler.processes() == ({} if told is None else {"GPU-a": {os.getpid(): told}})


def test_a_device_that_is_lost_keeps_its_identity(driver: FakeDriver, sampler: GpuSampler) -> None:
    driver.show(FakeGpu("GPU-a", util=5), FakeGpu("GPU-b"))
    sampler.sample(0)
    driver.change(0, lost=True)
    lost, well = sampler.sample(1)
    assert (lost.uuid, lost.state, lost.utilisation_percent) == ("GPU-a", "error", None)
    assert "lost" in lost.why
    assert well.state == "available"


def test_a_driver_that_goes_is_an_error_and_found_again(driver: FakeDriver, sampler: GpuSampler) -> None:
    driver.show(FakeGpu("GPU-a"))
    sampler.sample(0)
    driver.unload()
    with pytest.raises(RuntimeError, match="driver does not answer"):
        sampler.sample(1)
    driver.show(FakeGpu("GPU-a"))
    assert [gpu.uuid for gpu in sampler.sample(2)] == ["GPU-a"]


def test_without_a_driver_there_are_no_gpus_and_nobody_asks_each_time(no_library: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(gpus.shutil, "which", asked.append)
    sampler = GpuSampler("box")
    assert [sampler.sample(n) for n in range(13)] == [[]] * 13
    assert len(asked) == 1
    sampler.sample(14)
    assert len(asked) == 2


def program(folder: Path, script: str) -> str:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_nvidia_smi_is_the_way_where_the_library_cannot_be_loaded(
    no_library: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (
        "GPU-1, 0, NVIDIA A100, 81920, 512, 93, 71, 310.50, 400.00\\n"
        "GPU-2, 1, Tesla T4, 15360, 0, 0, 35, [N/A], [N/A]\\n"
        "GPU-3, 2, Odd, name, [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost]\\n"
    )
    program(tmp_path, f"printf '{lines}'")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    first, second, third = GpuSampler("box").sample(0)
    assert (first.uuid, first.memory_bytes, first.memory_used_bytes) == ("GPU-1", 81920 * MIB, 512 * MIB)
    assert (first.utilisation_percent, first.temperature_c, first.power_mw, first.state) == (93.0, 71.0, 310_500, "in_use")
    assert (second.power_mw, second.state, second.node) == (None, "available", "box")
    assert (third.model, third.state, third.memory_bytes) == ("Odd, name", "error", None)


def test_a_program_that_fails_or_hangs_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="couldn't communicate"):
        read_smi(program(tmp_path, 'echo "NVIDIA-SMI has failed because it couldn\'t communicate"; exit 9'))
    monkeypatch.setattr(gpus, "_SMI_PATIENCE_S", 0.05)
    with pytest.raises(RuntimeError, match="not answered"):
        read_smi(program(tmp_path, "exec sleep 30"))
