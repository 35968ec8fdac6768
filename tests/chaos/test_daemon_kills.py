"""kill -9 of the daemon: at every named point, and at random ones under load. No job is lost, none runs twice, exits are kept.

Each job appends one line to a file of its own, so that a second start would be seen, whatever the rows say.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.client.lease_words import lease_request
from tenure.wire.dto import Selection
from tests.chaos.crashing import POINTS
from tests.support.living import Installation, alive, installation, kill, until

pytestmark = pytest.mark.chaos
LEASE_POINTS = ("commit.after", "launch.after", "record.after", "signal.before", "observe.after", "acknowledge.before")
ENDED = {"succeeded", "failed", "cancelled", "timed_out", "lost"}
ROUNDS = 1000 if os.environ.get("TENURE_CHAOS") == "full" else 12


@pytest.fixture
def living() -> Iterator[Installation]:
    with installation('[node]\ncpus = "4"\n') as home:
        yield home


def script(folder: Path, number: int, code: int) -> list[str]:
    """A job that notes its start and ends with a code of its own."""
    return ["sh", "-c", f"echo start >> {folder}/{number}; sleep 0.0{number % 7}; exit {code}"]


def start_crashing(living: Installation, point: str, count: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.chaos.crashing", str(living.home), point, str(count)]
    with (living.home / "crashing.log").open("ab") as log:
        return subprocess.Popen(command, env=living.env, cwd=Path(__file__).parents[2], stdout=log, stderr=log, start_new_session=True)


def check_all(living: Installation, jobs: dict[str, int]) -> None:
    """Every job ended with its own code, ran exactly once, and every invariant of the store holds."""
    with living.client() as client:
        assert client.wait(list(jobs), timeout_s=60).done
        shown = {job.id: job for job in client.jobs(Selection(states=["all"], limit=10_000)).jobs}
        for job, code in jobs.items():
            assert shown[job].state in ENDED, (job, shown[job])
            starts = (living.work / job).read_text().split()
            assert len(starts) == 1, f"job {job} started {len(starts)} times"
            assert shown[job].exit_code == code, (job, shown[job])
        checks = client.admin.doctor(check_store=True).checks
        assert [check for check in checks if check.name.startswith("store") and check.level == "problem"] == []


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_a_named_point_loses_nothing(living: Installation, point: str) -> None:
    crashing = start_crashing(living, point, 2)
    jobs: dict[str, int] = {}
    try:
        for number in range(1, 9):
            if crashing.poll() is not None:
                break
            # A submission that meets the crash is repeated by the client with the same key: still one job.
            with living.client() as client:
                job = client.submit(script(living.work, number, number % 5)).id
            assert job == str(number)
            jobs[job] = number % 5
        if point.startswith("signal"):
            with living.client() as client:
                client.act("cancel", client.submit(["sleep", "30"]).id)
    finally:
        if crashing.poll() is None:
            kill(crashing.pid)
        crashing.wait()
    check_all(living, jobs)


@pytest.mark.parametrize("point", LEASE_POINTS)
def test_a_crash_around_a_lease_leaves_nothing_or_a_lease_that_its_token_ends(living: Installation, point: str) -> None:
    """Each call is repeated by the client until a daemon has answered it, with the key and the token of the first time."""
    crashing = start_crashing(living, point, 2)
    fences: list[int] = []
    try:
        for _ in range(2):
            with living.client() as client:
                request = lease_request(cpus=1, ttl="30s", bound=False, wait="20s")
                held = client.leases.ask(request)
                assert held.phase == "held"
                fences.append(held.fence)
                assert client.leases.renew(held.number, request.token, 20_000).fence == held.fence
                assert client.leases.release(held.number, request.token).phase == "over"
    finally:
        if crashing.poll() is None:
            kill(crashing.pid)
        crashing.wait()
    assert fences == sorted(set(fences))
    with living.client() as client:
        assert client.leases.open() == []
    check_all(living, {})


def test_kills_at_random_points_under_load(living: Installation) -> None:
    chance = random.Random(5)
    jobs: dict[str, int] = {}
    number = 0
    for _ in range(ROUNDS):
        with living.client() as client:
            pid = client.admin.status().pid
            for _ in range(4):
                number += 1
                job = client.submit(script(living.work, number, number % 5)).id
                jobs[job] = number % 5
                assert job == str(number)
        deadline = time.monotonic() + chance.random() * 0.08
        until(lambda deadline=deadline: time.monotonic() >= deadline, "a random moment")
        kill(pid)
    check_all(living, jobs)


def test_a_running_job_outlives_the_daemon_and_its_exit_is_kept(living: Installation) -> None:
    job = living.submit("--", "sh", "-c", "sleep 1; exit 9")
    before = until(lambda: living.json("show", job)["job"].get("started_ms"), "the start")
    living.kill_daemon()
    ps = living.json("ps", "-a")["jobs"][0]
    assert ps["started_ms"] == before
    assert living.cli("wait", job, ok=None).returncode == 9


def test_limits_hold_while_no_daemon_lives(living: Installation) -> None:
    marker = living.work / "pid"
    job = living.submit("--time", "1s", "--", "sh", "-c", f"echo $$ > {marker}; exec sleep 60")
    until(lambda: marker.exists() and marker.read_text().strip(), "the task")
    living.kill_daemon()
    pid = int(marker.read_text())
    until(lambda: not alive(pid), "the time limit")
    living.up()
    until(lambda: living.state(job) == "timed_out", "the record of the time-out")


def test_kill_of_the_supervisor_leaves_tasks_and_their_end_is_unknown(living: Installation) -> None:
    marker, go = living.work / "pid", living.work / "go"
    job = living.submit("--", "sh", "-c", f"echo $$ > {marker}; until [ -e {go} ]; do sleep 0.05; done; exit 4")
    until(lambda: marker.exists() and marker.read_text().strip(), "the task")
    living.kill_supervisor()
    pid = int(marker.read_text())
    assert alive(pid)
    assert living.state(job) == "running"
    go.touch()
    after = living.submit("--", "true")
    living.cli("wait", after)
    living.cli("wait", job, ok=None)
    shown = living.json("show", job)["job"]
    assert shown["state"] == "lost"
    assert shown["end_reason"] == "unknown"
    assert shown.get("exit_code") is None
