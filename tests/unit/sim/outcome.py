"""What came of reading something that may be broken: a workload, or the sentence with which it was refused. Anything else fails."""

from __future__ import annotations

from collections.abc import Callable

from tenure.sim.workload import BadWorkload, Workload


def outcome(read: Callable[[], Workload]) -> Workload | str:
    """The workload, or the text of the refusal."""
    try:
        return read()
    except BadWorkload as error:
        return str(error)
