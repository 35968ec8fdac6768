"""The look at containers against the real things: Docker's engine and podman's service, which differ in what they tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.model.amounts import MIB
from tenure.monitors.containers import ContainerSampler, ContainersSeen
from tenure.monitors.watch import Watch
from tests.support.engines import RealEngine, disk_under, real_engine
from tests.support.living import until

DIRECT = "busybox dd if=/dev/zero of=/direct bs=1M count=8 oflag=direct"
CACHED = "busybox dd if=/dev/zero of=/cached bs=1M count=24"


@pytest.fixture(params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[RealEngine]:
    with real_engine(request.param) as running:
        yield running


class Onlooker:
    """A watch that looks when it is told to, for the time of the engine's own clock."""

    def __init__(self, engine: RealEngine) -> None:
        self.said: list[str] = []
        self._watch = Watch([ContainerSampler(engine.socket)], 1.0, now_ms=lambda: 0, log=self.said.append)

    def look(self) -> ContainersSeen:
        seen: ContainersSeen = self._watch.look().looks["containers"]
        return seen


def cpu_ticks(engine: RealEngine, number: str) -> int:
    """What the first process of a container has used, in hundredths of a second."""
    pid = json.loads(engine.ask("GET", f"/containers/{number}/json"))["State"]["Pid"]
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def test_a_real_engine_is_watched_while_containers_come_and_go_and_it_dies(engine: RealEngine) -> None:
    onlooker = Onlooker(engine)
    assert onlooker.look().containers == ()
    disk = disk_under(engine.root)
    # Some kernels count storage traffic only where a limit of it is set.
    counted = {"BlkioDeviceWriteBps": [{"Path": disk, "Rate": 1 << 30}]} if disk else {}
    busy = engine.run("busy", f"{DIRECT}; {CACHED}; while :; do :; done", NanoCpus=300_000_000, Memory=64 * MIB, **counted)
    quiet = engine.run("quiet", "exec busybox sleep 600")
    until(lambda: engine.ask("GET", f"/containers/{busy}/logs?stderr=1").count("24+0 records out"), "what it writes")

    onlooker.look()
    before = cpu_ticks(engine, busy)
    until(lambda: cpu_ticks(engine, busy) > before + 15, "half a second of three tenths of a processor")
    found = {one.name: one for one in onlooker.look().containers}
    assert [(one.name, one.state) for one in found.values()] == [("busy", "running"), ("quiet", "running")]
    assert 1 < (found["busy"].cpu_percent or 0) <= 45, "three tenths of a processor, in whole tenths of a second"
    assert (found["quiet"].cpu_percent or 0) < 10
    assert found["busy"].memory_limit_bytes == 64 * MIB
    assert 0 < (found["busy"].memory_bytes or 0) < 16 * MIB, "the files that it wrote could be dropped from memory at once"
    assert found["quiet"].network_sent_bytes is None, "it has no network"
    if disk:
        assert (found["busy"].written_bytes or 0) >= 8 * MIB
        assert found["busy"].read_bytes is not None

    engine.ask("POST", "/containers/busy/stop?t=0")
    engine.kill()
    assert onlooker.look() == ContainersSeen()
    engine.start()
    if json.loads(engine.ask("GET", f"/containers/{quiet}/json"))["State"]["Status"] != "running":
        engine.ask("POST", "/containers/quiet/start")  # Docker's containers end when a killed engine comes back, podman's go on
    ended, again = onlooker.look().containers
    assert (ended.name, ended.state, ended.cpu_percent, ended.memory_bytes) == ("busy", "exited", None, None)
    assert (again.name, again.state) == ("quiet", "running")
    assert (again.memory_bytes or 0) > 0
    assert onlooker.said == [], "an engine that is away is no error"
