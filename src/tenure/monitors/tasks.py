"""A look at the tasks that run: how much cpu, memory, storage traffic and GPU each takes.

Rates are differences between two looks, so a task that is seen once has none: what lives shorter than one round leaves no figures, and
costs nothing. Of a GPU that several tasks hold, each has what its own processes use. Invariant: an idle machine is asked for nothing
but whether a task lives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from tenure.model.measures import LiveTask, Point, TaskUse
from tenure.monitors.sharing import Part, Processes, parts_of
from tenure.wire.monitoring import GpuSample

CPU, MEMORY, READ, WRITTEN = "cpu_percent", "memory_bytes", "read_bytes_per_s", "written_bytes_per_s"
GPU, GPU_MEMORY, GPU_POWER = "gpu_percent", "gpu_memory_bytes", "gpu_power_w"


class TaskLook(NamedTuple):
    """One task now; ``figures`` by name, only those that are known. ``parts``: what it uses of the devices that it shares, by uuid."""

    task: LiveTask
    figures: Mapping[str, float]
    parts: Mapping[str, Part] = MappingProxyType({})

    @property
    def is_untold(self) -> bool:
        """Whether it shares a device and nobody can tell, of one figure at least, what is its own."""
        return any(None in part for part in self.parts.values())


class TaskSampler:
    """Looks at all tasks. ``live`` says which there should be, ``usage`` what they have used. For one thread."""

    name = "tasks"

    def __init__(
        self, live: Callable[[], Sequence[LiveTask]], usage: Callable[[], Sequence[TaskUse]], close: Callable[[], None]
    ) -> None:
        self._live = live
        self._usage = usage
        self.close = close
        self._processes: Callable[[], Processes] = dict
        self._before: dict[tuple[int, int], tuple[float, TaskUse]] = {}

    def tell_apart(self, processes: Callable[[], Processes]) -> None:
        """Where to learn which process uses what of each GPU."""
        self._processes = processes

    def sample(self, _now_ms: int) -> tuple[TaskLook, ...]:
        """One look, by attempt and task. A task without a process yet has no figures."""
        live = self._live()
        uses = {(use.attempt_id, use.task): use for use in self._usage()} if live else {}
        now_s = time.monotonic()
        before, self._before = self._before, {key: (now_s, use) for key, use in uses.items()}
        parts = parts_of(live, uses, self._processes())
        found = []
        for task in live:
            key = (task.attempt_id, task.task)
            use = uses.get(key)
            found.append(TaskLook(task, {} if use is None else _figures(use, now_s, before.get(key)), parts.get(key, {})))
        return tuple(found)


def _figures(use: TaskUse, now_s: float, before: tuple[float, TaskUse] | None) -> dict[str, float]:
    if before is None:
        return {}
    was_s, was = before
    elapsed_s = now_s - was_s
    figures = {} if use.memory_bytes is None else {MEMORY: float(use.memory_bytes)}
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
    """The same task with the figures of its devices: mean utilisation, memory and power in total. Of a device that it shares they are
    what its own processes use; where that cannot be told, and for power always, there is none."""
    parts = look.parts.values()
    held = [gpus[uuid] for uuid in look.task.devices if uuid in gpus and uuid not in look.parts]
    shares = [one.utilisation_percent for one in held] + [part.percent for part in parts]
    memory = [one.memory_used_bytes for one in held] + [part.memory_bytes for part in parts]
    figures = dict(look.figures)
    busy, used, power = _known(shares), _known(memory), _known([gpu.power_mw for gpu in held])
    if busy and not any(part.percent is None for part in parts):
        figures[GPU] = round(sum(busy) / len(busy), 1)
    if used and not any(part.memory_bytes is None for part in parts):
        figures[GPU_MEMORY] = float(sum(used))
    if power and not parts:
        figures[GPU_POWER] = sum(power) / 1000
    return look._replace(figures=figures)


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def points_of(look: TaskLook, at_ms: int) -> list[Point]:
    """The figures as they are kept."""
    return [Point(look.task.job_id, look.task.task, name, False, at_ms, value) for name, value in look.figures.items()]
