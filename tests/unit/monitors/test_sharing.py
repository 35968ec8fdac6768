"""Whose use of a shared GPU is whose: each process counts once, for its task, and what cannot be told is absent."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.model.measures import LiveTask, TaskUse
from tenure.monitors.sharing import Part, ProcessUse, parts_of
from tenure.monitors.tasks import TaskLook, TaskSampler, with_gpus
from tenure.wire.monitoring import GpuSample

ONE, OTHER, ALONE = LiveTask(1, 0, 11, ("g",)), LiveTask(2, 0, 12, ("g",)), LiveTask(3, 0, 13, ("h",))


def use(task: LiveTask, *pids: int, known: bool = True) -> TaskUse:
    return TaskUse(task.attempt_id, task.task, 0, 0, pids=pids if known else None)


def parts(one: TaskUse, other: TaskUse, processes: dict[int, ProcessUse] | None) -> list[Part]:
    uses = {(each.attempt_id, each.task): each for each in (one, other)}
    found = parts_of([ONE, OTHER, ALONE], uses, {} if processes is None else {"g": processes})
    assert set(found) == {(1, 0), (2, 0)}, "who shares nothing has the figures of the device"
    return [found[key]["g"] for key in ((1, 0), (2, 0))]


def test_each_has_what_its_own_processes_use() -> None:
    processes = {5: ProcessUse(100, 20.0), 6: ProcessUse(50, 0.0), 7: ProcessUse(30, 60.5), 8: ProcessUse(9, 9.0)}
    assert parts(use(ONE, 4, 5, 6), use(OTHER, 7), processes) == [Part(150, 20.0), Part(30, 60.5)]
    assert parts(use(ONE, 4), use(OTHER, 7), processes) == [Part(0, 0.0), Part(30, 60.5)], "it has not begun to compute"


def test_what_cannot_be_told_is_absent() -> None:
    processes = {5: ProcessUse(None, 20.0), 7: ProcessUse(30, None)}
    assert parts(use(ONE, 5), use(OTHER, 7), processes) == [Part(None, 20.0), Part(30, None)]
    assert parts(use(ONE, 5), use(OTHER, 7), None) == [Part(), Part()], "the driver does not tell processes apart"
    assert parts(use(ONE, known=False), use(OTHER, 7), processes) == [Part(), Part(30, None)]
    assert parts(use(ONE, 5, 7), use(OTHER, 7), processes) == [Part(), Part()], "a lease that a task of the same device has taken"
    assert parts_of([ONE, OTHER], {}, {"g": processes}) == {(1, 0): {"g": Part()}, (2, 0): {"g": Part()}}


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.integers(1, 9), max_size=4, unique=True), min_size=2, max_size=4),
    st.dictionaries(st.integers(1, 9), st.integers(0, 1000), max_size=9),
)
def test_no_process_counts_twice(trees: list[list[int]], sizes: dict[int, int]) -> None:
    live = [LiveTask(number, 0, number, ("g",)) for number in range(len(trees))]
    uses = {(task.attempt_id, 0): use(task, *tree) for task, tree in zip(live, trees, strict=True)}
    found = parts_of(live, uses, {"g": {pid: ProcessUse(size, 0.0) for pid, size in sizes.items()}})
    told = [one for part in found.values() if (one := part["g"].memory_bytes) is not None]
    assert sum(told) <= sum(sizes.values())
    for (number, _), part in found.items():
        apart = not any(set(trees[number]) & set(tree) & set(sizes) for other, tree in enumerate(trees) if other != number)
        assert (part["g"].memory_bytes is not None) is apart
        assert not apart or part["g"].memory_bytes == sum(sizes.get(pid, 0) for pid in trees[number])


def test_figures_of_a_task_are_its_own_where_it_shares_and_the_devices_where_not() -> None:
    both = LiveTask(1, 0, 11, ("g", "h"))
    gpus = {
        name: GpuSample(uuid=name, index=0, model="A", utilisation_percent=90.0, memory_used_bytes=500, power_mw=9_000) for name in "gh"
    }
    look = TaskLook(both, {}, {"g": Part(20, 10.0)})
    assert with_gpus(look, gpus).figures == {"gpu_percent": 50.0, "gpu_memory_bytes": 520.0}, "nobody can split power"
    assert not look.is_untold
    half = TaskLook(ONE, {}, {"g": Part(20, None)})
    assert with_gpus(half, gpus).figures == {"gpu_memory_bytes": 20.0}
    assert half.is_untold
    assert with_gpus(TaskLook(both, {}, {"g": Part()}), gpus).figures == {}, "half of a sum is wrong"


def test_a_lease_has_what_its_holders_processes_use_of_the_device_and_nothing_else() -> None:
    sampler = TaskSampler(lambda: [ONE, OTHER], lambda: [TaskUse(1, 0, None, None, pids=(5,)), use(OTHER, 7)], lambda: None)
    sampler.tell_apart(lambda: {"g": {5: ProcessUse(100, 20.0)}})
    sampler.sample(0)
    lease, job = sampler.sample(1)
    assert (lease.figures, lease.parts) == ({}, {"g": Part(100, 20.0)})
    assert (job.figures["memory_bytes"], job.parts) == (0.0, {"g": Part(0, 0.0)})
