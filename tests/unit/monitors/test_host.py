"""The look at the machine: what is a difference of two looks, what makes a state, what is absent."""

from __future__ import annotations

import os
from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tenure.monitors import host
from tenure.monitors.host import HostSampler, state_of
from tenure.wire.monitoring import HostSample

Times = namedtuple("Times", ["user", "system", "idle", "iowait", "guest"])


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A machine whose counters the test sets."""
    shown: dict[str, Any] = {
        "clock": 100.0,
        "cores": [Times(10.0, 0.0, 10.0, 0.0, 0.0), Times(0.0, 0.0, 20.0, 0.0, 0.0)],
        "disk": SimpleNamespace(read_bytes=0, write_bytes=0),
        "network": SimpleNamespace(bytes_recv=0, bytes_sent=0),
    }
    monkeypatch.setattr(host.time, "monotonic", lambda: shown["clock"])
    monkeypatch.setattr(psutil, "cpu_times", lambda **_named: shown["cores"])
    monkeypatch.setattr(psutil, "disk_io_counters", lambda: shown["disk"])
    monkeypatch.setattr(psutil, "net_io_counters", lambda: shown["network"])
    return shown


def test_utilisation_and_rates_are_differences(machine: dict[str, Any]) -> None:
    sampler = HostSampler("box")
    first = sampler.sample(1000)
    assert first.utilisation_percent is None
    assert first.disk_read_bytes_per_s is None
    assert (first.node, first.at_ms, first.cores) == ("box", 1000, 2)
    machine["clock"] += 2.0
    # One core works all the time, part of it for a guest, which is counted twice; the other waits for a disk.
    machine["cores"] = [Times(12.0, 0.0, 10.0, 0.0, 1.0), Times(0.0, 0.0, 20.0, 2.0, 0.0)]
    machine["disk"] = SimpleNamespace(read_bytes=3000, write_bytes=500)
    machine["network"] = SimpleNamespace(bytes_recv=40, bytes_sent=20)
    second = sampler.sample(3000)
    assert second.core_percents == [100.0, 0.0]
    assert second.utilisation_percent == 50.0
    assert (second.disk_read_bytes_per_s, second.disk_written_bytes_per_s) == (1500, 250)
    assert (second.network_received_bytes_per_s, second.network_sent_bytes_per_s) == (20, 10)


def test_a_core_that_goes_or_a_counter_that_turns_back_tells_nothing(machine: dict[str, Any]) -> None:
    sampler = HostSampler("box")
    machine["network"] = SimpleNamespace(bytes_recv=40, bytes_sent=20)
    sampler.sample(0)
    machine["clock"] += 1.0
    machine["cores"] = machine["cores"][:1]
    machine["network"] = SimpleNamespace(bytes_recv=0, bytes_sent=30)
    found = sampler.sample(1000)
    assert found.utilisation_percent is None
    assert found.network_received_bytes_per_s is None


def test_what_cannot_be_read_is_absent_and_hides_nothing_else(machine: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_words: Any, **_named: Any) -> None:
        raise OSError("no such file")

    for name in ("virtual_memory", "cpu_freq", "disk_io_counters", "sensors_temperatures"):
        monkeypatch.setattr(psutil, name, broken)
    monkeypatch.setattr(os, "getloadavg", broken)
    found = HostSampler("box").sample(0)
    assert found.cores == 2
    absent = (found.memory_bytes, found.memory_percent, found.frequency_mhz, found.load_1m, found.temperature_c)
    assert absent == (None,) * 5
    assert found.state == "healthy"


def test_the_hottest_sensor_of_the_processors_counts(machine: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    readings = {"coretemp": [SimpleNamespace(current=61.0), SimpleNamespace(current=88.5)], "nvme": [SimpleNamespace(current=99.0)]}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: readings)
    found = HostSampler("box").sample(0)
    assert found.temperature_c == 88.5
    assert (found.state, found.why) == ("warning", "temperature at 88.5 C")


@pytest.mark.parametrize(
    ("cpu", "memory", "state", "why"),
    [
        (None, None, "healthy", ""),
        (84.9, 20.0, "healthy", ""),
        (85.0, 20.0, "warning", "processors at 85%"),
        (90.0, 95.0, "critical", "memory at 95%"),
        (99.0, 99.0, "critical", "processors at 99%"),
    ],
)
def test_the_worst_figure_makes_the_state(cpu: float | None, memory: float | None, state: str, why: str) -> None:
    assert state_of(HostSample(node="a", at_ms=0, utilisation_percent=cpu, memory_percent=memory)) == (state, why)


def test_this_machine_can_be_looked_at() -> None:
    sampler = HostSampler("here")
    sampler.sample(0)
    found = sampler.sample(1)
    assert found.cores == len(psutil.cpu_times(percpu=True))
    assert found.memory_bytes == psutil.virtual_memory().total
    assert 0 < (found.memory_used_bytes or 0) < found.memory_bytes
