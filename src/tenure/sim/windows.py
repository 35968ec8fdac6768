"""Windows in a simulation: nodes that are set aside for a time, for a project of the log or for nobody, as a person would reserve them.

``n1,n2@2d+4h`` takes two nodes for four hours, two days after the first job came; ``*@1d+2h`` all of them; ``n1@0s+8h:vision`` one for
the project vision. Invariant: a window that names what the log does not have is an error, never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tenure.model.amounts import parse_duration_ms
from tenure.model.node import Node
from tenure.model.window import TimeWindow, WindowPart
from tenure.sim.workload import BadWorkload

GRAMMAR = "write NODES@FROM+LENGTH[:PROJECT], such as n1,n2@2d+4h, with * for all nodes and FROM after the first job of the log"
_SPEC = re.compile(r"([^@]+)@([^+]+)\+([^:]+)(?::(.+))?")
ALL = "*"


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """Nodes by name (`ALL` alone: every one), times after the first submission, and whose it is (empty: maintenance)."""

    nodes: tuple[str, ...]
    from_ms: int
    until_ms: int
    project: str = ""


def window_spec(text: str) -> WindowSpec:
    """Read ``NODES@FROM+LENGTH[:PROJECT]``. Raises BadWorkload."""
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise BadWorkload(f"{text!r} is no window; {GRAMMAR}")
    try:
        from_ms, length_ms = parse_duration_ms(match[2]), parse_duration_ms(match[3])
    except ValueError:
        raise BadWorkload(f"{text!r} is no window; {GRAMMAR}") from None
    if length_ms < 1:
        raise BadWorkload(f"the window {text!r} has no length; {GRAMMAR}")
    return WindowSpec(tuple(name for name in match[1].split(",") if name), from_ms, from_ms + length_ms, match[4] or "")


def windows_of(
    specs: Iterable[WindowSpec], nodes: Iterable[Node], first_ms: int, project: Callable[[str], int]
) -> tuple[TimeWindow, ...]:
    """The windows on these nodes; ``project`` numbers a project's name. Raises BadWorkload for a node that is not there."""
    by_name = {node.name: node.id for node in nodes}
    found = []
    for number, spec in enumerate(specs, 1):
        names = list(by_name) if spec.nodes == (ALL,) else list(spec.nodes)
        missing = [name for name in names if name not in by_name]
        if missing:
            few = ", ".join(list(by_name)[:3])
            raise BadWorkload(
                f"there is no node {missing[0]!r} to set aside; the nodes are called {few}{' ...' if len(by_name) > 3 else ''}"
            )
        parts = tuple(WindowPart(number) for number in sorted({by_name[name] for name in names}))
        owner = project(spec.project) if spec.project else 0
        found.append(TimeWindow(number, first_ms + spec.from_ms, first_ms + spec.until_ms, parts, f"window {number}", owner))
    return tuple(found)
