"""Projects: what each may hold, and what its users have used of late. The input of fair shares and quotas.

Cpu, memory and GPUs are what is shared; storage and bandwidth are not. A project that nobody configured is `Project(id)`: weight 1, no
quota, no maximum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

SHARED: Final = ("cpu_milli", "memory_bytes", "gpu_milli")
"""The resources that are shared, in the order of a `Bundle`."""


class Bundle(NamedTuple):
    """An amount of each shared resource: thousandths of a cpu, bytes, thousandths of a GPU."""

    cpu_milli: int = 0
    memory_bytes: int = 0
    gpu_milli: int = 0

    def plus(self, other: Bundle) -> Bundle:
        """The sum."""
        return Bundle(self[0] + other[0], self[1] + other[1], self[2] + other[2])

    def minus(self, other: Bundle) -> Bundle:
        """The difference."""
        return Bundle(self[0] - other[0], self[1] - other[1], self[2] - other[2])


UNLIMITED: Final = -1
NO_BOUNDS: Final = Bundle(UNLIMITED, UNLIMITED, UNLIMITED)
"""A quota that guarantees nothing, a maximum that forbids nothing: `UNLIMITED` stands where nothing is said of a resource."""


@dataclass(frozen=True, slots=True)
class Project:
    """What was decided about a project. Up to ``quota`` it is served before those that are above theirs; above it it holds what is idle
    if it may ``borrow``, else nothing; ``maximum`` it never exceeds. ``weight_milli`` is its share in relation to others'."""

    id: int
    name: str = ""
    weight_milli: int = 1000
    quota: Bundle = NO_BOUNDS
    maximum: Bundle = NO_BOUNDS
    borrow: bool = True

    @property
    def most(self) -> Bundle:
        """What it may hold at most: its maximum, and its quota where it may not borrow."""
        if self.borrow:
            return self.maximum
        return Bundle(*(min(filter(_is_bound, pair), default=UNLIMITED) for pair in zip(self.maximum, self.quota, strict=True)))


def _is_bound(amount: int) -> bool:
    return amount != UNLIMITED


@dataclass(frozen=True, slots=True)
class Usage:
    """What a user has used for a project, as of a time: amounts held times how long, of which half is forgotten every half-life.

    Memory is in MiB times milliseconds, so that every number fits 64 bits. What is held at that time goes on from there.
    """

    project: int
    user: int
    as_of_ms: int = 0
    cpu_milli_ms: int = 0
    memory_mib_ms: int = 0
    gpu_milli_ms: int = 0
