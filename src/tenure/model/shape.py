"""What one task of a job asks for. Jobs that ask for the same share one interned shape, so that a cycle judges it once.

Amounts are per task. A GPU amount is a whole number of devices or exactly one fraction of one device, never 1.5: a fraction is a
place on one device, not a scalar.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenure.model.amounts import MILLI, Amounts

ONE_GROUP = "nvlink"
"""The wish for GPUs of one group; everything else that is wished for is a label."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A per-task request, the number of tasks and the constraints on where they may go.

    ``gpu_milli`` is 0, 1-999 (a fraction of one device) or a multiple of 1000 (whole devices); ``gpu_memory_bytes`` is per device:
    the least a whole device must have, or the part of a shared device that the task holds (0: the fraction's own share of it).
    ``gpu_model`` is the kind of device (`tenure.model.gpu_kind`); empty accepts any. ``nodes`` 0 leaves the spread of a gang free;
    otherwise the tasks are dealt evenly over exactly that many nodes. ``labels`` must all be on the node.
    With ``max_per_node`` a node takes a task only while fewer tasks of jobs of the same ``app`` hold something there (0: no limit).
    ``prefer`` is a wish: labels that the nodes should have, and `ONE_GROUP` for all GPUs of a task in one NVLink or NUMA group. A
    policy may let the job wait for such a place until ``prefer_wait_ms`` after its submission.
    Raises ValueError for a shape that means nothing.
    """

    amounts: Amounts = Amounts()
    gpu_milli: int = 0
    gpu_memory_bytes: int = 0
    gpu_model: str = ""
    tasks: int = 1
    nodes: int = 0
    labels: tuple[str, ...] = ()
    app: str = ""
    max_per_node: int = 0
    prefer: tuple[str, ...] = ()
    prefer_wait_ms: int = 0

    def __post_init__(self) -> None:
        if min(self.amounts.as_tuple()) < 0 or self.gpu_milli < 0 or self.gpu_memory_bytes < 0:
            raise ValueError("an amount is never negative")
        if self.gpu_milli > MILLI and self.gpu_milli % MILLI:
            raise ValueError("ask for a whole number of GPUs or for one fraction of a GPU, such as 0.5")
        if self.gpu_milli == 0 and (self.gpu_memory_bytes or self.gpu_model):
            raise ValueError("GPU memory or a GPU model without --gpus asks for nothing; add --gpus 1")
        if self.max_per_node < 0 or (self.max_per_node and not self.app):
            raise ValueError("at most so many tasks per node are counted among those of one app; name it with --app")
        if self.prefer_wait_ms < 0 or (self.prefer_wait_ms and not self.prefer):
            raise ValueError("waiting for a better place needs a wish for one; say which with --prefer")
        if self.tasks < 1 or self.nodes < 0 or self.nodes > self.tasks:
            raise ValueError("a job has at least one task, and at least one task on each of its nodes")

    @property
    def gpu_count(self) -> int:
        """How many devices one task touches: a fraction touches one."""
        return (self.gpu_milli + MILLI - 1) // MILLI

    @property
    def is_fraction(self) -> bool:
        """Whether a task shares one device with others."""
        return 0 < self.gpu_milli < MILLI

    def device_share(self, device_memory_bytes: int) -> tuple[int, int]:
        """What one task takes of a device of that memory: (thousandths, bytes). A whole device is taken with all its memory."""
        if not self.is_fraction:
            return MILLI, device_memory_bytes
        memory = self.gpu_memory_bytes or device_memory_bytes * self.gpu_milli // MILLI
        return self.gpu_milli, memory
