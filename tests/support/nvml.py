"""A GPU machine for tests: the stand-in library of `fake_nvml.c`, built once, and the hardware it shows, changed at will.

The real client library (pynvml) runs unmodified on it. Invariant: a test that ends puts the client back as it was.
"""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

import pynvml
import pytest

from tests.require import require

SOURCE = Path(__file__).with_name("fake_nvml.c")


@dataclass(frozen=True)
class FakeGpu:
    """One line of the state file; sizes are MiB. ``processes`` by pid and size, and how busy each keeps the device; None: the driver
    does not name them. Without ``apart`` it does not say who keeps the device busy."""

    uuid: str
    model: str = "NVIDIA A100"
    total: int = 81920
    reserved: int = 600
    used: int = 0
    processes: tuple[tuple[int, ...], ...] | None = ()
    apart: bool = True
    numa: int = 0
    nvlink: int = 0
    mig: bool = False
    lost: bool = False
    capability: int = 80
    util: int = -1
    temp: int = -1
    watts: int = -1

    def line(self) -> str:
        processes = "none" if self.processes is None else ",".join(":".join(map(str, one)) for one in self.processes)
        return (
            f"uuid={self.uuid} model={self.model.replace(' ', '_')} total={self.total} reserved={self.reserved} used={self.used} "
            f"procs={processes} apart={int(self.apart)} "
            f"numa={self.numa} nvlink={self.nvlink} mig={int(self.mig)} lost={int(self.lost)} cc={self.capability} "
            f"util={self.util} temp={self.temp} watts={self.watts}"
        )


@dataclass
class FakeDriver:
    """The hardware of a test."""

    state: Path
    gpus: list[FakeGpu] = field(default_factory=list)

    def show(self, *gpus: FakeGpu) -> None:
        """This is the hardware from now on."""
        self.gpus = list(gpus)
        fresh = self.state.with_suffix(".new")
        fresh.write_text("".join(gpu.line() + "\n" for gpu in gpus))
        fresh.replace(self.state)  # at once: the library may be reading

    def change(self, index: int, **changes: object) -> None:
        """One device becomes different."""
        self.gpus[index] = replace(self.gpus[index], **changes)  # type: ignore[arg-type]
        self.show(*self.gpus)

    def unload(self) -> None:
        """The driver is gone."""
        self.state.unlink()


@functools.cache
def library() -> tuple[Path | None, str]:
    """The built library, or why there is none. Built once per test process."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None, "there is no C compiler"
    header = _header()
    if header is None:
        return None, "nvml.h is missing; install the test extra (nvidia-nvml-dev)"
    target = Path(tempfile.mkdtemp(prefix="fake-nvml-")) / "libnvidia-ml.so.1"
    command = [compiler, "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1", f"-I{header.parent}", str(SOURCE), "-o", str(target)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        return None, f"the stand-in library could not be built: {built.stderr.strip()[-300:]}"
    return target, ""


def _header() -> Path | None:
    for name in ("nvidia-nvml-dev", "nvidia-nvml-dev-cu13", "nvidia-nvml-dev-cu12"):
        try:
            files = metadata.files(name) or []
        except metadata.PackageNotFoundError:
            continue
        for file in files:
            if file.name == "nvml.h":
                return Path(str(file.locate()))
    return None


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDriver]:
    """A machine whose driver is the stand-in; without devices until the test shows some."""
    path, why = library()
    require("nvml", path is not None, why)
    loaded = ctypes.CDLL(str(path))
    monkeypatch.setattr(pynvml, "nvmlLib", loaded)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setenv("FAKE_NVML_STATE", str(tmp_path / "gpus"))
    fake = FakeDriver(tmp_path / "gpus")
    fake.show()
    yield fake
    while loaded.nvmlShutdown() == 0:
        pass
