"""A full machine, a job of high priority, and what becomes of the one that makes room: real processes, a real daemon, kill -9 of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.living import Installation, installation, kill, until

CONFIG = """
[node]
cpus = "2"
[plan]
policy = "preemptive"
preempt_min_run = "0s"
"""


@pytest.fixture
def living() -> Iterator[Installation]:
    with installation(CONFIG) as home:
        yield home


def low(living: Installation, code: str) -> str:
    """A job of low priority on the whole machine that notes its starts; asked to end, it has half a minute and runs ``code``."""
    script = f"trap '{code}' TERM; echo start >> starts; while [ ! -e finish ]; do sleep 0.05; done"
    job = living.submit("--cpus", "2", "--priority", "low", "--grace", "30s", "--", "sh", "-c", script)
    until(lambda: starts(living) == 1, "the first start")
    return job


def starts(living: Installation) -> int:
    """How often the job of low priority has started."""
    path = living.work / "starts"
    return len(path.read_text().split()) if path.exists() else 0


def high(living: Installation) -> str:
    """A job of high priority that needs the whole machine, and ends when it is told."""
    script = "echo high >> order; while [ ! -e enough ]; do sleep 0.05; done"
    return living.submit("--cpus", "2", "--priority", "critical", "-J", "urgent", "--", "sh", "-c", script)


def finish(living: Installation, victim: str, winner: str) -> None:
    """Let the winner end, then the victim, which starts once more; nothing is lost and every invariant holds."""
    (living.work / "enough").touch()
    until(lambda: living.state(winner) == "succeeded", "the end of the winner")
    until(lambda: starts(living) == 2, "the second start")
    (living.work / "finish").touch()
    until(lambda: living.state(victim) == "succeeded", "the end of the victim")
    assert (living.work / "order").read_text().split() == ["high"]
    with living.client() as client:
        checks = client.admin.doctor(check_store=True).checks
    assert [check for check in checks if check.name.startswith("store") and check.level == "problem"] == []


def test_a_job_is_displaced_and_starts_again(living: Installation) -> None:
    victim = low(living, "echo saved >> saved; exit 0")
    before = living.json("show", victim)["job"]
    winner = high(living)
    until(lambda: living.state(winner) == "running", "the winner to run")
    assert (living.work / "saved").read_text().split() == ["saved"]
    shown = living.json("show", victim)
    job, run = shown["job"], shown["attempts"][0]
    assert (job["id"], job["state"], job["submitted_ms"]) == (victim, "pending", before["submitted_ms"])
    assert run["outcome"] == "preempted"
    assert run["why"].startswith(f"it makes room for job {winner}, of priority 9, and loses the ")
    assert "Run 1: preempted" in living.cli("show", victim).stdout
    assert f"its last run was stopped: it makes room for job {winner}" in living.cli("why", victim).stdout
    assert f"job {victim} is stopped: it makes room for job {winner}, of priority 9" in living.daemon_log()
    stopping = [event for event in shown["events"] if event["kind"] == "job.stopping"]
    assert [(event["data"]["reason"], str(event["data"]["for"])) for event in stopping] == [("preempted", winner)]
    finish(living, victim, winner)


def test_a_daemon_that_is_killed_between_the_eviction_and_the_start_loses_nothing(living: Installation) -> None:
    victim = low(living, "until [ -e go ]; do sleep 0.05; done; exit 3")
    supervisor = living.supervisor_pid()
    winner = high(living)
    until(lambda: living.json("show", victim)["job"]["stopping"], "the victim to be stopped")
    assert living.json("show", winner)["job"]["reason"]["code"] == "room_promised"
    assert f"job {victim} leaves to make room for it" in living.cli("why", winner).stdout
    assert f"it makes room for job {winner}" in living.cli("why", victim).stdout
    kill(living.daemon_pid())
    other = living.submit("--cpus", "2", "--priority", "high", "--", "true")
    (living.work / "go").touch()
    until(lambda: living.state(winner) == "running", "the winner to run")
    assert living.supervisor_pid() == supervisor
    assert (living.state(victim), living.state(other)) == ("pending", "pending")
    finish(living, victim, winner)
    assert living.state(other) == "succeeded"
