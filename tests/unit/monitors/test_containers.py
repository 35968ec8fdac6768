"""The look at containers, over a socket that answers like an engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tenure.monitors import containers, unix_http
from tenure.monitors.containers import MOST_FOLLOWED, ContainerSampler, sockets
from tenure.monitors.unix_http import Unanswered, get_json
from tests.support.engine import HANGS_UP, Engine, engine_at

LIST = "/containers/json?all=1"


def stats_of(number: str) -> str:
    return f"/containers/{number}/stats?stream=false&one-shot=true"


def figures(used_ns: int) -> dict[str, object]:
    """As Docker 20.10 tells on control groups of version 1."""
    return {
        "cpu_stats": {"cpu_usage": {"total_usage": used_ns}, "online_cpus": 2},
        "memory_stats": {"usage": 9000, "limit": 100_000, "stats": {"total_inactive_file": 1000}},
        "networks": {"eth0": {"rx_bytes": 10, "tx_bytes": 3}, "eth1": {"rx_bytes": 5, "tx_bytes": 4}},
    }


@pytest.fixture
def engine(tmp_path: Path) -> object:
    with engine_at(tmp_path / "s") as engine:
        yield engine


def test_containers_are_listed_with_figures_of_the_running_ones(engine: Engine) -> None:
    engine.answers[LIST] = [
        {"Id": "b2", "Names": ["/web"], "Image": "nginx", "State": "running"},
        {"Id": "a1", "Names": ["/old"], "Image": "bb:1", "State": "exited"},
    ]
    engine.answers[stats_of("b2")] = figures(2_000_000_000)
    sampler = ContainerSampler(engine.path)
    old, web = sampler.sample(10_000).containers
    assert (old.name, old.state, old.cpu_percent, old.memory_bytes) == ("old", "exited", None, None)
    assert (web.memory_bytes, web.memory_limit_bytes) == (8000, 100_000)
    assert (web.network_received_bytes, web.network_sent_bytes) == (15, 7)
    assert web.cpu_percent is None  # one look tells no rate
    engine.answers[stats_of("b2")] = figures(4_500_000_000)
    assert sampler.sample(15_000).containers[1].cpu_percent == 50.0


def test_what_an_engine_does_not_tell_is_absent(engine: Engine) -> None:
    engine.answers[LIST] = [{"Id": "a", "Names": None, "State": "running"}]
    engine.answers[stats_of("a")] = {"memory_stats": {}, "cpu_stats": {}}
    (found,) = ContainerSampler(engine.path).sample(0).containers
    assert (found.cpu_percent, found.memory_bytes, found.network_sent_bytes, found.name) == (None, None, None, "")


def test_podmans_gaps_are_filled(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its memory has no parts, and of a network that it does not count it tells zeros."""
    stats = {
        "read": "2026-11-22T19:24:31.747781136Z",
        "cpu_stats": {"cpu_usage": {"total_usage": 1_000_000_000}},
        "memory_stats": {"usage": 9_000, "limit": 100_000},
        "networks": {"network": {"rx_bytes": 0, "tx_bytes": 0}},
        "blkio_stats": {
            "io_service_bytes_recursive": [{"op": "Read", "value": 3}, {"op": "write", "value": 5}, {"op": "Total", "value": 8}]
        },
    }
    monkeypatch.setattr(containers, "_group_of", lambda _path, _number: str(tmp_path))
    (tmp_path / "memory.stat").write_text("cache 4000\ntotal_inactive_file 2500\n")
    engine.answers[LIST] = [{"Id": "a", "Names": ["/web"], "State": "running"}]
    engine.answers[stats_of("a")] = stats
    sampler = ContainerSampler(engine.path)
    (found,) = sampler.sample(0).containers
    assert (found.memory_bytes, found.network_sent_bytes, found.read_bytes, found.written_bytes) == (6_500, None, 3, 5)
    (tmp_path / "memory.stat").unlink()
    stats |= {"read": "2026-11-22T19:24:33.747Z", "cpu_stats": {"cpu_usage": {"total_usage": 2_000_000_000}}}
    (found,) = sampler.sample(9_999_999).containers
    assert (found.memory_bytes, found.cpu_percent) == (9_000, 50.0), "by the engine's clock, not by ours"


def test_the_control_group_of_a_container_is_that_of_its_first_process(engine: Engine) -> None:
    own = Path("/proc/self/cgroup").read_text().splitlines()[-1].split(":", 2)[2]
    for number, pid in ((own, os.getpid()), ("in-no-group", os.getpid()), ("ended", 0)):
        engine.answers[f"/containers/{number}/json"] = {"State": {"Pid": pid}}
    assert containers._group_of(engine.path, own).startswith("/sys/fs/cgroup/")
    assert [containers._group_of(engine.path, one) for one in ("in-no-group", "ended", "nobody")] == ["", "", ""]


def test_a_container_that_ends_between_list_and_look_is_listed(engine: Engine) -> None:
    engine.answers[LIST] = [{"Id": "gone", "Names": ["/gone"], "State": "running"}]
    (found,) = ContainerSampler(engine.path).sample(0).containers
    assert (found.name, found.memory_bytes) == ("gone", None)


def test_who_is_hung_up_on_costs_the_others_nothing(engine: Engine) -> None:
    engine.answers[LIST] = [{"Id": number, "Names": [f"/{number}"], "State": "running"} for number in ("a", "b", "c")]
    engine.answers |= {stats_of("a"): figures(5), stats_of("b"): HANGS_UP, stats_of("c"): figures(5)}
    found = ContainerSampler(engine.path).sample(0).containers
    assert [one.memory_bytes for one in found] == [8000, None, 8000]


def test_the_cost_is_bounded(engine: Engine) -> None:
    engine.answers[LIST] = [{"Id": f"{n:04}", "Names": [f"/{n:04}"], "State": "running"} for n in range(MOST_FOLLOWED + 9)]
    assert len(ContainerSampler(engine.path).sample(0).containers) == MOST_FOLLOWED + 9
    assert len(engine.asked) == 1 + MOST_FOLLOWED


def test_no_engine_is_no_error(tmp_path: Path) -> None:
    found = ContainerSampler(str(tmp_path / "nobody")).sample(0)
    assert (found.engine, found.containers) == ("", ())


def test_an_engine_that_answers_nonsense_is_one(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = ContainerSampler(engine.path)
    for answer, said in (
        (b"SSH-2.0\r\n\r\n", "speaks no HTTP"),
        (b"HTTP/1.0 500 Oh\r\n\r\nno daemon", "no daemon"),
        (b"HTTP/1.0 200 OK\r\n\r\n{", "no JSON"),
    ):
        engine.answers[LIST] = answer
        with pytest.raises(Unanswered, match=said):
            sampler.sample(0)
    monkeypatch.setattr(unix_http, "MOST_BYTES", 10)
    with pytest.raises(Unanswered, match="larger"):
        sampler.sample(0)


def test_who_does_not_answer_is_given_up(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        deaf.listen(1)
        with pytest.raises(Unanswered, match="no answer within"):
            get_json(str(tmp_path / "deaf"), "/", 0.05)


def test_where_an_engine_is_looked_for() -> None:
    assert sockets("/my.sock") == ["/my.sock"]
    usual = sockets("auto", {"XDG_RUNTIME_DIR": "/run/user/7"})
    assert usual[:2] == ["/var/run/docker.sock", "/run/podman/podman.sock"]
    assert "/run/user/7/podman/podman.sock" in usual
    assert sockets("auto", {"DOCKER_HOST": "unix:///x.sock"})[0] == "/x.sock"
    assert sockets("auto", {"DOCKER_HOST": "tcp://elsewhere:2375"})[0] == "/var/run/docker.sock"
