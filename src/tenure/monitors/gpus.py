"""A look at the GPUs of this machine: by NVML, by ``nvidia-smi`` where its library cannot be loaded, or none.

The client library is imported only where there is a driver: it costs every other machine a megabyte and a half. Invariant: looking
changes nothing on a device; a figure that the driver does not give is None, and a device that fell off the bus keeps its identity.

Processes are told apart by NVML alone: a second run of ``nvidia-smi`` would cost more than all other looks together.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any, TypeVar

from tenure.monitors.sharing import Processes, ProcessUse
from tenure.wire.monitoring import GpuSample

T = TypeVar("T")

LIBRARY = "libnvidia-ml.so.1"
_MIB = 1 << 20
_FIELDS = "uuid,index,name,memory.total,memory.used,utilization.gpu,temperature.gpu,power.draw,enforced.power.limit"
_SMI_PATIENCE_S = 10.0
_LOOK_AGAIN = 12
"""A machine without GPUs is asked again every so many looks: a driver may be installed while we run."""
_IN_USE_PERCENT = 1.0
_MOST_PERCENT = 100


class GpuSampler:
    """Looks at all GPUs. For one thread."""

    name = "gpus"

    def __init__(self, node: str) -> None:
        self._node = node
        self._read: Callable[[], list[GpuSample]] | None = None
        self._nvml: _Nvml | None = None
        self._rest = 0

    def sample(self, _now_ms: int) -> list[GpuSample]:
        """One look, by index; an empty list where there are none. Raises OSError or RuntimeError when the driver does not answer."""
        if self._read is None and self._rest:
            self._rest -= 1
            return []
        read = self._read = self._read or self._reader()
        if read is None:
            self._rest = _LOOK_AGAIN
            return []
        try:
            found = read()
        except Exception:
            self.close()
            raise
        for gpu in found:
            gpu.node = self._node
        return found

    def processes(self) -> Processes:
        """Who used what of each device at the last look; a device whose processes the driver does not tell apart is missing."""
        return self._nvml.processes if self._nvml is not None else {}

    def close(self) -> None:
        """Let go of the driver; the next look takes it up again."""
        if self._nvml is not None:
            self._nvml.close()
        self._read = self._nvml = None

    def _reader(self) -> Callable[[], list[GpuSample]] | None:
        with contextlib.suppress(OSError):
            ctypes.CDLL(LIBRARY)
            self._nvml = _Nvml()
            return self._nvml.read
        program = shutil.which("nvidia-smi")
        return None if program is None else lambda: read_smi(program)


class _Nvml:
    """The driver's own library. What was once seen of a device is remembered, for the day it is lost."""

    def __init__(self) -> None:
        import pynvml

        self._api: Any = pynvml
        self._seen: dict[int, GpuSample] = {}
        self._open = False
        self._sampled: dict[str, int] = {}
        self.processes: dict[str, dict[int, ProcessUse]] = {}

    def read(self) -> list[GpuSample]:
        """All devices by index. Raises RuntimeError when there is no driver to ask."""
        api = self._api
        try:
            if not self._open:
                api.nvmlInit()
                self._open = True
            self.processes = {}
            return [self._look(index) for index in range(api.nvmlDeviceGetCount())]
        except api.NVMLError as error:
            raise RuntimeError(f"the NVIDIA driver does not answer: {error}") from error

    def close(self) -> None:
        """Give the library back."""
        if self._open:
            self._open = False
            self._tried(self._api.nvmlShutdown)

    def _look(self, index: int) -> GpuSample:
        api = self._api
        try:
            handle = api.nvmlDeviceGetHandleByIndex(index)
            uuid = api.nvmlDeviceGetUUID(handle)
        except api.NVMLError as error:
            return self._lost(index, str(error))
        rates = self._tried(lambda: api.nvmlDeviceGetUtilizationRates(handle))
        memory = self._tried(lambda: api.nvmlDeviceGetMemoryInfo(handle, api.nvmlMemory_v2)) or self._tried(
            lambda: api.nvmlDeviceGetMemoryInfo(handle)
        )
        found = GpuSample(
            uuid=uuid,
            index=index,
            model=self._tried(lambda: api.nvmlDeviceGetName(handle)) or "GPU",
            memory_bytes=int(memory.total) - int(getattr(memory, "reserved", 0)) if memory else None,
            memory_used_bytes=int(memory.used) if memory else None,
            utilisation_percent=float(rates.gpu) if rates else None,
            temperature_c=self._tried(lambda: float(api.nvmlDeviceGetTemperature(handle, api.NVML_TEMPERATURE_GPU))),
            power_mw=self._tried(lambda: int(api.nvmlDeviceGetPowerUsage(handle))),
            power_limit_mw=self._tried(lambda: int(api.nvmlDeviceGetEnforcedPowerLimit(handle))),
        )
        named = self._named("Compute", handle)
        if named is not None:
            self._tell_apart(handle, uuid, named)
        if named or (found.utilisation_percent or 0.0) >= _IN_USE_PERCENT:
            found.state = "in_use"
        self._seen[index] = found
        return found

    def _named(self, kind: str, handle: Any) -> list[Any] | None:
        """The processes that compute or draw on a device; older drivers know an older form of the question."""
        for version in ("v3", "v2"):
            ask = getattr(self._api, f"nvmlDeviceGet{kind}RunningProcesses_{version}")
            found: list[Any] | None = self._tried(lambda ask=ask: ask(handle))  # type: ignore[misc]
            if found is not None:
                return found
        return None

    def _tell_apart(self, handle: Any, uuid: str, computing: list[Any]) -> None:
        """Note what each process uses. Where one is not of this machine, the driver counts in another space of pids: then nothing."""
        drawing = self._named("Graphics", handle) or []
        memory = {int(one.pid): one.usedGpuMemory for one in [*drawing, *computing]}
        if all(os.path.exists(f"/proc/{pid}") for pid in memory):
            percents = self._percents(handle, uuid) if memory else {}
            self.processes[uuid] = {
                pid: ProcessUse(size, None if percents is None else percents.get(pid, 0.0)) for pid, size in sorted(memory.items())
            }

    def _percents(self, handle: Any, uuid: str) -> dict[int, float | None] | None:
        """How busy each process kept the device since the last look; who is not in it did nothing. None: not known, or the first look,
        for the driver remembers from before."""
        api, since_us = self._api, self._sampled.get(uuid)
        try:
            samples = api.nvmlDeviceGetProcessUtilization(handle, since_us or 0)
        except api.NVMLError as error:
            if error.value not in (api.NVML_ERROR_NOT_FOUND, api.NVML_SUCCESS):
                return None
            samples = []  # nobody did anything; the client takes "none at all" for an error
        found: dict[int, float | None] = {}
        for one in sorted(samples, key=lambda one: one.timeStamp):
            found[int(one.pid)] = float(one.smUtil) if one.smUtil <= _MOST_PERCENT else None  # some drivers tell nonsense
        self._sampled[uuid] = max((int(one.timeStamp) for one in samples), default=since_us or 0)
        return None if since_us is None else found

    def _lost(self, index: int, why: str) -> GpuSample:
        known = self._seen.get(index)
        said = f"the driver lost it: {why}"
        if known is None:
            return GpuSample(uuid=f"index-{index}", index=index, model="GPU", state="error", why=said)
        return GpuSample(uuid=known.uuid, index=index, model=known.model, memory_bytes=known.memory_bytes, state="error", why=said)

    def _tried(self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except self._api.NVMLError:
            return None


def read_smi(program: str) -> list[GpuSample]:
    """All devices as ``nvidia-smi`` lists them. Raises RuntimeError when it fails."""
    command = [program, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SMI_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"nvidia-smi has not answered for {_SMI_PATIENCE_S:g} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise RuntimeError(f"nvidia-smi failed: {said[-1] if said else done.returncode}")
    try:
        return [_of_line(line) for line in done.stdout.splitlines() if line.strip()]
    except ValueError:
        raise RuntimeError("nvidia-smi printed something else than what was asked for") from None


def _of_line(line: str) -> GpuSample:
    words = [word.strip() for word in line.split(",")]
    if len(words) < _FIELDS.count(",") + 1:
        raise ValueError("a line with fewer figures than were asked for")
    uuid, index, model = words[0], words[1], ", ".join(words[2:-6])
    total, used, share, heat, power, limit = map(_figure, words[-6:])
    found = GpuSample(
        uuid=uuid,
        index=int(index),
        model=model,
        memory_bytes=None if total is None else round(total * _MIB),
        memory_used_bytes=None if used is None else round(used * _MIB),
        utilisation_percent=share,
        temperature_c=heat,
        power_mw=None if power is None else round(power * 1000),
        power_limit_mw=None if limit is None else round(limit * 1000),
    )
    if "[GPU is lost]" in line:
        found.state, found.why = "error", "the driver lost it"
    elif (share or 0.0) >= _IN_USE_PERCENT:
        found.state = "in_use"
    return found


def _figure(word: str) -> float | None:
    """A number, None for the many words by which the program says that it has none."""
    try:
        found = float(word)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
