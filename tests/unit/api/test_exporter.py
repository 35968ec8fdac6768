"""What Prometheus is told: well-formed, without anybody's name, and what the board asks for."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tenure.api import scrape
from tenure.api.context import Context
from tenure.api.exporter import scraped
from tenure.api.exposition import Family, exposition
from tenure.api.front import Front
from tenure.control.loop import LoopHealth
from tenure.model.anomaly import Anomaly
from tenure.monitors.watch import Watch
from tenure.wire.dto import NodesReply, NodeView, QueuesReply, QueueView
from tests.unit.api.test_front import context_with
from tests.unit.api.test_monitoring import LOOKS, Looks, device

BOARD = Path(__file__).parents[3] / "deploy" / "grafana" / "tenure.json"


class Store:
    """Knows one node, one queue, three jobs; or fails."""

    def __init__(self) -> None:
        self.broken = False

    def nodes(self) -> NodesReply:
        if self.broken:
            raise OSError("the disk is gone")
        node = NodeView(name='a "b"', status="up", cpu_milli=4500, used_cpu_milli=500, devices=1, devices_used_milli=1000)
        return NodesReply(nodes=[node], devices=[device("seen", jobs=["7"])])

    def queues(self) -> QueuesReply:
        return QueuesReply(queues=[QueueView(name="default", pending=2, running=1)])

    def anomalies(self) -> list[Anomaly]:
        return [Anomaly("hung:7:0:1", "hung", "it hangs", "", 7)]

    def counts(self) -> dict[str, int]:
        return {"pending": 2, "running": 1}


def context(*, watched: bool = True) -> Context:
    made = context_with(None)
    made.loop.health = LoopHealth(cycles=5)
    made.queries = Store()  # type: ignore[assignment]
    if watched:
        made.watch = Watch([Looks(*pair) for pair in LOOKS.items()], 5.0, now_ms=lambda: 42)
        made.watch.look()
    return made


def told(**how: Any) -> dict[str, Any]:
    text = asyncio.run(scraped(context(**how))).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def sample(family: Any, **labels: str) -> float:
    (found,) = [one.value for one in family.samples if labels.items() <= one.labels.items()]
    value: float = found
    return value


def test_a_strict_reader_understands_all_of_it() -> None:
    found = told()
    assert sample(found["tenure_jobs"], state="pending") == 2
    assert sample(found["tenure_jobs"], state="failed") == 0
    assert sample(found["tenure_node_cpus"], node='a "b"') == 4.5
    assert sample(found["tenure_gpu_utilisation_ratio"], uuid="seen") == pytest.approx(0.504)
    assert sample(found["tenure_gpu_state"], state="in_use") == 1
    assert sample(found["tenure_host_cpu_utilisation_ratio"], node="box") == 0.9
    assert sample(found["tenure_loop_turns"]) == 5
    assert sample(found["tenure_anomalies_open"], kind="hung") == 1
    assert sample(found["tenure_monitor_looks"], sampler="host") == 1
    assert "7" not in {value for family in found.values() for one in family.samples for value in one.labels.values()}


def test_what_is_not_known_has_no_sample() -> None:
    found = told()
    assert found["tenure_host_load1"].samples == []
    assert found["tenure_gpu_memory_used_bytes"].samples == []
    assert "tenure_host_load1" not in told(watched=False)


def test_odd_text_and_numbers_survive() -> None:
    text = exposition([Family("a", "gauge", "x\ny\\", [({"l": 'q"\n\\'}, 0.1), ({"l": "b"}, 1e300), ({"l": "c"}, None)])]).decode()
    (family,) = text_string_to_metric_families(text)
    assert [(one.labels["l"], one.value) for one in family.samples] == [('q"\n\\', 0.1), ("b", 1e300)]


def asked_for() -> dict[str, str]:
    """The queries of the board, by panel."""
    board = json.loads(BOARD.read_text())
    return {f"{panel['title']} {target['refId']}": target["expr"] for panel in board["panels"] for target in panel["targets"]}


def test_the_board_asks_only_for_what_there_is() -> None:
    there = {name + ("_total" if family.type == "counter" else "") for name, family in told().items()}
    wanted = {name for query in asked_for().values() for name in re.findall(r"\btenure_\w+", query)}
    assert not wanted - there
    assert len(asked_for()) > 15


def test_the_route_is_of_the_front() -> None:
    from starlette.requests import Request

    made = context()
    front = Front(made)
    found, _ = front._finder.find("GET", "/metrics")
    assert found is not None
    reply = asyncio.run(found.route.endpoint(Request({"type": "http", "app": SimpleNamespace(state=front.state), "headers": []})))  # type: ignore[arg-type]
    assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")


async def _scrape(made: Context, path: Path, sent: bytes) -> bytes:
    server = await asyncio.start_unix_server(scrape.Scrapes(made), str(path), limit=scrape.MOST_HEAD_BYTES)
    async with server:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(sent)
        reply = await reader.read()
        writer.close()
        await writer.wait_closed()
        return reply


@pytest.mark.parametrize(
    ("sent", "begins"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text"),
        (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", b"HTTP/1.1 200"),
        (b"GET /v1/jobs/7 HTTP/1.1\r\n\r\n", b"HTTP/1.1 404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"HTTP/1.1 404"),
        (b"nonsense\r\n\r\n", b"HTTP/1.1 404"),
        (b"x" * 9000 + b"\r\n\r\n", b""),
    ],
)
def test_the_port_has_figures_and_nothing_else(tmp_path: Path, sent: bytes, begins: bytes) -> None:
    reply = asyncio.run(_scrape(context(), tmp_path / "s", sent))
    assert reply.startswith(begins)
    assert bool(reply) == bool(begins)


def test_the_port_survives_who_says_nothing_and_a_store_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = context()
    made.queries.broken = True  # type: ignore[attr-defined]
    reply = asyncio.run(_scrape(made, tmp_path / "s", b"GET /metrics HTTP/1.1\r\n\r\n"))
    assert reply.startswith(b"HTTP/1.1 503")
    assert b"the disk is gone" in reply
    monkeypatch.setattr(scrape, "PATIENCE_S", 0.01)
    assert asyncio.run(_scrape(context(), tmp_path / "t", b"GET /met")) == b""
