"""A look at the tasks that run: how much cpu, memory, storage traffic and GPU each takes.

Rates are differences between two looks, so a task that is seen once has none: what lives shorter than one round leaves no figures, and
costs nothing. Invariant: an idle machine is asked for nothing but whether a task lives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tenure.model.measures import LiveTask, Point, TaskUse
from tenure.wire.monitoring import GpuSample

CPU, MEMORY, READ, WRITTEN = "cpu_percent", "memory_bytes", "read_bytes_per_s", "written_bytes_per_s"
GPU, GPU_MEMORY, GPU_POWER = "gpu_percent", "gpu_memory_bytes", "gpu_power_w"


class TaskLook(NamedTuple):
    """One task now; ``figures`` by name, only those that are known."""

    task: LiveTask
    figures: Mapping[str, float]


class TaskSampler:
    """Looks at all tasks. ``live`` says which there should be, ``usage`` what they have used. For one thread."""

    name = "tasks"

    def __init__(
        self, live: Callable[[], Sequence[LiveTask]], usage: Callable[[], Sequence[TaskUse]], close: Callable[[], None]
    ) -> None:
        self._live = live
        self._usage = usage
        self.close = close
        self._before: dict[tuple[int, int], tuple[float, TaskUse]] = {}

    def sample(self, _now_ms: int) -> tuple[TaskLook, ...]:
        """One look, by attempt and task. A task without a process yet has no figures."""
        live = self._live()
        uses = {(use.attempt_id, use.task): use for use in self._usage()} if live else {}
        now_s = time.monotonic()
        before, self._before = self._before, {key: (now_s, use) for key, use in uses.items()}
        found = []
        for task in live:
            key = (task.attempt_id, task.task)
            use = uses.get(key)
            found.append(TaskLook(task, {} if use is None else _figures(use, now_s, before.get(key))))
        return tuple(found)


def _figures(use: TaskUse, now_s: float, before: tuple[float, TaskUse] | None) -> dict[str, float]:
    if before is None:
        return {}
    was_s, was = before
    elapsed_s = now_s - was_s
    figures = {MEMORY: float(use.memory_bytes)}
    for name, now, then, scale in (
        (CPU, use.cpu_ms, was.cpu_ms, 0.1),
        (READ, use.read_bytes, was.read_bytes, 1.0),
        (WRITTEN, use.written_bytes, was.written_bytes, 1.0),
    ):
        # A counter falls when a process ended whose share it held: then the rate is unknown.
        if now is not None and then is not None and now >= then and elapsed_s > 0:
            figures[name] = round(scale * (now - then) / elapsed_s, 2)
    return figures


def with_gpus(look: TaskLook, gpus: Mapping[str, GpuSample]) -> TaskLook:
    """The same task with the figures of its devices: mean utilisation, memory and power in total. Of a shared device they are the
    device's, for nobody can tell whose they are."""
    held = [gpus[uuid] for uuid in look.task.devices if uuid in gpus]
    shares = [gpu.utilisation_percent for gpu in held if gpu.utilisation_percent is not None]
    memory = [gpu.memory_used_bytes for gpu in held if gpu.memory_used_bytes is not None]
    power = [gpu.power_mw for gpu in held if gpu.power_mw is not None]
    figures = dict(look.figures)
    if shares:
        figures[GPU] = round(sum(shares) / len(shares), 1)
    if memory:
        figures[GPU_MEMORY] = float(sum(memory))
    if power:
        figures[GPU_POWER] = sum(power) / 1000
    return TaskLook(look.task, figures)


def points_of(look: TaskLook, at_ms: int) -> list[Point]:
    """The figures as they are kept."""
    return [Point(look.task.job_id, look.task.task, name, False, at_ms, value) for name, value in look.figures.items()]
