"""The picture of machines, GPUs and jobs."""

from __future__ import annotations

import json

from tenure.cli.top import tables
from tenure.model.amounts import GIB, MIB
from tenure.wire.dto import JobsReply, JobView
from tenure.wire.monitoring import ContainerSample, GpuSample, HostSample, ResourcesReply, SamplerView
from tests.unit.cli.conftest import FakeClient, Shell

HOST = HostSample(
    node="box", at_ms=5, utilisation_percent=42.5, cores=8, memory_bytes=16 * GIB, memory_used_bytes=3 * GIB, disk_read_bytes_per_s=0,
    disk_written_bytes_per_s=5 * MIB,
)  # fmt: skip
GPU = GpuSample(uuid="u", index=0, model="A100", node="box", state="in_use", utilisation_percent=93.0, power_mw=310_000, jobs=["7"])
JOB = JobView(id="7", number=7, name="train", state="running", started_ms=1_000, cpu_milli=2000, gpu_milli=1000, on_nodes=["box"])


def reply(**changes: object) -> ResourcesReply:
    fields = {"at_ms": 5, "every_s": 5.0, "hosts": [HOST], "gpus": [GPU], "containers": [], "samplers": []}
    return ResourcesReply(**fields | changes)  # type: ignore[arg-type]


def test_what_is_known_is_shown_and_what_is_not_is_a_dash() -> None:
    machines, gpus, jobs = tables(reply(), [JOB], 0, 61_000)
    assert machines.splitlines()[1].split() == ["box", "healthy", "42.5%", "8", "-", "3G/16G", "0/5M/s", "-", "-"]
    assert gpus.splitlines()[1].split() == ["0", "box", "A100", "in_use", "93%", "-", "-", "310W", "7"]
    assert jobs.splitlines()[1].split() == ["7", "train", "running", "2", "-", "1", "1m", "box"]


def test_what_is_not_there_is_left_out() -> None:
    machines, said = tables(reply(gpus=[]), [], 0, 0)
    assert machines.startswith("MACHINE")
    assert said == "No job runs."


def test_running_containers_and_troubles_are_shown() -> None:
    stopped = ContainerSample(id="1", name="old", image="i", state="exited")
    running = ContainerSample(
        id="2", name="web", image="i", state="running", cpu_percent=12.0, memory_bytes=MIB, read_bytes=0, written_bytes=MIB
    )
    troubled = SamplerView(name="gpus", samples=1, errors=2, pause_s=10, last_error="RuntimeError: gone")
    shown = tables(reply(gpus=[], containers=[stopped, running], samplers=[troubled]), [], 0, 0)
    assert shown[1].splitlines()[1].split() == ["web", "i", "running", "12%", "1M", "-", "0/1M"]
    assert "old" not in "".join(shown)
    assert shown[-1] == "gpus: RuntimeError: gone"


def test_off_a_terminal_one_picture_is_printed(shell: Shell, client: FakeClient) -> None:
    client.answers |= {"jobs": JobsReply(jobs=[JOB], revision=1), "resources": reply()}
    done = shell("top")
    assert (done.code, done.err) == (0, "")
    assert done.out.count("box") == 3
    found = json.loads(shell("top", "--json").out)
    assert found["hosts"][0]["load_1m"] is None
    assert [job["id"] for job in found["jobs"]] == ["7"]


def test_a_pause_that_is_none_is_refused(shell: Shell) -> None:
    done = shell("top", "--every", "soon")
    assert done.code == 2
    assert "--every" in done.err
