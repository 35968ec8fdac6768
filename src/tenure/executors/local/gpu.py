"""GPUs as values: what a look at this machine gives, and whether there is anybody to ask.

Apart from `nvml`, whose client library costs every machine without a driver a megabyte and a half. Invariant: importing this
loads nothing of NVIDIA's.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenure.executors.local.nvml import Nvml

LOST = "lost"
MIG = "mig"
LIBRARY = "libnvidia-ml.so.1"
NO_DRIVER = f"no NVIDIA driver is installed ({LIBRARY} is not found)"


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that computes on a device; ``memory_bytes`` 0 where the driver does not say."""

    pid: int
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device as read now. ``memory_bytes`` is what programs can use: total less the driver's own reserve.

    ``fault`` is empty, `LOST` (the driver lost it) or `MIG` (it is split); ``why`` is the driver's sentence. ``processes`` is None
    where the driver does not name them. ``capability`` is the compute capability in tenths, 0 where the driver does not say.
    ``group`` numbers the island of devices joined by NVLink or one NUMA node.
    """

    uuid: str
    index: int
    model: str
    memory_bytes: int
    used_bytes: int = 0
    processes: tuple[GpuProcess, ...] | None = ()
    group: int = 0
    capability: int = 0
    fault: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """All devices by index. ``problem`` says why there are none, or which could not be read; empty when all is well."""

    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    problem: str = ""


def installed_nvml() -> Nvml | None:
    """A reader of the driver, None where none is installed (today)."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    from tenure.executors.local.nvml import Nvml

    return Nvml()
