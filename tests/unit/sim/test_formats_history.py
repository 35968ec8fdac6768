"""The past as a workload: what ended is replayed, what did not run is counted."""

from __future__ import annotations

import pytest

from tenure.model.amounts import GIB, Amounts
from tenure.model.shape import Shape
from tenure.sim.formats.history import history_of, machines_of
from tenure.sim.machines import parse_nodes
from tenure.sim.workload import BadWorkload
from tenure.wire.dto import ArrayView, DeviceView, JobView, NodesReply, NodeView

NODES = parse_nodes("1x2xA100:80G,64c,512G")


def view(number: int, submitted: int = 1000, started: int = 3000, ended: int = 9000, **more: object) -> JobView:
    values = {"id": str(number), "number": number, "name": "x", "state": "succeeded", "cpu_milli": 1000, **more}
    return JobView(submitted_ms=submitted, started_ms=started, ended_ms=ended, **values)  # type: ignore[arg-type]


def test_what_ended_is_replayed_from_its_submission() -> None:
    late = view(7, 5000, 6000, 6500, id="7_3", user="ada", project="p", priority=8, limit_ms=60_000, deadline_ms=9000)
    gang = view(3, gpu_milli=2000, gpu_memory_bytes=GIB, gpu_model="A100", tasks=2, nodes=2, memory_bytes=GIB)
    first, second = history_of([late, gang], NODES).jobs
    assert (first.number, first.name, first.submitted_ms, first.run_ms) == (1, "3", 0, 6000)
    assert first.shape == Shape(Amounts(1000, GIB), 2000, GIB, "A100", 2, 2)
    assert (second.name, second.submitted_ms, second.run_ms, second.requested_ms) == ("7_3", 4000, 500, 60_000)
    assert (second.user, second.project, second.priority, second.deadline_ms) == ("ada", "p", 8, 8000)


def test_what_did_not_run_is_counted() -> None:
    others = [view(2, ended=0), view(3, started=0), view(4, array=ArrayView("0-9", 10, 10))]
    workload = history_of([view(1), *others], NODES)
    assert [job.name for job in workload.jobs] == ["1"]
    assert workload.skipped == {"not ended": 1, "never started": 1, "array; its elements are jobs": 1}


def test_an_empty_past_is_refused() -> None:
    for views, nodes in (([], NODES), ([view(1, ended=0)], NODES), ([view(1)], ())):
        with pytest.raises(BadWorkload, match="no history to replay"):
            history_of(views, nodes)


def test_a_listing_of_nodes_is_machines() -> None:
    reply = NodesReply(
        nodes=[NodeView("a", "up", cpu_milli=4000, memory_bytes=GIB, labels=["fast"]), NodeView("b", "draining", cpu_milli=8000)],
        devices=[DeviceView("b", 1, "u1", "T4", GIB), DeviceView("b", 0, "u0", "T4", GIB), DeviceView("a", 0, "u2", "A100", GIB)],
    )
    a, b = machines_of(reply)
    assert (a.id, a.name, a.capacity, a.labels, [device.uuid for device in a.devices]) == (
        1,
        "a",
        Amounts(4000, GIB),
        ("fast",),
        ["u2"],
    )
    assert [(device.id, device.node_id, device.index, device.uuid) for device in b.devices] == [(2, 2, 0, "u0"), (3, 2, 1, "u1")]
