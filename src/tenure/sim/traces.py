"""A file, whatever its format, as a workload: the one door through which simulations get published logs.

The format is told by the first line unless it is named. Each format has a reader in `tenure.sim.formats` and is imported when needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tenure.model.node import Node
from tenure.sim.formats.text import lines
from tenure.sim.machines import ordered, parse_nodes
from tenure.sim.workload import BadWorkload, Workload

_COLUMNS = {"openb": {"cpu_milli", "num_gpu"}, "philly": {"timestamp", "cluster"}, "chronus": {"job_id", "expect_time_list"}}
_DLRM = {"instance_sn", "max_instance_per_node"}
_SWF_FIELDS = 18


@dataclass(frozen=True, slots=True)
class Source:
    """How a log is read.

    ``format`` empty: as its first line looks. ``nodes`` is a spec or a file (`tenure.sim.machines.parse_nodes`), empty for the
    machine that the log names or its publication describes. ``node_order`` decides ties: see `tenure.sim.machines.ordered`.
    ``arrival`` makes a placement study of openb pods: they come until that share of all GPUs was asked for, 0 for the log's own
    times. ``limit`` keeps the first jobs only, 0 all.
    """

    format: str = ""
    nodes: str = ""
    node_order: str = "name"
    arrival: float = 0.0
    seed: int = 0
    limit: int = 0


def open_trace(path: str, source: Source) -> Workload:
    """The workload of one file. Raises BadWorkload."""
    format_ = source.format or format_of(path)
    if format_ not in FORMATS:
        raise BadWorkload(f"{source.format!r} is no format of logs; choose from {', '.join(FORMATS)}")
    if source.arrival and format_ != "openb":
        raise BadWorkload(f"{path}: a share of arrivals belongs to openb pods, and this is {format_}; leave --arrival out")
    nodes = ordered(parse_nodes(source.nodes), source.node_order, source.seed) if source.nodes else ()
    workload = FORMATS[format_](path, nodes, source)
    if not source.nodes and source.node_order != "name":
        workload = replace(workload, nodes=ordered(workload.nodes, source.node_order, source.seed))
    return workload.limited(source.limit) if source.limit else workload


def format_of(path: str) -> str:
    """The format that the first line looks like. Raises BadWorkload when it looks like none."""
    first = next((line for _, line in lines(path)), "")
    header = {name.strip() for name in first.split(",")}
    if first.startswith(";") or len(first.split()) == _SWF_FIELDS:
        return "swf"
    for format_, columns in (*_COLUMNS.items(), ("dlrm", _DLRM)):
        if header >= columns:
            return format_
    raise BadWorkload(f"{path}: its first line tells no format; name it with --format, one of {', '.join(FORMATS)}")


def _swf(path: str, nodes: tuple[Node, ...], _source: Source) -> Workload:
    from tenure.sim.formats.swf import read_swf

    return read_swf(path, nodes=nodes)


def _openb(path: str, nodes: tuple[Node, ...], source: Source) -> Workload:
    from tenure.sim.formats.openb import read_pods, replayed, study

    if not nodes:
        raise BadWorkload(f"{path}: a list of pods says nothing of the machines; name them with --nodes")
    pods, skipped = read_pods(path)
    if source.arrival:
        return study(path, pods, nodes, source.arrival, source.seed, skipped)
    return replayed(path, pods, nodes, skipped)


def _philly(path: str, nodes: tuple[Node, ...], _source: Source) -> Workload:
    from tenure.sim.formats.philly import read_philly

    return read_philly(path, nodes)


def _chronus(path: str, nodes: tuple[Node, ...], _source: Source) -> Workload:
    from tenure.sim.formats.chronus import read_chronus

    return read_chronus(path, nodes)


def _dlrm(path: str, nodes: tuple[Node, ...], _source: Source) -> Workload:
    from tenure.sim.formats.dlrm import read_dlrm

    return read_dlrm(path, nodes)


FORMATS: dict[str, Callable[[str, tuple[Node, ...], Source], Workload]] = {
    "swf": _swf,
    "openb": _openb,
    "philly": _philly,
    "chronus": _chronus,
    "dlrm": _dlrm,
}
"""The readers by the name of their format."""
