"""A real Prometheus scrapes a real daemon, as the documentation says; then every query of the Grafana board is asked of it.

The hardware is the machine's own but for the GPU, which the stand-in for NVML shows.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tenure.client.certificates import create
from tests.require import require
from tests.support.living import Installation, end, installation, until
from tests.support.nvml import FakeDriver, FakeGpu, library
from tests.unit.api.test_exporter import asked_for

DOCS = Path(__file__).parents[2] / "docs" / "how-to" / "monitoring.md"


def documented() -> tuple[list[str], str, str]:
    """As the documentation prints it: the command that makes a token, the settings for the port and those for the listener."""
    (token,) = re.findall(r"\ntenure (token create .*) >", DOCS.read_text())
    port, listener = re.findall(r"```yaml\n(scrape_configs:.*?)```", DOCS.read_text(), re.S)
    return token.split(), port, listener


@contextmanager
def prometheus(root: Path, config: str) -> Iterator[httpx.Client]:
    """A Prometheus for as long as the block lasts, at a port that it chooses itself."""
    (root / "prometheus.yml").write_text(config)
    command = [
        "prometheus",
        f"--config.file={root}/prometheus.yml",
        f"--storage.tsdb.path={root}/data",
        "--web.listen-address=127.0.0.1:0",
    ]
    log = root / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=root)

    def place() -> str:
        assert process.poll() is None, log.read_text()[-2000:]
        found = re.search(r'msg="Listening on" address=(\S+)', log.read_text())
        return found[1] if found else ""

    try:
        with httpx.Client(base_url=f"http://{until(place, 'Prometheus to listen')}/api/v1", timeout=30) as client:
            yield client
    finally:
        end(process.pid)
        process.wait()


def asked(client: httpx.Client, query: str) -> list[Any]:
    """What a query gives, by series. Fails when Prometheus cannot evaluate it."""
    reply = client.get("/query", params={"query": query}).json()
    assert reply["status"] == "success", f"{query}: {reply}"
    found: list[Any] = reply["data"]["result"]
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture
def exporting(tmp_path: Path) -> Iterator[tuple[Installation, str]]:
    """An installation with a GPU, half of which a job holds idly, at both doors; and what Prometheus is told of it."""
    require("prometheus", shutil.which("prometheus") is not None, "prometheus is not installed")
    pytest.importorskip("cryptography")
    built, why = library()
    require("nvml", built is not None, why)
    assert built is not None
    made, port = create(str(tmp_path / "tls"), ["localhost"], 30), free_port()
    gpus = FakeDriver(tmp_path / "gpus")
    gpus.show(FakeGpu("GPU-a", util=3, temp=40, watts=60, used=900))
    with installation(f'[monitor]\nevery = "1s"\ncontainers = "off"\nprometheus = "127.0.0.1:{port}"\n') as home:
        home.env |= {"FAKE_NVML_STATE": str(gpus.state), "LD_LIBRARY_PATH": str(built.parent)}
        home.cli("up", "--listen", "127.0.0.1:0", "--tls-cert", made.cert, "--tls-key", made.key)
        home.submit("--gpus", "0.5", "--", "sleep", "600")
        token = tmp_path / "token"
        making, by_port, by_listener = documented()
        token.write_text(home.cli(*making).stdout)
        with home.client() as client:
            at = urlsplit(client.admin.status().url).port
        for text, value in {
            "gpu1.example.org:8080": f"localhost:{at}",
            "/etc/prometheus/tenure.token": str(token),
            "/etc/prometheus/tenure-ca.crt": made.ca,
        }.items():
            assert text in by_listener
            by_listener = by_listener.replace(text, value)
        config = "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n" + by_port.replace("127.0.0.1:9464", f"127.0.0.1:{port}")
        yield home, config + by_listener.partition("\n")[2]


def test_a_real_prometheus_scrapes_both_doors_and_every_query_of_the_board_has_an_answer(
    exporting: tuple[Installation, str], tmp_path: Path
) -> None:
    home, config = exporting
    folder = tmp_path / "prometheus"
    folder.mkdir()
    with prometheus(folder, config) as client:
        doors = {"tenure", "tenure-by-token"}
        until(lambda: {one["metric"]["job"] for one in asked(client, "up == 1")} == doors, f"both doors: {client.get('/targets').text}")
        until(lambda: asked(client, 'tenure_jobs{state="running"} == 1'), f"the job to run: {home.daemon_log()}")
        until(lambda: len(asked(client, "rate(tenure_loop_turns_total[5m])")) == 2, "a second look by both")
        until(lambda: asked(client, "tenure_gpu_held == 1"), "the GPU to be held")
        empty = {panel: query for panel, query in asked_for().items() if not asked(client, query)}
        assert empty == {}, "queries of the board without data, on a machine that has all of it"
        (held,) = {one["metric"]["uuid"] for one in asked(client, asked_for()["Held GPUs that compute little A"])}
        assert held == "GPU-a"
        assert {one["metric"]["job"] for one in asked(client, "scrape_samples_scraped > 50")} == doors
        told = client.get("/metadata", params={"metric": "tenure_loop_turns"}).json()
        assert told["data"]["tenure_loop_turns"][0]["type"] == "counter"
