"""What the daemon says of pools of nodes."""

from __future__ import annotations

import msgspec

from tenure.wire.base import Page, Reply


class PoolView(Reply):
    """One pool: its nodes, and what is held of its GPUs by jobs. ``active_gpus`` are those of which anything is held; ``pending`` are
    the jobs that wait and are of a class that the pool is for."""

    name: str
    classes: list[str] = msgspec.field(default_factory=list)
    borrow: bool = False
    nodes: list[str] = msgspec.field(default_factory=list)
    gpus: int = 0
    active_gpus: int = 0
    gpu_memory_bytes: int = 0
    used_gpu_memory_bytes: int = 0
    running: int = 0
    pending: int = 0


class PoolsReply(Page):
    """Pools of the settings, by name."""

    pools: list[PoolView]
