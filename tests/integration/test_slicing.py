"""Two jobs that want the same cpu take turns: real processes that stand still and go on, a real daemon, kill -9 in the middle of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.living import Installation, installation, kill, until

CONFIG = """
[node]
cpus = "1"
[plan]
policy = "time_slicing"
slice = "1s"
"""
COUNTING = "n=0; while [ ! -e enough-{0} ]; do n=$((n+1)); echo $n > {0}; sleep 0.02; done; echo {0} >> order"


@pytest.fixture
def living() -> Iterator[Installation]:
    with installation(CONFIG) as home:
        yield home


def count(living: Installation, name: str) -> int:
    """How far a job has counted; -1 before it has begun, and while it writes."""
    path = living.work / name
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text else -1


def counter(living: Installation, name: str) -> str:
    """A job that counts until it is told that it is enough; what it has counted it has in memory alone."""
    return living.submit("--cpus", "1", "-J", name, "--", "sh", "-c", COUNTING.format(name))


def turns(living: Installation, job: str) -> list[str]:
    """The events that begin and end the job's turns."""
    kinds = ("job.running", "job.suspended", "job.rests", "job.resumed")
    with living.client() as client:
        return [event.kind for event in client.show(job).events if event.kind in kinds]


def why(living: Installation, job: str) -> str:
    """What is said of a job."""
    with living.client() as client:
        return client.why(job).summary


def finish(living: Installation, *jobs: tuple[str, str]) -> None:
    """Let the jobs end, each in its turn and at its first run; every invariant holds."""
    for name, _ in jobs:
        (living.work / f"enough-{name}").touch()
    with living.client() as client:
        client.wait([job for _, job in jobs], timeout_s=30)
        shown = [client.show(job) for _, job in jobs]
    assert [(detail.job.state, len(detail.attempts)) for detail in shown] == [("succeeded", 1)] * len(jobs)
    assert sorted((living.work / "order").read_text().split()) == sorted(name for name, _ in jobs)
    sound(living)


def sound(living: Installation) -> None:
    """Nothing is wrong with the store."""
    with living.client() as client:
        checks = client.admin.doctor(check_store=True).checks
    assert [check for check in checks if check.name.startswith("store") and check.level == "problem"] == []


def test_two_jobs_on_one_cpu_alternate_and_both_end(living: Installation) -> None:
    one, two = counter(living, "one"), counter(living, "two")
    until(lambda: turns(living, one)[:4] == ["job.running", "job.suspended", "job.rests", "job.resumed"], "the first job's second turn")
    assert turns(living, two)[:3] == ["job.running", "job.suspended", "job.rests"]
    sound(living)
    before = count(living, "one")
    until(lambda: count(living, "one") > before, "the first job to count on where it was")
    until(lambda: "it has had its turn" in why(living, one), "the first job to rest once more")
    finish(living, ("one", one), ("two", two))


def test_a_daemon_that_is_killed_in_the_middle_of_a_change_of_turns_loses_nothing(living: Installation) -> None:
    one = counter(living, "one")
    until(lambda: count(living, "one") > 0, "the first job to count")
    two = counter(living, "two")
    supervisor = living.supervisor_pid()
    until(lambda: "job.suspended" in turns(living, one), "the first job to be suspended")
    kill(living.daemon_pid())
    living.up()
    assert living.supervisor_pid() == supervisor
    until(lambda: count(living, "two") > 0, "the second job's turn")
    kill(living.daemon_pid())
    living.up()
    until(lambda: "job.resumed" in turns(living, one), "the first job's second turn")
    sound(living)
    finish(living, ("one", one), ("two", two))
