"""Published logs as workloads: one module per format, and `load`, which knows them all.

A log is recognised by its first line, not by its name: people rename files. Invariant: a log is read with the options it understands
or refused; an option that would be ignored is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tenure.model.node import Node
from tenure.sim.formats import chronus, dlrm, openb, philly, swf
from tenure.sim.formats.nodes import OPENB, PHILLY
from tenure.sim.formats.text import lines
from tenure.sim.workload import BadWorkload, Workload

FORMATS = ("swf", "openb", "philly", "chronus", "dlrm")


@dataclass(frozen=True, slots=True)
class Options:
    """What a log may be read with. ``arrival`` and ``seed`` are for openb's placement study."""

    nodes: tuple[Node, ...] = ()
    arrival: float = 0.0
    seed: int = 0


def load(path: str, log_format: str = "", *, nodes: tuple[Node, ...] = (), arrival: float = 0.0, seed: int = 0) -> Workload:
    """The workload of a log, on the given nodes or on those of the log. Without a format it is recognised by its first line.

    Raises BadWorkload, in one sentence with the way out, for anything that cannot be used.
    """
    name = log_format or detect(path)
    if name not in _READERS:
        raise BadWorkload(f"{name!r} is no format of a log; choose {', '.join(FORMATS)}")
    if arrival and name != "openb":
        raise BadWorkload(f"a share of arrivals is for openb's placement study; {path} is in the format {name}")
    return _READERS[name](path, Options(nodes, arrival, seed))


def detect(path: str) -> str:
    """The format of a log by its first line that says something. Raises BadWorkload when it is none of them."""
    first = next((line.strip() for _, line in lines(path) if line.strip()), "")
    if first.startswith(";") or len(first.split()) == swf.FIELDS:
        return "swf"
    columns = {name.strip() for name in first.split(",")}
    for name, wanted in _COLUMNS.items():
        if columns.issuperset(wanted):
            return name
    if columns.issuperset(OPENB) or columns.issuperset(PHILLY):
        raise BadWorkload(f"{path} lists nodes, not jobs; give it as the nodes of another log")
    raise BadWorkload(f"{path} is in no format that Tenure recognises; say which of {', '.join(FORMATS)} it is")


def _swf(path: str, options: Options) -> Workload:
    return swf.read_swf(path, options.nodes)


def _openb(path: str, options: Options) -> Workload:
    if not options.nodes:
        raise BadWorkload(f"{path} says nothing of machines; give the list of nodes that is published beside it, or a spec")
    pods, skipped = openb.read_pods(path)
    if not options.arrival:
        return openb.replayed(path, pods, options.nodes, skipped)
    return openb.study(path, pods, options.nodes, options.arrival, options.seed, skipped)


def _philly(path: str, options: Options) -> Workload:
    return philly.read_philly(path, options.nodes)


def _chronus(path: str, options: Options) -> Workload:
    return chronus.read_chronus(path, options.nodes)


def _dlrm(path: str, options: Options) -> Workload:
    return dlrm.read_dlrm(path, options.nodes)


_READERS: dict[str, Callable[[str, Options], Workload]] = {
    "swf": _swf,
    "openb": _openb,
    "philly": _philly,
    "chronus": _chronus,
    "dlrm": _dlrm,
}
_COLUMNS = {"openb": openb.WANTED, "philly": philly.WANTED, "chronus": chronus.WANTED, "dlrm": dlrm.WANTED}
