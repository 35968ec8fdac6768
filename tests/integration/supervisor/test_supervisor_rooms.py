"""Tasks that take over each other's room: one at a time, in order, and handed back when their turn does not come."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.integration.supervisor.node import GRACE_MS, Node, alive, until

PATIENT_MS = 600_000


def relay(node: Node, room: int, *scripts: str, first: int = 0, wait_ms: int = PATIENT_MS, **fields: Any) -> None:
    """Launch shell scripts in one room: attempts ``first`` (the room's number by default) and those after it."""
    shared = {"env": {"PATH": os.environ["PATH"]}, "cwd": str(node.root), "grace_ms": GRACE_MS, "room": room, "wait_ms": wait_ms}
    tasks = [
        {"template": "t", "attempt": (first or room) + place, "argv": ["sh", "-c", script]} for place, script in enumerate(scripts)
    ]
    node.ask("launch", fence=1, templates={"t": {**shared, **fields}}, tasks=tasks)


def alive_states(node: Node) -> dict[int, str]:
    return {task["attempt"]: task["state"] for task in node.ask("list")["tasks"]}


def returned(node: Node, attempt: int) -> dict[str, Any]:
    rejection = node.wait("rejected", attempt)
    assert (rejection["code"], rejection["fault"]) == ("returned", "node")
    assert node.kinds(attempt) == ["rejected"]
    return rejection


def test_they_run_one_after_another_in_order(any_node: Node) -> None:
    line = "test ! -e busy && touch busy && echo {} >> order && rm busy"
    relay(any_node, 10, *(line.format(number) for number in range(6)))
    for attempt in range(10, 16):
        assert any_node.wait("exited", attempt)["exit_code"] == 0, "two of them ran side by side"
    assert (any_node.root / "order").read_text().split() == list("012345")
    assert any_node.ask("list")["tasks"] == []


def test_rooms_do_not_wait_for_each_other(node: Node) -> None:
    relay(node, 10, "sleep 600", "true")
    relay(node, 20, "true", "true")
    assert node.wait("exited", 21)["exit_code"] == 0
    assert alive_states(node) == {10: "running", 11: "waiting"}


def test_a_leftover_of_the_one_before_keeps_the_room(node: Node) -> None:
    relay(node, 10, "trap '' TERM; (trap '' TERM; echo $$ > left; exec sleep 600) & until test -s left; do :; done", "true")
    node.wait("exited", 10)
    node.wait("emptied", 10)
    node.wait("exited", 11)
    kinds = [(record["kind"], record["attempt"]) for record in node.collect()]
    assert kinds.index(("emptied", 10)) < kinds.index(("started", 11))


def test_who_waits_too_long_is_handed_back(node: Node) -> None:
    relay(node, 10, "sleep 600", "true", "true", wait_ms=50)
    assert "too long" in returned(node, 11)["why"]
    returned(node, 12)
    assert alive_states(node) == {10: "running"}
    relay(node, 10, "true", first=13)
    assert alive_states(node) == {10: "running", 13: "waiting"}, "one that comes later has patience of its own"


def test_one_that_cannot_start_leaves_the_room_to_the_next(node: Node) -> None:
    relay(node, 10, "true", "true", cwd="/nowhere")
    relay(node, 10, "true", first=12)
    assert node.wait("exited", 12)["exit_code"] == 0
    assert [node.wait("rejected", attempt)["code"] for attempt in (10, 11)] == ["cwd_missing"] * 2


@pytest.mark.parametrize("action", ["stop", "kill", "suspend"])
def test_who_is_stopped_is_followed_by_nobody(node: Node, action: str) -> None:
    relay(node, 10, "sleep 600", "true", "true")
    node.wait("started", 10)
    node.signal(10, action)
    returned(node, 11)
    returned(node, 12)


def test_a_stop_of_one_that_waits_hands_back_that_one_alone(node: Node) -> None:
    relay(node, 10, "until test -e go; do sleep 0.01; done", "true", "true")
    assert "missing" not in node.signal(11, "stop", reason="cancelled")
    assert returned(node, 11)["why"] == "cancelled"
    (node.root / "go").touch()
    assert node.wait("exited", 12)["exit_code"] == 0


def test_a_limit_reaches_one_that_waits(node: Node) -> None:
    relay(node, 10, "until test -e go; do sleep 0.01; done", "sleep 600")
    assert "missing" not in node.signal(11, "limit", limit_ms=50)
    assert "missing" not in node.signal(11, "resume")
    (node.root / "go").touch()
    assert node.wait("exited", 11)["reason"] == "timeout"


def test_sent_twice_they_wait_once(node: Node) -> None:
    relay(node, 10, "until test -e go; do sleep 0.01; done", "echo >> ran")
    relay(node, 10, "until test -e go; do sleep 0.01; done", "echo >> ran", "echo >> ran")
    assert alive_states(node) == {10: "running", 11: "waiting", 12: "waiting"}
    (node.root / "go").touch()
    node.wait("exited", 12)
    assert (node.root / "ran").read_text() == "\n\n"


def test_a_supervisor_that_dies_forgets_them_and_keeps_the_room(node: Node) -> None:
    scripts = ("until test -e go; do sleep 0.01; done", "echo >> ran")
    relay(node, 10, *scripts)
    pid = node.wait("started", 10)["pid"]
    node.kill9()
    node.start()
    assert alive_states(node) == {10: "running"}
    relay(node, 10, *scripts)
    assert alive_states(node) == {10: "running", 11: "waiting"}, "who still runs has the room"
    assert alive(pid)
    (node.root / "go").touch()
    assert node.wait("exited", 11)["exit_code"] == 0
    assert (node.root / "ran").read_text() == "\n"


def test_a_supervisor_that_is_to_leave_hands_them_back(node: Node) -> None:
    relay(node, 10, "until test -e go; do sleep 0.01; done", "true")
    node.wait("started", 10)
    assert node.process is not None
    node.process.terminate()
    returned(node, 11)
    (node.root / "go").touch()
    process = node.process
    until(lambda: process.poll() is not None, "the supervisor to leave")
