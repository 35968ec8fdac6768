"""What is read from NVML, and how it degrades when the driver does not play along."""

from __future__ import annotations

import pynvml
import pytest

from tenure.executors.local.gpu import LOST, MIG, GpuProcess
from tenure.executors.local.nvml import Nvml
from tenure.model.amounts import MIB
from tests.support.nvml import FakeDriver, FakeGpu


@pytest.fixture
def nvml() -> Nvml:
    return Nvml()


def test_devices_are_read_in_order_with_what_programs_can_use(driver: FakeDriver, nvml: Nvml) -> None:
    driver.show(
        FakeGpu("GPU-b", total=1000, reserved=100, used=40, processes=((7, 30), (5, 10))),
        FakeGpu("GPU-a", model="Tesla T4", capability=0),
    )
    first, second = nvml.read().gpus
    assert (first.uuid, first.index, first.memory_bytes, first.used_bytes) == ("GPU-b", 0, 900 * MIB, 40 * MIB)
    assert first.processes == (GpuProcess(5, 10 * MIB), GpuProcess(7, 30 * MIB))
    assert (second.uuid, second.index, second.model) == ("GPU-a", 1, "Tesla T4")
    assert (first.capability, second.capability) == (80, 0)
    assert nvml.read().driver == "999.00-fake"


def test_some_devices_can_be_read_alone(driver: FakeDriver, nvml: Nvml) -> None:
    driver.show(FakeGpu("a"), FakeGpu("b"))
    nvml.read()
    assert [gpu.uuid for gpu in nvml.read(["b", "unheard-of"]).gpus] == ["b"]


def test_a_lost_device_keeps_its_identity(driver: FakeDriver, nvml: Nvml) -> None:
    driver.show(FakeGpu("a"), FakeGpu("b", model="H100"))
    nvml.read()
    driver.change(1, lost=True)
    for _ in range(2):  # the second time the driver has been opened anew, and does not list the device
        well, lost = nvml.read().gpus
        assert (well.fault, lost.fault, lost.uuid, lost.index, lost.model) == ("", LOST, "b", 1, "H100")
        assert lost.why
    driver.change(1, lost=False)
    nvml.read()
    assert [gpu.fault for gpu in nvml.read().gpus] == ["", ""]


def test_a_device_that_was_lost_from_the_start_is_told(driver: FakeDriver, nvml: Nvml) -> None:
    driver.show(FakeGpu("a"), FakeGpu("b", lost=True))
    reading = nvml.read()
    assert [gpu.uuid for gpu in reading.gpus] == ["a"]
    assert "GPU 1" in reading.problem


def test_a_driver_that_names_no_processes_still_tells_memory(driver: FakeDriver, nvml: Nvml) -> None:
    driver.show(FakeGpu("a", used=5000, processes=None))
    (gpu,) = nvml.read().gpus
    assert (gpu.processes, gpu.used_bytes, gpu.fault) == (None, 5000 * MIB, "")


def test_a_split_device_says_so(driver: FakeDriver, nvml: Nvml) -> None:
    driver.show(FakeGpu("a", mig=True))
    (gpu,) = nvml.read().gpus
    assert gpu.fault == MIG
    assert "MIG" in gpu.why


def test_without_a_driver_there_are_no_devices_and_a_reason(driver: FakeDriver, nvml: Nvml) -> None:
    driver.unload()
    reading = nvml.read()
    assert reading.gpus == ()
    assert "not loaded" in reading.problem
    driver.show(FakeGpu("a"))
    assert [gpu.uuid for gpu in nvml.read().gpus] == ["a"], "a driver that comes up later is found"


def test_a_driver_that_goes_away_takes_its_devices_along(driver: FakeDriver, nvml: Nvml) -> None:
    driver.show(FakeGpu("a"))
    nvml.read()
    driver.unload()
    assert [nvml.read().gpus[0].fault for _ in range(2)] == [LOST, LOST]
    driver.show(FakeGpu("a"))
    assert nvml.read().gpus[0].fault == ""


@pytest.mark.parametrize(
    ("gpus", "groups"),
    [
        ((FakeGpu("a"), FakeGpu("b"), FakeGpu("c", numa=1)), [0, 0, 1]),
        ((FakeGpu("a", nvlink=1), FakeGpu("b", nvlink=2), FakeGpu("c", nvlink=1), FakeGpu("d", nvlink=2)), [0, 1, 0, 1]),
        ((FakeGpu("a", numa=2), FakeGpu("b", numa=1), FakeGpu("c", numa=0)), [0, 1, 2]),
        ((FakeGpu("a", nvlink=1, numa=1), FakeGpu("b"), FakeGpu("c", nvlink=1)), [0, 1, 0]),
    ],
)
def test_devices_are_grouped_by_nvlink_or_else_by_numa_node(
    driver: FakeDriver, nvml: Nvml, gpus: tuple[FakeGpu, ...], groups: list[int]
) -> None:
    driver.show(*gpus)
    assert [gpu.group for gpu in nvml.read().gpus] == groups


def test_a_missing_library_is_told_in_words(monkeypatch: pytest.MonkeyPatch, nvml: Nvml) -> None:
    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    assert "no NVIDIA driver is installed" in nvml.read().problem


def test_an_unloadable_library_is_told_in_words(monkeypatch: pytest.MonkeyPatch, nvml: Nvml) -> None:
    def broken() -> None:
        raise OSError("wrong ELF class")

    monkeypatch.setattr(pynvml, "nvmlInit", broken)
    assert "wrong ELF class" in nvml.read().problem
