"""The sink that keeps figures: of each round those of tasks and of their GPUs, and what jobs reported meanwhile.

Invariant: the store is written once a round and only if there is something to write; a store that does not answer costs figures, and
never memory or time of anybody else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tenure.model.measures import Point, Reported
from tenure.monitors.reports import Key, Reports, Writer
from tenure.monitors.tasks import TaskLook, points_of, with_gpus
from tenure.monitors.watch import Round

Keep = Callable[[Sequence[Point], Sequence[Reported]], Mapping[Key, int]]
Writers = Callable[[Sequence[Key]], Mapping[Key, Writer]]


class Keeping:
    """Called with each round. ``writers`` says whose the files of tasks are that were not seen, ``forget`` is told which have gone."""

    def __init__(self, reports: Reports, keep: Keep, writers: Writers, forget: Callable[[Sequence[Key]], None]) -> None:
        self.reports = reports
        self._keep = keep
        self._writers = writers
        self._forget = forget

    def __call__(self, seen: Round) -> None:
        """Keep one round. Raises what the store raises; what was reported is then read again."""
        looks: Sequence[TaskLook] = seen.looks.get("tasks", ())
        gpus = {gpu.uuid: gpu for gpu in seen.looks.get("gpus", ())}
        points = [point for look in looks for point in points_of(with_gpus(look, gpus), seen.at_ms)]
        reported, done = self._reported(looks, seen.at_ms)
        if points or reported:
            self.reports.taken(self._keep(points, reported))
        if done:
            self._forget(done)
            for key in done:
                self.reports.remove(key)

    def _reported(self, looks: Sequence[TaskLook], now_ms: int) -> tuple[list[Reported], list[Key]]:
        """What is new in all files, and the tasks whose files are done with."""
        waiting = self.reports.waiting()
        if not waiting:
            return [], []
        writers = {(look.task.attempt_id, look.task.task): Writer(look.task.job_id, True) for look in looks}
        writers.update(self._writers([key for key in waiting if key not in writers]))
        new: list[Reported] = []
        done: list[Key] = []
        for key in waiting:
            writer = writers.get(key)
            piece = None if writer is None else self.reports.read(key, writer, now_ms)
            if piece is not None:
                new.append(piece)
            elif writer is None or not writer.lives:
                done.append(key)
        return new, done
