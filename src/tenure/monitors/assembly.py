"""From the settings to the thread that looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tenure.config.monitoring import MonitorSettings
from tenure.monitors.containers import ContainerSampler
from tenure.monitors.gpus import GpuSampler
from tenure.monitors.host import HostSampler
from tenure.monitors.tasks import TaskSampler
from tenure.monitors.watch import Sampler, Sink, Watch


def watch_of(
    settings: MonitorSettings,
    node: str,
    now_ms: Callable[[], int],
    log: Callable[[str], None],
    tasks: TaskSampler | None = None,
    sinks: Sequence[tuple[str, Sink]] = (),
) -> Watch:
    """The watch of this machine, not yet started."""
    gpus = GpuSampler(node)
    samplers: list[Sampler] = [HostSampler(node), gpus]
    if tasks is not None:
        tasks.tell_apart(gpus.processes)
        samplers.append(tasks)  # after the GPUs: whose processes they name
    if settings.containers != "off":
        samplers.append(ContainerSampler(settings.containers))  # last: an engine may take a second
    return Watch(samplers, settings.every_s(), now_ms=now_ms, log=log, sinks=sinks)
