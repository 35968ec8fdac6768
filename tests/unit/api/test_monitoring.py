"""What the routes of monitoring answer: what was seen, joined with what is held."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from tenure.api.front import Front
from tenure.api.monitoring import merged, with_readings
from tenure.monitors.containers import ContainersSeen
from tenure.monitors.watch import Watch
from tenure.wire.dto import DeviceView, NodesReply, NodeView
from tenure.wire.monitoring import ContainerSample, GpuSample, HostSample
from tests.unit.api.test_front import call, context_with

LOOKS: dict[str, Any] = {
    "host": HostSample(node="box", at_ms=42, state="warning", why="processors at 90%", utilisation_percent=90.0, cores=4),
    "gpus": [GpuSample(uuid="seen", index=0, model="A100", node="box", utilisation_percent=50.4, temperature_c=60.2, power_mw=1)],
    "containers": ContainersSeen("/run/s", (ContainerSample(id="1", name="web", image="i", state="running"),)),
}


class Looks:
    """A sampler that gives what the test says, or raises it."""

    def __init__(self, name: str, look: Any) -> None:
        self.name = name
        self._look = look

    def sample(self, now_ms: int) -> Any:
        if isinstance(self._look, Exception):
            raise self._look
        return self._look

    def close(self) -> None:
        """Nothing is open."""


def device(uuid: str, **more: Any) -> DeviceView:
    return DeviceView(node="box", index=0, uuid=uuid, model="A100", memory_bytes=80, **more)


def asked(path: str, looks: dict[str, Any] | None = None, *, off: bool = False) -> tuple[int, Any]:
    context = context_with(None)
    context.queries.nodes = lambda _caller: NodesReply(nodes=[NodeView(name="box", status="up")], devices=[device("seen")])  # type: ignore[method-assign]
    if not off:
        context.watch = Watch([Looks(*pair) for pair in (looks or LOOKS).items()], 5.0, now_ms=lambda: 42)
        context.watch.look()
    return asyncio.run(call(Front(context), b"", {}, ("uid", os.getuid()), "GET", path))


@pytest.mark.parametrize("base", ["/v1", "/api/resource-scheduler"])
def test_the_documented_paths_answer_as_ours(base: str) -> None:
    status, cpu = asked(f"{base}/status/cpu")
    assert status == 200
    assert cpu == {"node": "box", "at_ms": 42, "state": "warning", "why": "processors at 90%", "utilisation_percent": 90.0, "cores": 4}
    status, gpus = asked(f"{base}/status/gpu")
    assert (status, gpus["gpus"][0]["utilisation_percent"], gpus["gpus"][0]["power_mw"]) == (200, 50.4, 1)
    status, containers = asked(f"{base}/status/containers")
    assert (status, containers["engine"], containers["containers"][0]["name"]) == (200, "/run/s", "web")


def test_everything_at_once() -> None:
    status, found = asked("/api/v1/resources")
    assert (status, found["every_s"], len(found["hosts"]), len(found["gpus"]), len(found["containers"])) == (200, 5.0, 1, 1, 1)
    assert [view["samples"] for view in found["samplers"]] == [1, 1, 1]


def test_where_monitoring_is_off_the_answer_says_how_to_turn_it_on() -> None:
    status, reply = asked("/api/v1/status/cpu", off=True)
    assert (status, reply["code"]) == (404, "not_monitored")
    assert "[monitor]" in reply["remedy"]


def test_what_cannot_be_seen_is_told_with_the_reason() -> None:
    broken = {"host": OSError("no /proc"), "gpus": RuntimeError("no driver"), "containers": OSError("mute")}
    status, reply = asked("/api/v1/status/cpu", broken)
    assert (status, reply["code"]) == (503, "not_yet")
    assert "no /proc" in reply["detail"]
    assert asked("/api/v1/status/gpu", broken)[1]["problem"] == "RuntimeError: no driver"
    assert asked("/api/v1/status/containers", broken)[1]["problem"] == "OSError: mute"
    assert "hosts" not in asked("/api/v1/resources", broken)[1] or not asked("/api/v1/resources", broken)[1]["hosts"]


@pytest.mark.parametrize(
    ("held", "look", "state"),
    [
        ({}, None, "available"),
        ({"jobs": ["7"]}, None, "in_use"),
        ({"status": "foreign"}, None, "in_use"),
        ({}, "in_use", "in_use"),
        ({"status": "lost"}, None, "error"),
        ({"status": "quarantined"}, "available", "error"),
        ({"jobs": ["7"]}, "error", "error"),
    ],
)
def test_the_state_of_a_gpu_is_who_holds_it_and_how_it_is(held: dict[str, Any], look: str | None, state: str) -> None:
    looks = [GpuSample(uuid="a", index=0, model="A100", state=look)] if look else []
    (found,) = merged([device("a", **held)], looks)
    assert found.state == state
    assert found.power_mw is None


def test_what_is_seen_and_not_offered_comes_last() -> None:
    looks = [GpuSample(uuid="other", index=1, model="T4"), GpuSample(uuid="a", index=0, model="A100")]
    assert [gpu.uuid for gpu in merged([device("a")], looks)] == ["a", "other"]


def test_nodes_carry_what_was_last_seen() -> None:
    reply = with_readings(NodesReply(nodes=[], devices=[device("seen"), device("unseen")]), LOOKS["gpus"])
    seen, unseen = reply.devices
    assert (seen.utilisation, seen.temperature_c, seen.power_mw) == (50, 60, 1)
    assert (unseen.utilisation, unseen.power_mw) == (None, None)
    assert asked("/api/v1/nodes")[1]["devices"][0]["utilisation"] == 50
