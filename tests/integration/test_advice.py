"""Recommendations on a living cluster: each command is typed as it stands, and what was said comes true."""

from __future__ import annotations

import shlex
from typing import Any

from tests.support.living import Installation, installation, until

NODE = """
[[pretend_nodes]]
name = "{name}"
cpus = "4"
memory = "16G"
gpus = "2xA100:80G"
"""
CONFIG = '[node]\ncpus = "1"\nmemory = "1G"\n' + NODE.format(name="a") + NODE.format(name="b")
FOREVER = ["sleep", "600"]


def recommended(living: Installation, kind: str) -> dict[str, Any]:
    """The recommendation of a kind, once there is one."""

    def look() -> dict[str, Any] | None:
        with living.client() as client:
            found = client.thinking.recommendations().recommendations
        return next(({name: getattr(one, name) for name in one.__struct_fields__} for one in found if one.kind == kind), None)

    found = until(look, f"a recommendation {kind}")
    assert found is not None
    return found


def typed(living: Installation, command: str) -> None:
    """Type a command, or two with && between them."""
    for part in command.split(" && "):
        living.cli(*shlex.split(part)[1:])


def test_a_job_that_stands_in_the_way_is_moved_and_both_run() -> None:
    with installation(CONFIG) as living:
        with living.client() as client:
            ids = [client.submit(FOREVER, cpus="0.5", gpus="1", time="2h").id for _ in range(4)]
            until(lambda: all(client.show(job).job.state == "running" for job in ids), "all to run")
            where = {job: client.show(job).job.on_nodes[0] for job in ids}
            gone = [next(job for job in ids if where[job] == node) for node in ("a", "b")]
            client.act("cancel", gone)
            assert client.wait(gone, 60).done
            left = [job for job in ids if job not in gone]
            waits = client.submit(FOREVER, cpus="0.5", gpus="2", time="1h").id
        assert sorted(where[job] for job in left) == ["a", "b"]
        found = recommended(living, "move")
        assert (found["job"] in left, found["starts_now"]) == (True, [waits])
        typed(living, found["command"])
        with living.client() as client:
            until(lambda: all(client.show(job).job.state == "running" for job in (*left, waits)), "both to run")
            places = {job: client.show(job).job.on_nodes for job in (*left, waits)}
        assert places[waits] == [where[found["job"]]]
        assert places[left[0]] == places[left[1]] != places[waits]


def test_a_shorter_limit_lets_a_job_run_before_one_that_needs_more() -> None:
    with installation('[node]\ncpus = "2"\n') as living:
        with living.client() as client:
            runs = [client.submit(["sleep", "0.3"], name="probe", cpus="0.2").id for _ in range(5)]
            assert client.wait(runs, 60).done
            client.submit(FOREVER, name="filler", cpus="1", time="30m")
            client.submit(FOREVER, name="wide", cpus="2", time="1h")
            waits = client.submit(["sleep", "0.5"], name="probe", cpus="1", time="2h").id
        found = recommended(living, "shorter_limit")
        assert (found["job"], found["runs"], found["starts_now"]) == (waits, 5, [waits])
        assert found["evidence"]["asked_ms"] == 2 * 3_600_000
        with living.client() as client:
            assert client.show(waits).job.state == "pending"
            typed(living, found["command"])
            assert client.wait([waits], 60).done
            assert client.show(waits).job.state == "succeeded"


def test_who_may_borrow_starts_on_what_is_idle() -> None:
    project = "[projects.vision]\nquota = { cpus = 1 }\nborrow = "
    with installation(f'[node]\ncpus = "2"\n{project}false\n') as living:
        with living.client() as client:
            first, waits = (client.submit(FOREVER, project="vision", cpus="1", time="1h").id for _ in range(2))
            until(lambda: client.show(first).job.state == "running", "the first to run")
        found = recommended(living, "let_borrow")
        assert (found["project"], found["starts_now"]) == ("vision", [waits])
        assert found["evidence"] == {"setting": "projects.vision.borrow", "value": "true"}
        config = living.home / "config.toml"
        config.write_text(config.read_text().replace("borrow = false", "borrow = true"))
        typed(living, found["command"])
        with living.client() as client:
            until(lambda: client.show(waits).job.state == "running", "the second to borrow")
            assert client.show(first).job.state == "running"
