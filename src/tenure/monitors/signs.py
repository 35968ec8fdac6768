"""What one round shows of trouble. A sign alone is none: `anomalies` waits whether it lasts.

Pure. Invariant: a figure that is not known is no sign; every sign carries the figures it was read from and what helps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tenure.model.amounts import MILLI, format_milli
from tenure.model.anomaly import Anomaly
from tenure.monitors.reports import Key
from tenure.monitors.tasks import CPU, GPU, GPU_POWER, TaskLook, with_gpus
from tenure.monitors.watch import Round
from tenure.wire.monitoring import GpuSample, HostSample

CPU_PERCENT = 95.0
MEMORY_PERCENT = 95.0
HOST_C, GPU_C = 95.0, 90.0
IDLE_PERCENT = 10.0
STALLED_PER_S = 0.1
BUSY_PERCENT = 90.0
LOW_POWER = 0.4
"""Of the limit. A kernel that computes draws more; one that spins on a lock or waits for another GPU shows busy and does not."""
PROGRESS = ("step", "steps", "iteration", "epoch", "samples", "tokens")
"""Reported under such a name, a figure that does not move is a job that does not get on."""
Latest = Mapping[Key, Mapping[str, tuple[int, float]]]


def signs(seen: Round, latest: Latest, stuck_s: float, stuck_after_s: float) -> Iterator[Anomaly]:
    """All signs of one round, by kind."""
    host: HostSample | None = seen.looks.get("host")
    gpus: Sequence[GpuSample] = seen.looks.get("gpus", ())
    if host is not None:
        yield from _of_host(host)
    for gpu in gpus:
        yield from _of_gpu(gpu)
    by_uuid = {gpu.uuid: gpu for gpu in gpus}
    for look in seen.looks.get("tasks", ()):
        key = (look.task.attempt_id, look.task.task)
        yield from _of_task(with_gpus(look, by_uuid), latest.get(key, {}), by_uuid)
    if stuck_s > stuck_after_s:
        yield loop_stuck(stuck_s)


def loop_stuck(stuck_s: float, at_ms: int = 0) -> Anomaly:
    """The control loop that has been in one turn for too long."""
    text = f"the control loop has been in one turn for {stuck_s:.0f} s; nothing is started"
    remedy = "see the daemon's log, then tenure down && tenure up; running jobs go on"
    return Anomaly("loop_stuck", "loop_stuck", text, remedy, evidence={"turn_s": round(stuck_s, 1)}, opened_ms=at_ms)


def _of_host(host: HostSample) -> Iterator[Anomaly]:
    cpu, memory, heat = host.utilisation_percent, host.memory_percent, host.temperature_c
    if cpu is not None and cpu > CPU_PERCENT:
        text = f"the processors of {host.node} are busy at {cpu:g} %"
        remedy = "tenure top shows who computes; where limits are not enforced, offer fewer ([node] cpus)"
        yield Anomaly(f"cpu:{host.node}", "cpu", text, remedy, subject=host.node, evidence={"utilisation_percent": cpu})
    if memory is not None and memory >= MEMORY_PERCENT:
        text = f"{memory:g} % of the memory of {host.node} is in use"
        remedy = "the kernel may soon kill a job: cancel or move one, or keep more back ([node] reserve_memory)"
        yield Anomaly(f"memory:{host.node}", "memory", text, remedy, subject=host.node, evidence={"memory_percent": memory})
    if heat is not None and heat >= HOST_C:
        yield _heat(f"thermal:{host.node}", f"the processors of {host.node} are at {heat:g} C", host.node, heat)


def _of_gpu(gpu: GpuSample) -> Iterator[Anomaly]:
    name = f"GPU {gpu.index} of {gpu.node or 'this machine'}"
    if gpu.state == "error":
        remedy = "jobs on it will fail: tenure nodes drain NODE, look at dmesg for Xid errors, reset it or restart the machine"
        yield Anomaly(f"device_lost:{gpu.uuid}", "device_lost", f"{name}: {gpu.why}", remedy, subject=gpu.uuid)
    elif gpu.temperature_c is not None and gpu.temperature_c >= GPU_C:
        yield _heat(f"thermal:{gpu.uuid}", f"{name} is at {gpu.temperature_c:g} C", gpu.uuid, gpu.temperature_c)


def _heat(key: str, text: str, subject: str, heat: float) -> Anomaly:
    remedy = "it slows itself down now: look at fans and air flow, or lower the power limit (nvidia-smi -pl)"
    return Anomaly(key, "thermal", text, remedy, subject=subject, evidence={"temperature_c": heat})


def _of_task(look: TaskLook, latest: Mapping[str, tuple[int, float]], gpus: Mapping[str, GpuSample]) -> Iterator[Anomaly]:
    job_id, who = look.task.job_id, f"{look.task.job_id}:{look.task.task}"
    share, devices = look.figures.get(GPU), len(look.task.devices)
    held_milli = sum(look.task.milli) or MILLI * devices
    if share is not None and share * devices * MILLI < IDLE_PERCENT * held_milli:
        text = f"it holds {format_milli(held_milli)} GPU{'s' if held_milli != MILLI else ''} and uses {share:g} % of {_them(devices)}"
        remedy = "is it loading data or waiting for somebody? cancel it, or ask for fewer GPUs or a fraction (--gpus 0.5)"
        yield Anomaly(f"idle_gpu:{who}", "idle_gpu", text, remedy, job_id, evidence={GPU: share} | _some(look, CPU))
    throughput = latest.get("throughput", (0, None))[1]
    if throughput is not None and throughput < STALLED_PER_S:
        text = f"it reports a throughput of {throughput:g} a second"
        evidence = {"throughput": throughput} | _some(look, CPU, GPU)
        remedy = f"tenure logs {job_id} shows what it waits for; tenure requeue {job_id} runs it anew"
        yield Anomaly(f"stalled:{who}", "stalled", text, remedy, job_id, evidence=evidence)
    hung = _hung(look, latest, gpus)
    if hung is not None:
        yield hung


def _them(devices: int) -> str:
    return "the device" if devices == 1 else "the devices"


def _hung(look: TaskLook, latest: Mapping[str, tuple[int, float]], gpus: Mapping[str, GpuSample]) -> Anomaly | None:
    """Busy at low power, of a job that says how far it is. How far is part of the key, so that a step forward begins anew."""
    share, power = look.figures.get(GPU), look.figures.get(GPU_POWER)
    limits = [gpus[uuid].power_limit_mw for uuid in look.task.devices if uuid in gpus]
    progress = [(name, latest[name][1]) for name in PROGRESS if name in latest]
    if share is None or power is None or share <= BUSY_PERCENT or not progress or not limits:
        return None
    known = [limit for limit in limits if limit is not None]
    if len(known) < len(limits) or power * 1000 >= LOW_POWER * sum(known):
        return None
    name, value = progress[0]
    text = f"its GPUs show {share:g} % busy at {power:g} W of {sum(known) / 1000:g} W, and its {name} stays at {value:g}"
    job_id = look.task.job_id
    remedy = f"most likely ranks wait for each other: tenure logs {job_id}, then tenure requeue {job_id}"
    evidence = {GPU: share, GPU_POWER: power, "power_limit_w": sum(known) / 1000, name: value}
    return Anomaly(f"hung:{job_id}:{look.task.task}:{value:g}", "hung", text, remedy, job_id, evidence=evidence)


def _some(look: TaskLook, *names: str) -> dict[str, float]:
    return {name: look.figures[name] for name in names if name in look.figures}
