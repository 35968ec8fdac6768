"""What NVML says of the GPUs of this machine: identity, memory, who computes on them, how they are joined.

Every call may fail, today or on some driver tomorrow, so each fact degrades on its own: a device that falls off the bus keeps its
identity and gets a fault, a driver that will not name processes still tells the memory in use. Invariant: reading never raises and
never changes the hardware; what was once seen of a device (uuid, index, model, memory) is remembered while this object lives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

import pynvml

from tenure.executors.local.gpu import LOST, MIG, NO_DRIVER, Gpu, GpuProcess, Reading

_GONE = (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED, pynvml.NVML_ERROR_UNKNOWN)
_STALE = (pynvml.NVML_ERROR_UNINITIALIZED, pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
_T = TypeVar("_T")


class Nvml:
    """Reads the driver. Not for several threads at once. Without a driver it tries again whenever it is asked."""

    def __init__(self) -> None:
        self._open = False
        self._problem = ""
        self._driver = ""
        self._handles: dict[str, Any] = {}
        self._seen: dict[str, Gpu] = {}

    def read(self, uuids: Iterable[str] | None = None) -> Reading:
        """Look at all devices, or at those of ``uuids`` that are known."""
        opened = self._opened()
        chosen = set(self._seen) if uuids is None else set(uuids)
        known = sorted((gpu for gpu in self._seen.values() if gpu.uuid in chosen), key=lambda gpu: gpu.index)
        if not opened:
            lost = tuple(replace(gpu, processes=None, fault=LOST, why=self._problem) for gpu in known)
            return Reading(lost, self._driver, self._problem)
        gpus = tuple(self._look(gpu.uuid) for gpu in known)
        if any(gpu.fault == LOST for gpu in gpus):
            self.close()  # handles of a driver that was reloaded never recover; identities are kept
        return Reading(gpus, self._driver, self._problem)

    def close(self) -> None:
        """Let go of the driver; the next reading takes it up again."""
        if self._open:
            self._open = False
            self._handles.clear()
            _tried(pynvml.nvmlShutdown, None)

    def _opened(self) -> bool:
        if self._open:
            return True
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            self._problem = _init_problem(error)
            return False
        except OSError as error:
            self._problem = f"NVML cannot be loaded: {error}"
            return False
        self._open, self._problem = True, ""
        self._driver = _tried(pynvml.nvmlSystemGetDriverVersion, "")
        self._enumerate()
        return True

    def _enumerate(self) -> None:
        found: list[Gpu] = []
        problems: list[str] = []
        for index in range(_tried(pynvml.nvmlDeviceGetCount, 0)):
            try:
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                uuid = pynvml.nvmlDeviceGetUUID(handle)
            except pynvml.NVMLError as error:
                problems.append(f"GPU {index} cannot be read: {error}")
                continue
            self._handles[uuid] = handle
            found.append(self._identity(uuid, index, handle))
        groups = _groups([self._handles[gpu.uuid] for gpu in found])
        for gpu, group in zip(found, groups, strict=True):
            self._seen[gpu.uuid] = replace(gpu, group=group)
        self._problem = "; ".join(problems)

    def _identity(self, uuid: str, index: int, handle: Any) -> Gpu:
        before = self._seen.get(uuid)
        model = _tried(lambda: pynvml.nvmlDeviceGetName(handle), before.model if before else "GPU")
        total, _ = _memory(handle)
        major, minor = _tried(lambda: pynvml.nvmlDeviceGetCudaComputeCapability(handle), (0, 0))
        return Gpu(uuid, index, model, total or (before.memory_bytes if before else 0), capability=10 * int(major) + int(minor))

    def _look(self, uuid: str) -> Gpu:
        known, handle = self._seen[uuid], self._handles.get(uuid)
        if handle is None:
            return replace(known, fault=LOST, why="the driver does not list it any more")
        try:
            pynvml.nvmlDeviceGetUUID(handle)
            processes = _processes(handle)
            _, used = _memory(handle)
        except pynvml.NVMLError as error:
            return replace(known, processes=None, fault=LOST, why=f"the driver lost it: {error}")
        if _tried(lambda: pynvml.nvmlDeviceGetMigMode(handle), [0])[0]:
            why = "it is in MIG mode, and only whole GPUs are offered; its instances can be used without Tenure"
            return replace(known, processes=processes, fault=MIG, why=why)
        return replace(known, used_bytes=used, processes=processes)


def _tried(call: Callable[[], _T], otherwise: _T) -> _T:
    try:
        return call()
    except pynvml.NVMLError:
        return otherwise


def _is_loss(error: pynvml.NVMLError) -> bool:
    return error.value in _GONE or error.value in _STALE


def _memory(handle: Any) -> tuple[int, int]:
    """What programs can use and what is used, in bytes; zeros where the driver does not say. Raises NVMLError for a lost device."""
    for version in (pynvml.nvmlMemory_v2, None):
        try:
            info = pynvml.nvmlDeviceGetMemoryInfo(handle, version)
        except pynvml.NVMLError as error:
            if _is_loss(error):
                raise
            continue
        return int(info.total) - int(getattr(info, "reserved", 0)), int(info.used)
    return 0, 0


def _processes(handle: Any) -> tuple[GpuProcess, ...] | None:
    """Compute processes by pid; None where the driver does not tell. Raises NVMLError for a lost device."""
    for call in (pynvml.nvmlDeviceGetComputeRunningProcesses_v3, pynvml.nvmlDeviceGetComputeRunningProcesses_v2):
        try:
            found = call(handle)
        except pynvml.NVMLError as error:
            if _is_loss(error):
                raise
            continue
        return tuple(GpuProcess(int(one.pid), int(one.usedGpuMemory or 0)) for one in sorted(found, key=lambda one: one.pid))
    return None


def _groups(handles: list[Any]) -> list[int]:
    """Islands of devices, numbered from 0 by their first member: joined by NVLink where there is any, else by a NUMA node."""
    pairs = [(a, b) for a in range(len(handles)) for b in range(a)]
    joined = [pair for pair in pairs if _linked(handles[pair[0]], handles[pair[1]])]
    if not joined:
        joined = [pair for pair in pairs if _near(handles[pair[0]], handles[pair[1]])]
    roots = list(range(len(handles)))
    for high, low in sorted(joined):
        old, new = max(roots[high], roots[low]), min(roots[high], roots[low])
        roots = [new if root == old else root for root in roots]
    order = sorted(set(roots))
    return [order.index(root) for root in roots]


def _linked(one: Any, other: Any) -> bool:
    status = _tried(lambda: pynvml.nvmlDeviceGetP2PStatus(one, other, pynvml.NVML_P2P_CAPS_INDEX_NVLINK), None)
    return bool(status == pynvml.NVML_P2P_STATUS_OK)


def _near(one: Any, other: Any) -> bool:
    level = _tried(lambda: pynvml.nvmlDeviceGetTopologyCommonAncestor(one, other), pynvml.NVML_TOPOLOGY_SYSTEM)
    return bool(level <= pynvml.NVML_TOPOLOGY_NODE)


def _init_problem(error: pynvml.NVMLError) -> str:
    if error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return NO_DRIVER
    if error.value == pynvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return "the NVIDIA driver is installed but not loaded; load it with modprobe nvidia"
    return f"the NVIDIA driver does not answer: {error}"
