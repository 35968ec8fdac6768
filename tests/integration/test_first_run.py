"""What a newcomer does in the first five minutes, with a real daemon that starts by itself."""

from __future__ import annotations

import json
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tenure.client import paths
from tests.support.living import Installation, alive, until


def test_submit_starts_everything_and_the_result_is_there(living: Installation) -> None:
    reply = json.loads(living.cli("submit", "--json", "--", "sh", "-c", "echo hi; echo oops >&2; exit 3").stdout)
    assert reply["id"] == "1"
    assert living.cli("wait", "last", ok=None).returncode == 3
    assert living.cli("logs", "last").stdout == "hi\noops\n"
    shown = living.json("show", "last")
    assert shown["job"]["state"] == "failed"
    assert shown["job"]["exit_code"] == 3
    assert shown["attempts"][0]["tasks"][0]["node"]


def test_a_job_runs_where_and_as_it_was_submitted(living: Installation) -> None:
    job = living.cli(
        "submit", "--parsable", "--env", "COLOUR=blue", "--", "sh", "-c", "pwd; echo $COLOUR; umask; echo $0 $#", "a", "b"
    ).stdout.strip()
    living.cli("wait", job)
    lines = living.cli("logs", job).stdout.splitlines()
    assert lines[0] == str(living.work)
    assert lines[1] == "blue"
    assert lines[3] == "a 1"


def test_the_socket_is_private_and_no_port_is_open(living: Installation) -> None:
    pid = living.up()
    mode = os.stat(paths.daemon_socket(str(living.home))).st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    inodes = {str(Path(f"/proc/{pid}/fd/{fd}").readlink()) for fd in os.listdir(f"/proc/{pid}/fd")}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            assert f"socket:[{line.split()[9]}]" not in inodes


def test_ten_first_commands_at_once_start_one_daemon(living: Installation) -> None:
    with ThreadPoolExecutor(10) as pool:
        ids = list(pool.map(lambda number: living.submit("--", "echo", str(number)), range(10)))
    assert sorted(map(int, ids)) == list(range(1, 11))
    living.cli("wait", "1-10")


def test_a_second_daemon_says_so_and_leaves(living: Installation) -> None:
    first = living.up()
    second = living_daemon(living)
    assert second.returncode == 75
    assert "already runs" in second.stderr
    assert living.daemon_pid() == first


def living_daemon(living: Installation):  # type: ignore[no-untyped-def]
    """Start a second daemon in the foreground."""
    import subprocess

    command = [sys.executable, "-m", "tenure.bootstrap", "daemon", "--home", str(living.home)]
    return subprocess.run(command, env=living.env, capture_output=True, text=True, timeout=60, check=False)


def test_down_leaves_jobs_running_and_up_finds_them(living: Installation) -> None:
    job = living.submit("--", "sh", "-c", "sleep 1.5; echo done; exit 5")
    before = until(lambda: living.json("show", job)["job"].get("started_ms"), "the start")
    living.cli("down")
    assert living.cli("status", ok=None).returncode != 0
    assert living.cli("wait", job, ok=None).returncode == 5
    after = living.json("show", job)["job"]
    assert after["started_ms"] == before
    assert after["attempts"] == 1
    assert "done" in living.cli("logs", job).stdout


def test_a_request_that_can_never_run_is_refused_with_the_nearest_that_can(living: Installation) -> None:
    refused = living.cli("submit", "--gpus", "9", "--", "true", ok=None)
    assert refused.returncode == 4
    assert "nearest" in refused.stderr
    cpus = os.sysconf("SC_NPROCESSORS_ONLN")
    refused = living.cli("submit", "--cpus", str(cpus + 1), "--", "true", ok=None)
    assert refused.returncode == 4
    assert "--cpus" in refused.stderr


def test_cancel_takes_the_whole_tree(living: Installation) -> None:
    pids = living.work / "pids"
    # A grandchild in a session of its own that ignores TERM: what a data loader looks like when its parent is gone.
    script = f"(setsid sh -c 'trap \"\" TERM; echo $$ >> {pids}; while :; do sleep 0.1; done' &) ; echo $$ >> {pids}; sleep 60"
    job = living.submit("--", "sh", "-c", script)
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2, "both processes")
    living.cli("cancel", job)
    living.cli("wait", job, ok=False)
    assert living.state(job) == "cancelled"
    for pid in map(int, pids.read_text().split()):
        until(lambda pid=pid: not alive(pid), f"the end of {pid}")


def test_a_time_limit_is_kept(living: Installation) -> None:
    job = living.submit("--time", "1s", "--", "sleep", "60")
    assert living.cli("wait", job, ok=None).returncode != 0
    shown = living.json("show", job)["job"]
    assert shown["state"] == "timed_out"
    assert shown["end_reason"] == "timeout"


def test_out_of_memory_is_said_so(living: Installation) -> None:
    done = living.cli("submit", "--wait", "--memory", "64M", "--", sys.executable, "-c", "x = bytearray(10**9)", ok=None)
    assert done.returncode not in (0, 4)
    why = living.cli("why", "last").stdout
    assert "out of memory" in why.lower()


def test_a_missing_program_fails_once_and_says_why(living: Installation) -> None:
    job = living.submit("--retries", "3", "--", "/no/such/program")
    assert living.cli("wait", job, ok=None).returncode != 0
    shown = living.json("show", job)["job"]
    assert shown["state"] == "failed"
    assert shown["attempts"] == 1
    assert "/no/such/program" in living.cli("why", job).stdout


def test_retries_are_counted_and_then_it_fails(living: Installation) -> None:
    job = living.submit("--retries", "1", "--", "sh", "-c", "exit 7")
    assert living.cli("wait", job, ok=None).returncode == 7
    assert living.json("show", job)["job"]["attempts"] == 2


def test_dependencies(living: Installation) -> None:
    first = living.submit("--", "sh", "-c", "sleep 0.3; exit 1")
    after_ok = living.submit("--after", f"{first}:ok", "--", "true")
    after_failed = living.submit("--after", f"{first}:failed", "--", "true")
    after_any = living.submit("--after", f"{first}:any", "--", "true")
    living.cli("wait", first, after_failed, after_any, after_ok, ok=None)
    assert [living.state(job) for job in (after_ok, after_failed, after_any)] == ["cancelled", "succeeded", "succeeded"]


def test_an_array_runs_each_element_once(living: Installation) -> None:
    out = living.work / "out"
    job = living.submit("--array", "0-9%3", "--", "sh", "-c", f"echo $TENURE_ARRAY_INDEX >> {out}")
    living.cli("wait", job)
    assert sorted(map(int, out.read_text().split())) == list(range(10))
    assert living.state(job) == "succeeded"
    assert living.state(f"{job}_4") == "succeeded"


def test_sweep(living: Installation) -> None:
    shown = living.cli("sweep", "-p", "lr=0.1,0.01", "-p", "depth=2,4", "--", "echo", "{lr}-{depth}").stdout
    assert "0.01" in shown
    living.cli("wait", "1-4")
    outputs = {living.cli("logs", str(n)).stdout.strip() for n in range(1, 5)}
    assert outputs == {"0.1-2", "0.1-4", "0.01-2", "0.01-4"}


def test_why_and_reason_name_what_is_lacking_and_who_holds_it(small: Installation) -> None:
    holder = small.submit("--name", "big", "--cpus", "2", "--time", "1h", "--", "sleep", "60")
    until(lambda: small.state(holder) == "running", "the holder's start")
    waiter = small.submit("--cpus", "1", "--", "true")

    def listed() -> dict[str, Any]:
        return next(job for job in small.json("ps")["jobs"] if job["id"] == waiter)

    assert listed()["reason"]["code"] == "capacity"
    until(lambda: listed().get("eta_ms", 0) > 0, "the expected start, which a busy daemon may leave out")
    why = small.cli("why", waiter).stdout
    assert "cpu" in why
    assert f"{holder}" in why
    small.cli("cancel", holder)
    small.cli("wait", waiter)


def test_hold_release_requeue_update(small: Installation) -> None:
    job = small.submit("--hold", "--", "true")
    assert small.state(job) == "held"
    small.cli("update", job, "--priority", "9", "--name", "renamed")
    small.cli("release", job)
    small.cli("wait", job)
    assert small.json("show", job)["job"]["name"] == "renamed"
    small.cli("requeue", job)
    small.cli("wait", job)
    assert small.json("show", job)["job"]["attempts"] == 2


def test_a_gang_over_declared_nodes_runs_whole() -> None:
    from tests.support.living import installation

    config = "\n".join(f'[[pretend_nodes]]\nname = "{name}"\ncpus = "4"\nmemory = "8G"\ngpus = "2xA100:80G"\n' for name in "ab")
    with installation(config) as living:
        out = living.work / "out"
        script = f"echo $TENURE_TASK $TENURE_NODE $TENURE_NODES $CUDA_VISIBLE_DEVICES >> {out}"
        job = living.submit("--nodes", "2", "--tasks", "2", "--gpus", "2", "--", "sh", "-c", script)
        living.cli("wait", job)
        lines = sorted(line.split() for line in out.read_text().splitlines())
        assert [line[0] for line in lines] == ["0", "1"]
        assert {line[1] for line in lines} == {"a", "b"}
        assert all(len(line[3].split(",")) == 2 for line in lines)


def test_a_deadline_ends_a_run_and_cancels_a_wait(small: Installation) -> None:
    small.up()
    running = small.submit("--cpus", "2", "--deadline", "+4s", "--", "sleep", "60")
    waiting = small.submit("--cpus", "2", "--deadline", "+1s", "--", "true")
    small.cli("wait", running, waiting, ok=None)
    assert small.state(running) == "timed_out"
    shown = small.json("show", waiting)["job"]
    assert (shown["state"], shown["attempts"]) == ("cancelled", 0)
    assert "deadline" in small.cli("why", waiting).stdout
