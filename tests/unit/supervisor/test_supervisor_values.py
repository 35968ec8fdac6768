"""The supervisor's pure parts: requests, records, timers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tenure.executors.local.supervisor import protocol, records
from tenure.executors.local.supervisor.__main__ import options
from tenure.executors.local.supervisor.protocol import Launch, Refused, Template
from tenure.executors.local.supervisor.records import End
from tenure.executors.local.supervisor.task import Task
from tenure.executors.local.supervisor.timers import KILL, LIMIT, TICK, Timers

TEMPLATE = {"argv": ["prog", "a"], "env": {"A": "1"}, "cwd": "/x", "grace_ms": 7, "memory_bytes": 9, "devices": ["d"]}


def test_a_task_takes_what_it_does_not_say_from_its_template() -> None:
    template = Template(TEMPLATE)
    launch = Launch({"template": "t", "attempt": 3, "task": 2, "memory_bytes": 11, "stderr": "/e", "env": {"B": "é"}}, template)
    assert (launch.attempt, launch.task, launch.argv) == (3, 2, ["prog", "a"])
    assert (launch.grace_ms, launch.memory_bytes, launch.cpu_milli, launch.time_limit_ms) == (7, 11, 0, 0)
    assert (launch.stdout, launch.stderr, launch.devices) == ("/dev/null", "/e", ("d",))
    assert launch.env == {b"B": "é".encode()}
    assert Launch({"attempt": 3, "argv": ["other"]}, template).argv == ["other"]
    assert Launch({"attempt": 3, "stdout": "/l", "stderr": "/l"}, template).stderr is None


def test_templates_are_interned_per_connection_oldest_out_first() -> None:
    known: dict[str, Template] = {}
    for number in range(protocol.TEMPLATES_KEPT + 5):
        message: dict[str, Any] = {"templates": {f"t{number}": TEMPLATE}, "tasks": [{"template": f"t{number}", "attempt": 1}]}
        assert len(protocol.launches(message, known)) == 1
    assert len(known) == protocol.TEMPLATES_KEPT
    assert "t4" not in known
    with pytest.raises(Refused, match="send it again") as refused:
        protocol.launches({"tasks": [{"template": "t4", "attempt": 1}]}, known)
    assert refused.value.code == "unknown_template"


def test_undecodable_bytes_survive_and_half_characters_are_refused() -> None:
    assert protocol.environment({"A": "\udcff"}) == {b"A": b"\xff"}
    with pytest.raises(Refused, match="must be text"):
        protocol.environment({"A": "\ud800"})


def filled() -> Task:
    task = Task(12, 3, 4)
    task.pid, task.start_ticks, task.started_at_ms = 100, 200, 300
    task.devices = ("GPU-ä",)
    task.log_files = ('/a "quoted"\n', "/b")
    task.stop_reason = 'because "so"'
    return task


def test_every_record_is_json_and_says_what_it_is_about() -> None:
    task = filled()
    lines = [
        records.intent(1, task, 5),
        records.started(2, task),
        records.rejected(3, task, "job", "not_found", 'no "x"', 6),
        records.exited(4, task, End()),
        records.emptied(5, task, 7),
        records.note(6, "suspended", attempt=12, task=3),
    ]
    for seq, line in enumerate(lines, 1):
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        record = records.parsed(line)
        assert record is not None
        assert records.key_of(record) == (12, 3)
        assert (record["seq"], record["kind"]) == (seq, records.kind_of(line).decode())
        assert records.seq_of(line) == seq
        assert records.told(line, seq - 1) == (record["kind"] in ("started", "rejected", "exited", "emptied"))
        assert not records.told(line, seq)
    intent, end = json.loads(lines[0]), json.loads(lines[3])
    assert intent["devices"] == ["GPU-ä"]
    assert intent["logs"] == ['/a "quoted"\n', "/b"]
    assert (end["exit_code"], end["reason"], end["stop_reason"], end["empty"]) == (None, "unknown", 'because "so"', True)


@pytest.mark.parametrize("line", [b"", b"\n", b'{"seq":', b'{"seq":x,"kind":"exited"}', b'{"kind":"exited"}', b"\xff" * 60])
def test_foreign_lines_are_nobodys(line: bytes) -> None:
    assert not records.told(line, 0)
    assert records.parsed(line) is None


class Bell:
    """Remembers what it was set to."""

    def __init__(self) -> None:
        self.times: list[int] = []

    def set(self, at_ms: int) -> None:
        self.times.append(at_ms)


def test_the_alarm_is_set_for_the_earliest_only() -> None:
    bell = Bell()
    timers = Timers(bell)
    task = Task(1, 0, 1)
    timers.add(100, LIMIT, task)
    timers.add(200, KILL, task)
    timers.add(50, TICK, None)
    assert bell.times == [100, 50]
    assert timers.due(49) == []
    assert timers.due(150) == [(TICK, None), (LIMIT, task)]
    assert bell.times[-1] == 200
    assert timers.due(200) == [(KILL, task)]
    assert len(timers) == 0
    timers.add(300, TICK, None)
    assert bell.times[-1] == 300


def test_ended_tasks_ring_no_bell_and_do_not_pile_up() -> None:
    bell = Bell()
    timers = Timers(bell)
    for attempt in range(1000):
        task = Task(attempt, 0, 1)
        timers.add(1_000_000 + attempt, LIMIT, task)
        task.gone = True
        timers.drop(task)
    assert len(timers) < 200
    live = Task(5000, 0, 1)
    timers.add(2_000_000, LIMIT, live)
    assert timers.due(1_500_000) == []
    assert bell.times[-1] == 2_000_000
    assert timers.due(2_000_000) == [(LIMIT, live)]


def test_command_line() -> None:
    assert options(["--home", "/h", "--detach", "--cgroups", "off"]) == {"--home": "/h", "--detach": "yes", "--cgroups": "off"}
    for wrong, message in (
        ([], "--home DIR is required"),
        (["--home"], "lacks its value"),
        (["--what", "1"], "no option"),
        (["--home", "/h", "--cgroups", "on"], "off or auto"),
        (["--home", "/h", "--ready-fd", "x"], "whole number"),
    ):
        with pytest.raises(SystemExit, match=message):
            options(wrong)


def test_a_lease_needs_no_command_but_a_holder() -> None:
    plain = Template({"time_limit_ms": 5})
    launch = Launch({"attempt": 1, "holder": [7, 8], "devices": ["d"]}, plain)
    task = Task.of(launch, 2)
    assert (task.lease, task.adopted, task.pid, task.start_ticks, task.devices) == (True, True, 7, 8, ("d",))
    assert (task.time_limit_ms, task.limit_grace_ms, task.memory_bytes, task.log_files) == (5, 0, 0, ())
    task.started_boot_ms = 11
    assert json.loads(records.intent(1, task, 3))["lease"] is True
    assert json.loads(records.started(1, task))["boot_ms"] == 11
    for holder in (7, [7], [7, -1], ["7", 8], [7, 8, 9], {}):
        with pytest.raises(Refused, match="must be"):
            Launch({"attempt": 1, "holder": holder}, plain)
    assert "lease" not in json.loads(records.started(1, Task(1, 0, 1)))


def test_a_limit_is_counted_from_the_start_or_from_now() -> None:
    left = protocol.Signal({"attempt": 1, "action": "limit", "left_ms": 5})
    assert (left.left_ms, left.limit_ms) == (5, 0)
    assert protocol.Signal({"attempt": 1, "action": "limit", "limit_ms": 6}).limit_ms == 6
    with pytest.raises(Refused, match="limit_ms"):
        protocol.Signal({"attempt": 1, "action": "limit"})
