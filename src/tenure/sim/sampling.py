"""Looks at the GPUs of a replay now and then: enough for a curve and a mean, seldom enough to cost nothing."""

from __future__ import annotations

from tenure.core.board import Board
from tenure.sim.fragmentation import Fragmentation, demand_of
from tenure.sim.results import Sample
from tenure.sim.workload import Workload

SAMPLES = 64
"""So many times in a replay."""


class Sampler:
    """Samples at even steps of time, or of arrivals where nothing ever ends."""

    def __init__(self, workload: Workload, board: Board) -> None:
        self.jobs = workload.jobs
        self.board = board
        self.fragmentation = Fragmentation(board.rooms, demand_of(workload.jobs))
        self.capacity = sum(node.gpu_free for node in board.rooms.nodes)
        self.by_arrival = all(job.lives for job in workload.jobs)
        last_ms = self.jobs[-1].submitted_ms if self.jobs else 0
        self.step = max((len(self.jobs) if self.by_arrival else last_ms) // SAMPLES, 1)
        self.due = self.step if self.by_arrival else 0
        self.samples: list[Sample] = []
        self._arrived = self._arrived_milli = 0

    def is_due(self, now_ms: int, arrived: int) -> bool:
        """Whether it is time for another look."""
        return (arrived if self.by_arrival else now_ms) >= self.due

    def take(self, now_ms: int, arrived: int) -> None:
        """Take a sample. The board must know of everything so far."""
        self._arrived_milli += sum(job.shape.gpu_milli * job.shape.tasks for job in self.jobs[self._arrived : arrived])
        self._arrived = arrived
        if self.fragmentation.rooms is not self.board.rooms:  # a node has failed, or works again
            self.fragmentation = Fragmentation(self.board.rooms, demand_of(self.jobs))
        nodes = self.board.rooms.nodes
        allocated = self.capacity - sum(node.gpu_free for node in nodes)
        self.samples.append(Sample(now_ms, self._arrived_milli, allocated, self.fragmentation.stranded_milli()))
        progress = arrived if self.by_arrival else now_ms
        self.due = progress - progress % self.step + self.step
