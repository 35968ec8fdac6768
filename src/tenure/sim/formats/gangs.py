"""A log says how many processors or GPUs a job had, not over how many nodes: this says it for the log.

A task lives on one node, and the tasks of a job are alike. So a job that fits on the largest node is one task, and a larger one is as
few equal tasks as that node allows. Invariant: tasks x size is exactly what the log says.
"""

from __future__ import annotations


def even_tasks(total: int, largest: int) -> tuple[int, int]:
    """(tasks, size of each): the fewest equal tasks of at most ``largest`` that make ``total``. Both arguments are at least 1."""
    size = next(size for size in range(min(total, largest), 0, -1) if total % size == 0)
    return total // size, size
