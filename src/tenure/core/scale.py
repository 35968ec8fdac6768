"""The largest node of a board: published scores measure amounts in shares of it."""

from __future__ import annotations

from typing import NamedTuple

from tenure.core.board import Board
from tenure.model.amounts import MILLI

_CACHE = "scale"


class Scale(NamedTuple):
    """The most cpu and the most thousandths of GPUs that any one node has, at least 1 of each."""

    cpu_milli: int
    gpu_milli: int


UNSCALED = Scale(128 * MILLI, 8 * MILLI)
"""Where nothing is known of the nodes: the largest of the cluster that the scores were published for."""


def scale_of(board: Board) -> Scale:
    """The scale of a board's nodes."""
    found: Scale | None = board.caches.get(_CACHE)
    if found is None:
        cpu = max((node.capacity[0] for node in board.rooms.nodes), default=0)
        devices = max((len(node.devices) for node in board.rooms.nodes), default=0)
        found = board.caches[_CACHE] = Scale(max(cpu, 1), max(devices, 1) * MILLI)
    return found
