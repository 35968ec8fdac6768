"""kill -9 of the supervisor: tasks go on, are adopted, keep their limits, and are never started twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.executors.local.connection import SupervisorError, ensure_supervisor, socket_path
from tests.integration.supervisor import trees
from tests.integration.supervisor.node import Node, alive, environment, pid_in, require_cgroups, until

pytestmark = pytest.mark.chaos


@pytest.fixture(params=["auto", "off"])
def node(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Node]:
    """A running supervisor, once with and once without control groups."""
    node = Node(tmp_path, "--cgroups", request.param)
    try:
        yield node.start()
    finally:
        node.close()


def journal_of(node: Node) -> Path:
    return node.home / "node" / "journal.jsonl"


def test_a_task_goes_on_and_its_end_is_unknown(node: Node, tmp_path: Path) -> None:
    node.launch(1, "sh", "-c", "while [ ! -e go ]; do sleep 0.02; done; echo done > result; exit 3")
    start = node.wait("started", 1)
    node.kill9()
    assert alive(start["pid"])
    node.start()
    assert node.wait("started", 1) == start, "the same process, told again"
    assert node.ask("list")["tasks"][0]["adopted"]
    (tmp_path / "go").touch()
    end = node.wait("exited", 1)
    assert (end["reason"], end["exit_code"], end["signal"]) == ("unknown", None, None)
    assert "exit code" in end["why"]
    assert (tmp_path / "result").read_text() == "done\n"
    until(lambda: node.ask("list")["tasks"] == [], "it to be forgotten")


def test_a_task_that_ended_meanwhile_is_unknown(node: Node) -> None:
    node.launch(1, "sleep", "60")
    pid = node.wait("started", 1)["pid"]
    node.kill9()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid), "its end")
    node.start()
    end = node.wait("exited", 1)
    assert (end["reason"], end["exit_code"], end["empty"]) == ("unknown", None, True)
    assert end["wall_ms"] is not None


def test_an_end_that_was_recorded_is_kept(node: Node) -> None:
    node.launch(1, "sh", "-c", "exit 3")
    end = node.wait("exited", 1)
    node.kill9()
    node.start()
    assert node.wait("exited", 1) == end
    node.launch(1, "true")
    assert node.kinds(1) == ["started", "exited", "started", "exited"], "told again, not run again"
    assert node.records[-1] == end


def test_nothing_is_started_twice(node: Node, tmp_path: Path) -> None:
    node.launch(1, "sh", "-c", "echo ran >> runs; exec sleep 60")
    node.wait("started", 1)
    until((tmp_path / "runs").exists, "its run")
    for _ in range(2):
        node.kill9()
        node.start()
        node.launch(1, "sh", "-c", "echo ran >> runs; exec sleep 60")
        node.wait("started", 1)
    assert (tmp_path / "runs").read_text() == "ran\n"


def test_the_time_limit_still_holds(node: Node, tmp_path: Path) -> None:
    node.script(1, trees.STAYS.format(path=str(tmp_path / "stray")), time_limit_ms=2_000)
    stray = pid_in(tmp_path / "stray")
    node.kill9()
    node.start()
    end = node.wait("exited", 1)
    assert (end["reason"], end["exit_code"]) == ("timeout", None)
    node.wait("emptied", 1)
    assert not alive(stray)


def test_a_limit_that_passed_while_nobody_watched(node: Node) -> None:
    node.launch(1, "sleep", "60", time_limit_ms=300)
    pid = node.wait("started", 1)["pid"]
    node.kill9()
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    until(lambda: float(Path("/proc/uptime").read_text().split()[0]) > uptime + 0.4, "the limit to pass")
    assert alive(pid)
    node.start()
    assert node.wait("exited", 1)["reason"] == "timeout"


def test_a_changed_limit_still_holds(node: Node) -> None:
    node.launch(1, "sleep", "60", time_limit_ms=60_000)
    node.launch(2, "sleep", "60", time_limit_ms=400)
    node.launch(3, "sleep", "60")
    for attempt in (1, 2, 3):
        node.wait("started", attempt)
    node.signal(3, "suspend")
    node.signal(1, "limit", limit_ms=1_500)
    node.signal(2, "limit", limit_ms=3_600_000)
    node.signal(3, "limit", limit_ms=7_200_000)
    before = {task["attempt"]: task for task in node.ask("list")["tasks"]}
    node.kill9()
    node.start()
    after = {task["attempt"]: task for task in node.ask("list")["tasks"]}
    assert [after[one]["time_limit_ms"] for one in (1, 2, 3)] == [1_500, 3_600_000, 7_200_000]
    assert after[2]["deadline_boot_ms"] == before[2]["deadline_boot_ms"]
    assert after[3]["state"] == "suspended"
    end = node.wait("exited", 1)
    assert (end["reason"], end["exit_code"]) == ("timeout", None)
    assert node.kinds(2) == ["started"], "its first limit has passed"
    node.signal(3, "resume")
    node.signal(3, "limit", limit_ms=1)
    assert node.wait("exited", 3)["reason"] == "timeout"


def test_a_stop_goes_on(node: Node, tmp_path: Path) -> None:
    node.script(1, trees.DEAF_FAMILY.format(path=str(tmp_path / "last")))
    last = pid_in(tmp_path / "last")
    node.signal(1, "stop", reason="cancelled", grace_ms=600)
    node.kill9()
    node.start()
    end = node.wait("exited", 1)
    assert (end["reason"], end["stop_reason"]) == ("stopped", "cancelled")
    until(lambda: not alive(last), "the last of the family")


def test_a_suspended_task_stays_suspended(node: Node, tmp_path: Path) -> None:
    node.launch(1, "sh", "-c", "while [ ! -e go ]; do sleep 0.02; done; touch went", time_limit_ms=60_000)
    node.wait("started", 1)
    node.signal(1, "suspend")
    (tmp_path / "go").touch()
    node.kill9()
    node.start()
    assert node.ask("list")["tasks"][0]["state"] == "suspended"
    node.launch(2, "sleep", "0.3")
    node.wait("exited", 2)
    assert not (tmp_path / "went").exists()
    node.signal(1, "resume")
    node.wait("exited", 1)
    assert (tmp_path / "went").exists()


def test_leftovers_of_a_task_that_ended_before_are_ended(node: Node, tmp_path: Path) -> None:
    node.script(1, trees.LEAVES_ONE_BEHIND.format(path=str(tmp_path / "stray")), grace_ms=1_000)
    stray = pid_in(tmp_path / "stray")
    assert node.wait("exited", 1)["empty"] is False
    node.kill9()
    assert alive(stray)
    node.start()
    node.wait("emptied", 1)
    assert not alive(stray)
    assert node.kinds(1).count("exited") == 1


def test_an_intent_without_start_is_adopted_or_unknown(node: Node) -> None:
    node.launch(1, "sleep", "60")
    node.launch(2, "sleep", "60")
    one, two = node.wait("started", 1)["pid"], node.wait("started", 2)["pid"]
    node.kill9()
    os.kill(two, signal.SIGKILL)
    until(lambda: not alive(two), "its end")
    lines = [line for line in journal_of(node).read_text().splitlines() if '"kind":"started"' not in line]
    journal_of(node).write_text("\n".join(lines) + "\n")
    node.start()
    assert node.wait("started", 1)["pid"] == one
    end = node.wait("exited", 2)
    assert (end["reason"], end["started_at_ms"]) == ("unknown", None)
    assert "may have run" in end["why"]


def test_another_process_with_the_same_pid_is_not_adopted(node: Node) -> None:
    node.launch(1, "sleep", "60")
    start = node.wait("started", 1)
    node.kill9()
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    until(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) > (start["start_ticks"] + 2) * tick_s, "a later tick of the kernel")
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        lines = [json.loads(line) for line in journal_of(node).read_text().splitlines()]
        told = [{**line, "pid": stranger.pid} if line["kind"] == "started" else line for line in lines]
        journal_of(node).write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in told))
        node.start()
        assert node.wait("exited", 1)["reason"] == "unknown"
        assert alive(stranger.pid)
        until(lambda: not alive(start["pid"]), "the task itself, found by its tag and ended as a leftover")
    finally:
        stranger.kill()
        stranger.wait()


def test_tasks_of_an_earlier_boot_are_gone(node: Node) -> None:
    node.launch(1, "sleep", "60")
    pid = node.wait("started", 1)["pid"]
    boot = node.line.hello["boot_id"]
    node.kill9()
    journal_of(node).write_text(journal_of(node).read_text().replace(boot, "another boot"))
    os.kill(pid, signal.SIGKILL)
    node.start()
    end = node.wait("exited", 1)
    assert (end["reason"], end["why"], end["empty"]) == ("unknown", "the machine restarted", True)


def test_a_torn_and_spoiled_journal_never_blocks_the_start(node: Node) -> None:
    node.launch(1, "sleep", "60")
    pid = node.wait("started", 1)["pid"]
    node.kill9()
    with journal_of(node).open("ab") as file:
        file.write(b'\x00\xff garbage\n{"seq":"x","kind":3}\n[1]\n{"seq":900,"kind":"started","attempt":"no"}\n{"seq":12,"kind":"exi')
    node.start()
    assert node.wait("started", 1)["pid"] == pid
    assert node.ask("stats")["journal_bad_lines"] == 4
    node.launch(2, "true")
    assert node.wait("exited", 2)["seq"] > 900
    node.kill9()
    node.start()
    assert node.wait("exited", 2)["exit_code"] == 0, "what was written after the torn line is readable"


def test_out_of_memory_is_still_known_after_adoption(node: Node, tmp_path: Path) -> None:
    if node.options[-1] == "off":
        node.script(1, _grows(tmp_path), memory_bytes=64 << 20)
        expected = "oom_sampled"
    else:
        require_cgroups(node)
        node.script(1, _grows(tmp_path), memory_bytes=64 << 20)
        expected = "oom"
    node.wait("started", 1)
    node.kill9()
    node.start()
    (tmp_path / "go").touch()
    assert node.wait("exited", 1)["reason"] == expected


def _grows(folder: Path) -> str:
    return (
        f"import os, time\nwhile not os.path.exists({str(folder / 'go')!r}): time.sleep(0.02)\nx = bytearray(200 << 20)\ntime.sleep(60)"
    )


def test_seq_only_grows_across_restarts_and_compaction(node: Node) -> None:
    node.launch(1, "sleep", "60")
    node.wait("started", 1)
    highest = 0
    template = {"argv": ["true"], "env": {"PATH": os.environ["PATH"], "A": "a"}, "cwd": "/"}
    for round_ in range(3):
        first = 10 + round_ * 1000
        node.ask("launch", fence=1, templates={"t": template}, tasks=[{"template": "t", "attempt": first + i} for i in range(800)])
        node.wait("exited", first + 799)
        until(lambda: node.ask("stats")["live"] == 1, "all of them")
        last = max(record["seq"] for record in node.collect())
        assert last > highest
        highest = last
        node.ask("ack", seq=last)
        node.kill9()
        node.start()
        assert node.line.hello["next_seq"] > highest
    assert journal_of(node).stat().st_size < 1 << 20, "acknowledged records are compacted away"
    assert node.ask("list")["tasks"][0]["adopted"]


def test_the_detached_supervisor_survives_its_starters_group(tmp_path: Path) -> None:
    home = tmp_path / "home"
    options = ("--cgroups", "off", "--device-locks", str(tmp_path / "locks"))
    program = (
        "import os, sys, time\nfrom tenure.executors.local.connection import SupervisorError, ensure_supervisor, socket_path\n"
        f"connection = ensure_supervisor({str(home)!r}, *{options!r})\nprint(connection.hello['pid'], flush=True)\ntime.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True, env=environment())
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    try:
        assert alive(pid)
        again = ensure_supervisor(str(home), *options)
        assert again.hello["pid"] == pid, "the one that runs is used"
        again.request({"op": "shutdown", "if_idle": True})
        again.close()
        until(lambda: not alive(pid), "it to leave")
        another = ensure_supervisor(str(home), *options)
        assert another.hello["pid"] != pid
        another.request({"op": "shutdown"})
        another.close()
        until(lambda: not alive(another.hello["pid"]), "it to leave, too")
        assert (home / "log" / "supervisor.log").read_text() == ""
    finally:
        for one in (pid,):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)


def test_what_keeps_a_supervisor_from_starting_is_said(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "run").write_text("a file, where a folder should be")
    with pytest.raises(SupervisorError, match=r"did not start: .*File exists") as refused:
        ensure_supervisor(str(tmp_path / "home"), timeout_s=1.0)
    assert refused.value.code == "no_supervisor"
    with pytest.raises(SupervisorError, match="off or auto"):
        ensure_supervisor(str(tmp_path / "other"), "--cgroups", "perhaps", timeout_s=1.0)


def test_a_home_with_a_long_path(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 120)
    connection = ensure_supervisor(str(home), "--cgroups", "off", "--device-locks", str(tmp_path / "locks"))
    assert len(socket_path(str(home))) < 100
    connection.request({"op": "shutdown"})
    connection.close()
    until(lambda: not alive(connection.hello["pid"]), "it to leave")
    assert not Path(socket_path(str(home))).exists()


def test_a_second_supervisor_leaves_the_first_alone(node: Node) -> None:
    second = subprocess.run(node.command(), capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 0
    assert second.stdout == ""
    assert second.stderr.count("\n") == 1
    assert "already running" in second.stderr
    assert node.connect().hello["pid"] == node.process.pid if node.process else False
