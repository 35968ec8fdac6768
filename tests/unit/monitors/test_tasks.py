"""Figures of tasks: rates from two looks, GPUs by who holds them, nothing where nothing is known."""

from __future__ import annotations

import pytest

from tenure.model.measures import LiveTask, Point, TaskUse
from tenure.monitors import tasks as module
from tenure.monitors.tasks import TaskLook, TaskSampler, points_of, with_gpus
from tenure.wire.monitoring import GpuSample

TASK = LiveTask(7, 0, 3, ("g0", "g1"))


class Machine:
    """A machine whose tasks the test sets."""

    def __init__(self) -> None:
        self.live: list[LiveTask] = [TASK]
        self.uses: list[TaskUse] = []
        self.asked = 0

    def usage(self) -> list[TaskUse]:
        self.asked += 1
        return self.uses

    def sampler(self) -> TaskSampler:
        return TaskSampler(lambda: self.live, self.usage, lambda: None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [50.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_rates_come_with_the_second_look(clock: list[float]) -> None:
    machine = Machine()
    sampler = machine.sampler()
    machine.uses = [TaskUse(7, 0, 1_000, 500, 10, None)]
    assert sampler.sample(0) == (TaskLook(TASK, {}),)
    clock[0] += 5.0
    machine.uses = [TaskUse(7, 0, 8_500, 600, 60, None)]
    (look,) = sampler.sample(0)
    assert look.figures == {"memory_bytes": 600.0, "cpu_percent": 150.0, "read_bytes_per_s": 10.0}
    clock[0] += 5.0
    machine.uses = [TaskUse(7, 0, 8_000, 600, 60, None)]  # a process ended and took its share along
    assert "cpu_percent" not in sampler.sample(0)[0].figures


def test_a_task_that_was_away_begins_anew(clock: list[float]) -> None:
    machine = Machine()
    sampler = machine.sampler()
    machine.uses = [TaskUse(7, 0, 1_000, 500)]
    sampler.sample(0)
    machine.uses = []
    assert sampler.sample(0) == (TaskLook(TASK, {}),)
    machine.uses = [TaskUse(7, 0, 9_000, 500)]
    assert sampler.sample(0) == (TaskLook(TASK, {}),)


def test_an_idle_machine_is_asked_for_nothing() -> None:
    machine = Machine()
    machine.live = []
    assert machine.sampler().sample(0) == ()
    assert machine.asked == 0


def test_devices_count_for_who_holds_them() -> None:
    gpus = {
        "g0": GpuSample(uuid="g0", index=0, model="A", utilisation_percent=90.0, memory_used_bytes=5, power_mw=200_000),
        "g1": GpuSample(uuid="g1", index=1, model="A", utilisation_percent=40.0),
        "g2": GpuSample(uuid="g2", index=2, model="A", utilisation_percent=7.0),
    }
    assert with_gpus(TaskLook(TASK, {"a": 1.0}), gpus).figures == {
        "a": 1.0,
        "gpu_percent": 65.0,
        "gpu_memory_bytes": 5.0,
        "gpu_power_w": 200.0,
    }
    assert with_gpus(TaskLook(TASK, {}), {}).figures == {}


def test_figures_are_kept_under_the_job() -> None:
    assert points_of(TaskLook(TASK, {"a": 1.5}), 9) == [Point(3, 0, "a", False, 9, 1.5)]
