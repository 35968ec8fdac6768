"""The status report and recommendations on a real daemon: what is measured, what is waited for, and commands that do what was said."""

from __future__ import annotations

import contextlib
import http.client
import json
import shlex
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.living import Installation, installation, until

CONFIG = """
[node]
cpus = "2"
memory = "8G"
[monitor]
every = "1s"
[[pretend_nodes]]
name = "far"
cpus = "4"
memory = "16G"
gpus = "2xA100:80G"
"""


@pytest.fixture
def living() -> Iterator[Installation]:
    with installation(CONFIG) as home:
        yield home


def advice(living: Installation) -> dict[str, Any]:
    """The recommendations by kind, once there are any."""

    def look() -> dict[str, Any]:
        return {one["kind"]: one for one in living.json("report", "advice")["recommendations"]}

    return until(look, "a recommendation")


def test_what_runs_have_used_lets_the_next_one_start(living: Installation) -> None:
    """Five measured runs, then one that asks for more memory than is left; typed as it stands, the command starts it."""
    with living.client() as client:
        small = [client.submit(["sleep", "0.3"], name="probe", memory="100M", cpus="0.2").id for _ in range(5)]
        assert client.wait(small, 60).done
        big = client.submit(["sleep", "600"], name="filler", memory="6G", cpus="1", time="1h").id
        client.submit(["sleep", "600"], name="far", memory="14G", cpus="4", time="1h")
        next_one = client.submit(["sleep", "1"], name="probe", memory="7G", cpus="0.2", time="1h").id
    until(lambda: living.state(big) == "running", "the filler to run")
    with followed(living, "hint") as events:
        hint = next(event for event in events if event["kind"] == "hint.given" and event["job"] == next_one)
        check_the_change(living, next_one)
        until(lambda: "less_memory" not in [one["kind"] for one in living.json("report", "advice")["recommendations"]], "the end of it")
        over = next(event for event in events if event["kind"] == "hint.withdrawn")
    assert hint["data"]["kind"] == "less_memory"
    assert hint["data"]["figures"]["runs"] == 5
    assert (over["job"], over["data"]["key"]) == (next_one, hint["data"]["key"])
    assert over["data"]["remedy"] == hint["data"]["remedy"]


def check_the_change(living: Installation, next_one: str) -> None:
    """What is recommended for the job starts it."""
    found = advice(living)["less_memory"]
    assert (found["job"], found["runs"], found["starts_now"]) == (next_one, 5, [next_one])
    assert found["evidence"]["runs"] == 5
    assert found["evidence"]["asked_bytes"] == 7 * 2**30
    assert living.state(next_one) == "pending"
    text = living.cli("report").stdout
    assert found["command"] in text
    assert "memory: by 1 job" in text
    living.cli(*shlex.split(found["command"])[1:])
    until(lambda: living.state(next_one) in ("running", "succeeded"), "the job to start as was said")


def test_a_drained_node_is_named_with_the_command_that_brings_it_back(living: Installation) -> None:
    living.cli("nodes", "drain", "far", "--reason", "a new fan")
    waits = living.submit("--gpus", "2", "--time", "1h", "--", "sleep", "600")
    report = living.json("report")
    assert [(one["resource"], one["job"]) for one in report["bottlenecks"]] == [("node", waits)]
    found = advice(living)["resume_node"]
    assert found["node"] == "far"
    assert "a new fan" in found["text"]
    assert found["starts_now"] == [waits]
    living.cli(*shlex.split(found["command"])[1:])
    until(lambda: living.state(waits) == "running", "the job to start on the node")


def test_the_report_adds_up_and_shows_what_is_used(living: Installation) -> None:
    job = living.submit("--cpus", "1", "--memory", "1G", "--", "sh", "-c", "while :; do :; done")
    until(lambda: living.state(job) == "running", "the job to run")
    report = until(
        lambda: r if "cpu" in (r := living.json("report"))["efficiency"] and r["efficiency"]["cpu"] > 0 else None, "a measured use"
    )
    assert report["running"] == 1
    assert report["pending"] == 0
    kinds = {stock["kind"]: stock for stock in report["available"]}
    for stock in kinds.values():
        assert stock["allocated"] + stock["available"] == stock["offered"]
    assert kinds["cpu"]["allocated"] == 1000
    assert kinds["memory"]["allocated"] == 2**30
    assert kinds["gpu"]["available"] == 2000
    assert 0 < kinds["memory"]["used"] < 2**30
    assert 0 < report["efficiency"]["cpu"] <= 1
    with living.client() as client:
        assert client.thinking.status(advise=False).policy == report["policy"]


def test_reports_of_the_past_in_every_form(living: Installation) -> None:
    job = living.submit("--cpus", "1", "--memory", "1G", "--name", "one", "--", "sleep", "0.5")
    living.cli("wait", job)
    rows = living.json("report", "usage", "--since", "1h")["rows"]
    assert [row["figures"]["jobs"] for row in rows] == [1]
    assert rows[0]["figures"]["cpu_hours"] > 0
    by_day = living.cli("report", "usage", "--by", "day", "--format", "csv").stdout.splitlines()
    assert by_day[0].startswith("day,jobs,gpu_hours")
    assert by_day[-1].startswith("total,1,")
    assert "<title>Tenure: What it cost, by queue</title>" in living.cli("report", "cost", "--by", "queue", "--format", "html").stdout
    assert "declare no price" in living.cli("report", "cost").stdout
    assert "GPU-HOURS" in living.cli("report", "waste", "--by", "project").stdout
    for words, told in (
        (("report", "gossip"), "there is no report"),
        (("report", "usage", "--by", "colour"), "a report is by user"),
        (("report", "usage", "--format", "pdf"), "is not a format"),
        (("report", "status", "--format", "csv"), "comes as a table"),
        (("report", "usage", "--by", "day", "--since", "2000-01-01"), "at most 366 days"),
    ):
        assert told in living.cli(*words, ok=False).stderr


def test_guidance_moves_work_ahead_says_so_and_ends(living: Installation) -> None:
    living.submit("--cpus", "2", "--memory", "7G", "--time", "1h", "--name", "filler", "--", "sleep", "600")
    living.submit("--cpus", "4", "--memory", "15G", "--gpus", "2", "--time", "1h", "--name", "far", "--", "sleep", "600")
    first = living.submit("--cpus", "2", "--time", "1h", "--name", "first", "--", "sleep", "600")
    second = living.submit("--cpus", "2", "--time", "1h", "--name", "second", "--", "sleep", "600")
    until(lambda: living.state("1") == living.state("2") == "running", "both to run")
    given = living.json("guide", "raise", "2", "--name", "second", "--for", "2h", "--note", "the paper")
    assert given["text"] == "jobs of name second count 2 more"
    why = living.cli("why", second).stdout
    assert "by guidance it counts with priority 7 instead of 5" in why
    assert "guidance" not in living.cli("why", first).stdout
    assert "the paper" in living.cli("guide").stdout
    living.kill_daemon()
    living.cli("cancel", "1")
    until(lambda: living.state(second) == "running", "the raised job to start first, by a daemon that starts anew")
    assert living.state(first) == "pending"
    assert "is over" in living.cli("guide", "end", str(given["id"])).stdout
    assert living.cli("guide").stdout == "No guidance stands.\n"
    living.cli("guide", "profile", "fast")
    assert living.json("policy")["policy"] == "portfolio:profile=fast"
    living.cli("guide", "end", "2")
    assert living.json("policy")["policy"] != "portfolio:profile=fast"
    for words, told in (
        (("guide", "shout"), "is nothing to do with guidance"),
        (("guide", "raise", "9", "--name", "x"), "by 3 steps at most"),
        (("guide", "raise", "1", "--name", "x", "--for", "2d"), "at most"),
        (("guide", "end", "7"), "there is no guidance 7"),
    ):
        assert told in living.cli(*words, ok=False).stderr


@contextlib.contextmanager
def followed(living: Installation, topic: str) -> Iterator[Iterator[Any]]:
    """The events of a topic from now on, as they come."""
    with contextlib.closing(http.client.HTTPConnection("tenure", timeout=30)) as connection:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(30)
        with living.client() as client:
            connection.sock.connect(client.admin.status().socket)
        connection.request("GET", f"/api/v1/events?topics={topic}")
        lines = connection.getresponse()
        yield (event for line in iter(lines.readline, b"") if line.startswith(b"data: ") and "kind" in (event := json.loads(line[6:])))


def test_whoever_follows_is_told_how_things_stand(living: Installation) -> None:
    living.up()
    with living.client() as client, followed(living, "scheduling_update") as events:
        job = client.submit(["sleep", "600"], cpus="0.5").id
        told = next(event["data"] for event in events if event["kind"] == "status.report" and event["data"].get("running"))
    assert told["running"] == 1
    assert {stock["kind"]: stock.get("allocated", 0) for stock in told["available"]}["cpu"] == 500
    assert living.state(job) == "running"
