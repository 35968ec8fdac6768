"""A living daemon watches the machine it runs on, and says so at every door."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tenure.client import paths
from tests.support.engine import engine_at
from tests.support.living import Installation, installation, until


class UnixConnection(http.client.HTTPConnection):
    """HTTP as anybody would speak it, over the daemon's socket."""

    def __init__(self, path: str) -> None:
        super().__init__("tenure")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def get(living: Installation, path: str) -> Any:
    """What a stranger's client is answered."""
    connection = UnixConnection(paths.daemon_socket(str(living.home)))
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


@pytest.fixture
def watched() -> Iterator[Installation]:
    """An installation that looks every second, at an engine of the test's own too."""
    with installation('[monitor]\nevery = "1s"\n') as living, engine_at(living.home / "engine") as engine:
        engine.answers["/containers/json?all=1"] = [{"Id": "a", "Names": ["/web"], "Image": "i", "State": "exited"}]
        (living.home / "config.toml").write_text(f'[monitor]\nevery = "1s"\ncontainers = "{engine.path}"\n')
        yield living


def test_the_machine_is_watched(watched: Installation) -> None:
    watched.up()
    until(lambda: get(watched, "/api/v1/status/cpu").get("utilisation_percent") is not None, "the second look")
    cpu = get(watched, "/api/resource-scheduler/status/cpu")
    assert cpu["state"] in ("healthy", "warning", "critical")
    assert cpu["cores"] >= 1
    assert get(watched, "/api/resource-scheduler/status/gpu")["gpus"] == []
    found = get(watched, "/api/resource-scheduler/status/containers")
    assert [(one["name"], one["state"]) for one in found["containers"]] == [("web", "exited")]
    job = watched.submit("-J", "watched", "--", "sleep", "60")
    until(lambda: watched.state(job) == "running", "the job to run")
    picture = watched.cli("top", "--once").stdout
    assert cpu["node"] in picture
    assert "watched" in picture
    assert watched.json("top")["samplers"][0]["errors"] == 0


def test_monitoring_can_be_off() -> None:
    with installation('[monitor]\nevery = "0s"\n') as living:
        living.up()
        assert get(living, "/api/v1/status/cpu")["code"] == "not_monitored"
        assert "[monitor]" in living.cli("top", "--once", ok=False).stderr


def test_a_job_is_measured_and_what_it_reports_outlives_the_daemon(watched: Installation) -> None:
    say = r'echo "{\"loss\": %d}" >> "$TENURE_METRICS_FILE"'
    program = f"{say % 3}; while [ ! -e more ]; do :; done; {say % 1}"
    job = watched.submit("--", "sh", "-c", program)
    with watched.client() as client:
        until(
            lambda: {one.name for one in client.monitor.metrics(job).series} >= {"loss", "cpu_percent", "memory_bytes"},
            "figures of both kinds",
        )
        cpu = client.monitor.metrics(job, name="cpu_percent").series[0]
        assert cpu.points[-1].last > 1
        assert not cpu.reported
    watched.kill_daemon()
    (watched.work / "more").touch()
    watched.up()
    with watched.client() as client:
        until(lambda: client.monitor.metrics(job, name="loss").series[0].points[-1].last == 1, "what was written while no daemon lived")
        points = client.monitor.metrics(job, name="loss", step_ms=600_000).series[0].points
        assert sum(point.count for point in points) == 2
    until(lambda: not list((watched.home / "metrics").iterdir()), "the end of a file that was read to its end")
    assert "loss" in watched.cli("show", job, "--metrics").stdout


def test_a_job_that_stalls_is_told_and_ended_as_the_settings_want() -> None:
    rules = '[monitor]\nevery = "1s"\n[anomalies]\nstalled = { after = "1s", action = "kill" }\ncpu = { action = "off" }\n'
    with installation(rules) as living:
        job = living.submit("--", "sh", "-c", 'echo "{\\"throughput\\": 0}" >> "$TENURE_METRICS_FILE"; sleep 600')
        until(lambda: living.state(job) == "cancelled", "the end of the job")
        why = living.cli("why", job).stdout
        assert "stalled: it reports a throughput of 0 a second" in why
        until(lambda: not get(living, "/api/v1/anomalies").get("anomalies"), "the anomaly to be over")
        (past,) = get(living, "/api/v1/anomalies?history=1")["anomalies"]
        assert (past["job"], past["kind"], past["action"], past["evidence"]["throughput"]) == (job, "stalled", "kill", 0.0)
        kinds = [json.loads(line)["kind"] for line in living.cli("events", job, "--json").stdout.splitlines()]
        assert [kind for kind in kinds if kind.startswith("anomaly")] == ["anomaly.opened", "anomaly.closed"]
