"""The daemon as a service: backup and restore, a full view of itself, a stuck loop, many at once, an unreadable store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from websockets.sync.client import unix_connect

from tenure.client import connect, http, paths
from tenure.wire.dto import Selection
from tests.support.living import Installation, alive, kill, until


def test_backup_and_restore(living: Installation) -> None:
    kept = living.submit("--name", "kept", "--", "true")
    living.cli("wait", kept)
    copy = living.work / "copy.db"
    living.cli("backup", str(copy))
    assert living.cli("backup", str(copy), ok=False).stderr.count("\n") <= 3
    later = living.submit("--name", "later", "--", "true")
    living.cli("wait", later)
    assert living.cli("restore", str(copy), ok=False).stderr, "refused while the daemon runs"
    living.cli("down")
    living.cli("restore", str(copy))
    names = {job["name"] for job in living.json("ps", "-a")["jobs"]}
    assert names == {"kept"}
    assert (living.home / "tenure.db.before-restore").exists()


def test_restore_refuses_what_is_no_backup(living: Installation) -> None:
    living.up()
    living.cli("down")
    wrong = living.work / "wrong.db"
    wrong.write_text("not a database")
    refused = living.cli("restore", str(wrong), ok=False)
    assert "not a backup" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_status_names_pid_socket_store_and_version(living: Installation) -> None:
    pid = living.up()
    status = living.json("status")
    assert status["pid"] == pid
    assert status["socket"] == paths.daemon_socket(str(living.home))
    assert status["store"].endswith("tenure.db")
    assert status["version"]
    assert status["healthy"] is True
    assert status["supervisor_pid"] > 0


def test_the_schema_is_there_and_no_web_framework_is_loaded_for_anything(living: Installation) -> None:
    living.cli("wait", living.submit("--", "true"))
    for command in (["ps", "-a"], ["show", "last"], ["logs", "last"], ["nodes"], ["queue"], ["doctor"], ["events"]):
        living.cli(*command)
    maps = Path(f"/proc/{living.up()}/maps")
    assert "pydantic_core" not in maps.read_text()
    with closing(http.Connection(paths.daemon_socket(str(living.home)), 10.0)) as connection:
        head, body = connection.exchange(http.request("GET", "/api/v1/openapi.json"), 30.0)
    assert head.status == 200
    assert "/api/v1/jobs/{ref}" in json.loads(body)["paths"]
    assert "pydantic_core" not in maps.read_text()


def test_an_unreadable_store_is_one_clear_sentence_and_is_left_alone(living: Installation) -> None:
    living.up()
    living.cli("down")
    database = living.home / "tenure.db"
    damaged = b"SQLite format 3\0" + os.urandom(8192)
    database.write_bytes(damaged)
    for name in ("tenure.db-wal", "tenure.db-shm"):
        (living.home / name).unlink(missing_ok=True)
    refused = living.cli("ps", ok=False)
    assert "Traceback" not in refused.stderr
    assert "tenure.db" in refused.stderr
    assert database.read_bytes() == damaged


def test_a_mistake_in_the_settings_is_one_clear_sentence(living: Installation) -> None:
    (living.home / "config.toml").write_text("[node]\ncpu = 3\n")
    refused = living.cli("ps", ok=False)
    assert "cpu" in refused.stderr
    assert "config.toml" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_new_time_limit_reaches_what_runs_and_holds_without_the_daemon(living: Installation) -> None:
    with living.client() as client:
        job, witness = (client.submit(["sleep", "300"], time="5s").id for _ in range(2))
        until(lambda: all(view.state == "running" for view in client.jobs([job, witness]).jobs), "both to run")
        client.update(job, limit_ms=3_600_000)
    living.kill_daemon()
    living.cli("wait", witness, ok=False)
    assert living.state(witness) == "timed_out"
    assert living.state(job) == "running"
    living.cli("update", job, "--time", "1s")
    living.cli("wait", job, ok=False)
    assert living.state(job) == "timed_out"


def test_a_script_that_no_job_needs_any_more_is_removed(living: Installation) -> None:
    (living.home / "config.toml").write_text('[retention]\nruns = "1s"\n')
    script = living.work / "job.sh"
    script.write_text("#!/bin/sh\n#SBATCH --time=1:00\ncat\n")
    copies = living.home / "scripts"
    job = living.submit(str(script))
    living.cli("wait", job)
    assert living.json("show", job)["script"], "its text stays with the job"
    until(lambda: not any(copies.iterdir()), "its copy to be removed")


def test_a_log_can_be_read_from_a_moment_on(living: Installation) -> None:
    script = "echo early; while [ ! -e go ]; do sleep 0.02; done; echo late; exec sleep 300"
    job = living.submit("--time", "5m", "--", "sh", "-c", script)
    noted = living.home / "node" / "lengths" / "0" / "1.0.0"
    until(noted.exists, "a look at the log")
    assert living.cli("logs", "--since", "1h", job).stdout == "early\n"
    moment = datetime.now().isoformat()
    (living.work / "go").touch()
    until(lambda: "late" in living.cli("logs", job).stdout, "the second line")
    assert living.cli("logs", "--since", moment, job).stdout == "late\n"
    assert living.cli("logs", "--from-byte", "3", "-n", "2", job).stdout == "ly\nlate\n"
    living.cli("cancel", job)
    living.cli("wait", job, ok=None)
    os.utime(living.json("show", job)["attempts"][0]["tasks"][0]["log"], (1, 1))
    assert living.cli("logs", "--since", "1h", job).stdout == "", "nothing was written since"
    assert "2026-01-31T16:00" in living.cli("logs", "--since", "yesterday", job, ok=False).stderr


STUCK = """
import sys, threading
from tenure.bootstrap import daemon
from tenure.control import loop
loop.STUCK_AFTER_S = 0.0
import tenure.api.system as system
system.STUCK_AFTER_S = 0.2
from tenure.api import context, feed
context.STUCK_AFTER_S, feed.GUARD_S = 0.2, 0.1
def alter(parts):
    real, state = parts.store.apply, {}
    def apply(commands, now_ms):
        if any(getattr(command, "job_id", 0) == 1 for command in commands):
            threading.Event().wait(60)
        return real(commands, now_ms)
    parts.store.apply = apply
    return parts
sys.exit(daemon(sys.argv[1], detach=False, alter=alter))
"""


def test_a_stuck_loop_turns_the_status_red_and_is_told_while_it_still_answers(living: Installation) -> None:
    """The watchdog needs nothing of the loop that it watches."""
    process = subprocess.Popen([sys.executable, "-c", STUCK, str(living.home)], env=living.env, start_new_session=True)
    try:
        until(lambda: living.cli("status", ok=None).returncode == 0, "a healthy daemon")
        job = living.submit("--", "true")
        assert job == "1"
        follower = unix_connect(paths.daemon_socket(str(living.home)), "ws://tenure/api/v1/events/ws?topics=anomaly")
        cancel = subprocess.Popen(
            [sys.executable, "-m", "tenure.cli", "cancel", "1"], env=living.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            red = until(lambda: (s := living.cli("status", "-o", "json", ok=None)).returncode and s, "a red status")
            assert json.loads(red.stdout)["healthy"] is False
            assert "control loop" in json.loads(red.stdout)["problems"][0]
            with follower:
                while (alarm := json.loads(follower.recv(30)))["type"] != "anomaly":
                    assert alarm["type"] in ("hello", "heartbeat")
            assert "id" not in alarm
            assert alarm["data"]["data"]["key"] == "loop_stuck"
        finally:
            kill(cancel.pid)
            cancel.wait()
    finally:
        kill(process.pid)
        process.wait()


@pytest.mark.timeout(180)
def test_a_thousand_cancels_at_once_while_others_watch(small: Installation) -> None:
    """No `database is locked`, whatever reads meanwhile."""
    os_home = str(small.home)
    with connect(os_home) as client:
        blocker = client.submit(["sleep", "120"], cpus=2)
        replies = [client.submit(["true"]) for _ in range(1000)]
    failures: list[str] = []
    stop = threading.Event()

    def watch() -> None:
        with connect(os_home) as client:
            while not stop.is_set():
                try:
                    client.jobs(Selection(states=["all"], limit=200))
                except Exception as error:
                    failures.append(str(error))

    def cancel(numbers: list[str]) -> None:
        with connect(os_home) as client:
            for number in numbers:
                reply = client.act("cancel", number)
                failures.extend(result.text for result in reply.results if not result.ok)

    ids = [reply.id for reply in replies]
    watchers = [threading.Thread(target=watch) for _ in range(3)]
    for thread in watchers:
        thread.start()
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(cancel, [ids[start::20] for start in range(20)]))
    stop.set()
    for thread in watchers:
        thread.join()
    assert failures == []
    with connect(os_home) as client:
        shown = client.jobs(Selection(states=["all"], limit=2000)).jobs
        assert {job.state for job in shown if job.id in set(ids)} == {"cancelled"}
        client.act("cancel", blocker.id)


def test_events_can_be_followed_from_a_cursor(living: Installation) -> None:
    job = living.submit("--", "true")
    living.cli("wait", job)
    events = [json.loads(line) for line in living.cli("events", "--after", "0", "--json").stdout.splitlines()]
    kinds = [event["kind"] for event in events if event.get("job") == job]
    assert kinds[0] == "job.submitted"
    assert kinds[-1] == "job.ended"
    cursors = [event["cursor"] for event in events]
    assert cursors == list(range(cursors[0], cursors[0] + len(cursors))), "the cursor is dense"


def test_doctor_says_what_is_enforced(living: Installation) -> None:
    living.up()
    doctor = living.cli("doctor", "--check-store", ok=None)
    assert "every invariant holds" in doctor.stdout
    assert "memory" in doctor.stdout.lower()


def test_logs_follow_a_running_job_until_its_end(living: Installation) -> None:
    gate = living.work / "gate"
    job = living.submit("--", "sh", "-c", f"echo one; while [ ! -e {gate} ]; do sleep 0.05; done; echo two")
    command = [sys.executable, "-m", "tenure.cli", "logs", "-f", job]
    with subprocess.Popen(command, env=living.env, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "one\n"
        Path(gate).touch()
        assert follower.stdout.readline() == "two\n"
        assert follower.stdout.readline() == ""
        assert follower.wait(30) == 0


def test_a_wall_clock_that_jumps_changes_no_limit(living: Installation) -> None:
    """Limits are measured by the supervisor on a clock that does not jump; rows carry the wall clock of their writer."""
    shim = living.work / "sitecustomize.py"
    shim.write_text("import time\n_real = time.time_ns\ntime.time_ns = lambda: _real() - 3600 * 10**9\n")
    job = living.submit("--time", "2s", "--", "sleep", "60")
    until(lambda: living.state(job) == "running", "the start")
    living.kill_daemon()
    living.env["PYTHONPATH"] = str(living.work)
    living.up()
    assert living.cli("wait", "--timeout", "30s", job, ok=None).returncode != 0
    assert living.state(job) == "timed_out"
    living.cli("submit", "--wait", "--", "true")


def test_down_leaves_nothing_running_when_nothing_runs(living: Installation) -> None:
    living.up()
    supervisor = living.supervisor_pid()
    assert alive(supervisor)
    living.cli("down")
    until(lambda: not alive(supervisor), "the end of the idle supervisor")


def test_an_upgrade_of_the_daemon_keeps_jobs_running(living: Installation) -> None:
    """The newer client replaces the older daemon; the supervisor of then goes on, and its tasks with it."""
    import tenure

    major, *rest = tenure.__version__.split(".")
    newer = ".".join([str(int(major) + 1), *rest])
    shim = living.work / "sitecustomize.py"
    enough = living.work / "enough"
    job = living.submit("--", "sh", "-c", f"until test -e {enough}; do sleep 0.05; done; exit 6")
    until(lambda: living.state(job) == "running", "the start")
    before, supervisor = living.daemon_pid(), living.supervisor_pid()
    shim.write_text(f"import tenure\ntenure.__version__ = {newer!r}\n")
    living.env["PYTHONPATH"] = str(living.work)
    said = living.cli("ps")
    assert "restarting it" in said.stderr
    assert living.daemon_pid() != before
    assert living.supervisor_pid() == supervisor
    enough.touch()
    assert living.cli("wait", job, ok=None).returncode == 6
    assert living.json("show", job)["job"]["attempts"] == 1
