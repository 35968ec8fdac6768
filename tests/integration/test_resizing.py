"""A running job that is left less than it asked for, and who starts beside it: real control groups, a real daemon, kill -9 of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.executors.local.supervisor.detect import own_directories
from tests.require import require
from tests.support.living import Installation, installation, kill, until

CONFIG = """
[node]
cpus = "2"
memory = "1G"
"""
MIB = 1 << 20


@pytest.fixture
def living() -> Iterator[Installation]:
    with installation(CONFIG) as home:
        home.up()
        limits = [check for check in home.json("doctor")["checks"] if check["name"] == "limits"]
        require("cgroups", [check["level"] for check in limits] == ["ok"], f"cpu and memory are not enforced: {limits}")
        yield home


def waiting_for(living: Installation, mark: str) -> tuple[str, ...]:
    """The command of a job that lasts until a file is there."""
    return ("--", "sh", "-c", f"while [ ! -e {mark} ]; do sleep 0.05; done")


def two(living: Installation) -> tuple[str, str]:
    """A job that has the whole machine, and one that waits for half of it."""
    first = living.submit("--cpus", "2", "--memory", "1G", *waiting_for(living, "first"))
    until(lambda: living.state(first) == "running", "the first job to run")
    second = living.submit("--cpus", "1", "--memory", "512M", *waiting_for(living, "second"))
    assert living.state(second) == "pending"
    return first, second


def held(living: Installation, job: str) -> tuple[int, int]:
    """What a job holds: thousandths of a cpu, MiB."""
    task = living.json("show", job)["attempts"][-1]["tasks"][0]
    return task["cpu_milli"], task["memory_bytes"] // MIB


def kept(living: Installation, job: str) -> int:
    """The memory limit in the kernel, in MiB."""
    v1, v2 = own_directories(f"/proc/{living.json('show', job)['attempts'][-1]['tasks'][0]['pid']}")
    path = Path(v1["memory"], "memory.limit_in_bytes") if "memory" in v1 else Path(str(v2), "memory.max")
    return int(path.read_text()) // MIB


def sound(living: Installation) -> None:
    """Every invariant of the store holds."""
    with living.client() as client:
        checks = client.admin.doctor(check_store=True).checks
    assert [check for check in checks if check.name.startswith("store") and check.level == "problem"] == []


def test_what_a_job_gives_back_starts_another_and_comes_back_when_it_is_free(living: Installation) -> None:
    first, second = two(living)
    living.cli("update", first, "--cpus", "0.5", "--memory", "256M")
    until(lambda: living.state(second) == "running", "the second job to run")
    assert (held(living, first), kept(living, first)) == ((500, 256), 256)
    shown = living.cli("show", first).stdout
    assert "0.5 cpus and 256" in shown
    assert "job.resized" in shown
    refused = living.cli("update", first, "--memory", "1G", ok=False)
    assert "cannot have that back now" in refused.stdout + refused.stderr
    above = living.cli("update", first, "--cpus", "3", ok=False)
    assert "3" in above.stdout + above.stderr
    (living.work / "second").touch()
    until(lambda: living.state(second) == "succeeded", "the end of the second job")
    living.cli("update", first, "--memory", "1G")
    until(lambda: kept(living, first) == 1024, "the limit in the kernel")
    assert held(living, first) == (500, 1024)
    sound(living)


def test_a_daemon_that_is_killed_before_it_is_confirmed_frees_nothing_and_asks_again(living: Installation) -> None:
    first, second = two(living)
    supervisor = living.supervisor_pid()
    os.kill(supervisor, signal.SIGSTOP)
    try:
        living.cli("update", first, "--cpus", "0.5", "--memory", "256M")
        assert (held(living, first), living.state(second)) == ((2000, 1024), "pending")
        living.kill_daemon()
    finally:
        os.kill(supervisor, signal.SIGCONT)
    until(lambda: living.state(second) == "running", "the second job to run")
    assert (held(living, first), kept(living, first), living.supervisor_pid()) == ((500, 256), 256, supervisor)
    living.kill_daemon()
    kill(supervisor)
    assert (living.state(first), held(living, first), kept(living, first)) == ("running", (500, 256), 256)
    sound(living)


SHRINKING = """
[monitor]
every = "1s"
[anomalies]
over_asked = { after = "2s", action = "shrink" }
squeezed = { after = "1s" }
"""


def test_who_over_asks_is_lowered_and_has_it_back_when_it_needs_it(living: Installation) -> None:
    living.kill_daemon()
    (living.home / "config.toml").write_text(CONFIG + SHRINKING)
    script = "while [ ! -e work ]; do sleep 0.1; done; while [ ! -e first ]; do :; done"
    first = living.submit("--cpus", "2", "--memory", "1G", "--", "sh", "-c", script)
    second = living.submit("--cpus", "1", "--memory", "512M", *waiting_for(living, "second"))
    until(lambda: living.state(second) == "running", "the second job to run in what the first does not need")
    cpu_milli, mib = held(living, first)
    assert (cpu_milli <= 1000, mib <= 512, kept(living, first) == mib) == (True, True, True)
    assert "over asked" in next(
        event["data"]["why"] for event in living.json("show", first)["events"] if event["kind"] == "job.resizing"
    )
    (living.work / "work").touch()
    (living.work / "second").touch()
    until(lambda: held(living, first)[0] == 2000, "its cpus again")
    (living.work / "first").touch()
    until(lambda: living.state(first) == "succeeded", "its end")
    sound(living)
