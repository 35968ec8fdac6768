"""Jobs that tell of their checkpoints, by the SDK and from a shell: who loses least goes, and a killed daemon forgets nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.support.living import Installation, installation, kill, until

CONFIG = """
[node]
cpus = "2"
[monitor]
every = "1s"
[plan]
policy = "preemptive"
preempt_min_run = "0s"
"""
SAVING = """
import os, signal, time, tenure
signal.signal(signal.SIGTERM, signal.SIG_DFL)  # measuring coverage ends by it
tenure.should_preempt()
open("runs", "a").write(tenure.last_checkpoint() + ";")
while not tenure.should_preempt() and not os.path.exists("finish"):
    time.sleep(0.02)
    if os.path.exists("save"):
        os.unlink("save")
        tenure.checkpointed("first")
if tenure.should_preempt():
    tenure.checkpointed("on-term")
"""


@pytest.fixture
def living() -> Iterator[Installation]:
    with installation(CONFIG) as home:
        yield home


def told(living: Installation, job: str, run: int = -1) -> int:
    """When a run of the job last told of a checkpoint."""
    attempts = living.json("show", job)["attempts"]
    return int(attempts[run]["checkpoint_ms"]) if attempts else 0


def saving(living: Installation) -> str:
    """A job that saves when it is told, and on TERM; it notes what each of its runs found."""
    job = living.submit("--cpus", "2", "--priority", "low", "--grace", "30s", "--", sys.executable, "-c", SAVING)
    until((living.work / "runs").exists, "the first run")
    (living.work / "save").touch()
    until(lambda: told(living, job) > 0, "the checkpoint")
    return job


def test_a_displaced_job_goes_on_from_what_it_saved_also_when_the_daemon_is_killed(living: Installation) -> None:
    job = saving(living)
    assert "last checkpoint" in living.cli("show", job).stdout
    first = told(living, job)
    kill(living.daemon_pid())
    assert told(living, job) == first
    winner = living.submit("--cpus", "2", "--priority", "critical", "--", "true")
    until(lambda: living.state(winner) == "succeeded", "the winner")
    until(lambda: (living.work / "runs").read_text() == ";on-term;", "the second run")
    attempt = living.json("show", job)["attempts"][0]
    assert attempt["why"].startswith(f"it makes room for job {winner}, of priority 9, and loses ")
    assert attempt["why"].endswith("of work since its last checkpoint")
    until(lambda: told(living, job, 0) > first, "the checkpoint on TERM")
    assert told(living, job) == 0
    (living.work / "finish").touch()
    until(lambda: living.state(job) == "succeeded", "the end")
    until(lambda: not list((living.home / "checkpoints").iterdir()), "its file to go")


def test_who_told_of_a_checkpoint_goes_before_who_did_not(living: Installation) -> None:
    script = "while [ ! -e finish ]; do if [ -e save ]; then touch $TENURE_CHECKPOINT_FILE; fi; sleep 0.05; done"
    other = "while [ ! -e finish ]; do sleep 0.05; done"
    one = living.submit("--cpus", "1", "--priority", "low", "--", "sh", "-c", script)
    two = living.submit("--cpus", "1", "--priority", "low", "--", "sh", "-c", other)
    until(lambda: living.state(one) == living.state(two) == "running", "both to run")
    # Without a word of it the younger one would go: it has lost less.
    until(lambda: living.json("show", two)["job"]["started_ms"] > 0, "its start")
    (living.work / "save").touch()
    until(lambda: told(living, one) > living.json("show", two)["job"]["started_ms"], "the checkpoint")
    winner = living.submit("--cpus", "1", "--priority", "critical", "--", "sh", "-c", other)
    until(lambda: living.state(winner) == "running", "the winner")
    assert (living.state(one), living.state(two)) == ("pending", "running")
    (living.work / "finish").touch()
