"""Every command through the whole command line, with a client of canned replies: what is asked, printed, returned."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tenure.client.errors import NeverFits, NotFound
from tenure.wire import dto
from tenure.wire.whatif import PlanReply
from tests.unit.cli.conftest import Binary, FakeClient, Shell

QUEUED = dto.SubmitReply(id="12", number=12, name="true")


def job(state: str = "succeeded", **more: Any) -> dto.JobView:
    return dto.JobView(id="12", number=12, name="train", state=state, **more)


def request(client: FakeClient, method: str = "submit") -> Any:
    return next(words[0] for name, words, _ in client.calls if name == method)


@pytest.mark.parametrize("words", [["submit", "--", "true"], ["submit", "true"], ["submit", "-c", "1", "true"]])
def test_submit_prints_the_id(shell: Shell, client: FakeClient, words: list[str]) -> None:
    client.answers["submit"] = QUEUED
    done = shell(*words)
    assert (done.code, done.err) == (0, "")
    assert done.out == "Submitted job 12 (true)\n"
    assert request(client).argv == ["true"]


def test_the_commands_own_options_are_left_alone(shell: Shell, client: FakeClient) -> None:
    client.answers["submit"] = QUEUED
    assert shell("submit", "--gpus", "1", "python", "t.py", "--gpus", "2", "-c", "--json", "--", "x").code == 0
    assert request(client).argv == ["python", "t.py", "--gpus", "2", "-c", "--json", "--", "x"]
    assert request(client).gpu_milli == 1000


def test_submit_for_programs(shell: Shell, client: FakeClient) -> None:
    client.answers["submit"] = QUEUED
    assert shell("submit", "--parsable", "--", "true").out == "12\n"
    reply = json.loads(shell("submit", "--json", "--", "true").out)
    assert (reply["id"], reply["schema"], reply["replayed"]) == ("12", 1, False)
    assert json.loads(shell("submit", "-o", "json", "--", "true").out)["id"] == "12"


def test_every_option_of_submit_arrives(shell: Shell, client: FakeClient) -> None:
    client.answers["submit"] = QUEUED
    words = (
        "-J n -c 2 --mem 1G -t 1:00:00 -N 2 -n 4 -p q -A pr -a 0-3%2 -d afterok:1 --gpus a100:1 --vram 8G -H --retries 2 --priority low"
    )
    more = "--stdout o --stderr e --env A=1 --begin +1h --deadline +2h --grace 5s --storage 1G --snapshot --comment c -C fast"
    more += " --bandwidth 2.5G"
    assert shell("submit", *words.split(), *more.split(), "--", "true").code == 0
    sent = request(client)
    assert (sent.name, sent.cpu_milli, sent.memory_bytes, sent.limit_ms) == ("n", 2000, 1024**3, 3_600_000)
    assert (sent.nodes, sent.tasks, sent.queue, sent.project, sent.array) == (2, 4, "q", "pr", "0-3%2")
    assert (sent.gpu_milli, sent.gpu_model, sent.gpu_memory_bytes, sent.hold, sent.retries) == (1000, "a100", 8 * 1024**3, True, 2)
    assert (sent.priority, sent.stdout, sent.stderr, sent.env["A"], sent.grace_ms) == (2, "o", "e", "1", 5000)
    assert sent.bandwidth_bps == 2_500_000_000
    assert (sent.storage_bytes, sent.labels, sent.origin["comment"]) == (1024**3, ["fast"], "c")
    assert sent.after == [dto.AfterRef(job="1")]
    assert sent.deadline_ms > sent.not_before_ms > 0
    assert sent.submit_dir


def test_headers_and_command_line(shell: Shell, client: FakeClient, tmp_path: Path) -> None:
    client.answers["submit"] = QUEUED
    (tmp_path / "job.sh").write_text("#!/bin/sh\n#SBATCH -c 4 -J from-header\ntrue\n")
    assert shell("submit", "-J", "from-line", "job.sh").code == 0
    assert (request(client).name, request(client).cpu_milli) == ("from-line", 4000)
    (tmp_path / "job.sh").write_text("#!/bin/sh\n#SBATCH --exclusive\ntrue\n")
    done = shell("submit", "job.sh")
    assert done.code == 2
    assert done.err == "tenure: line 2: the option --exclusive is not honoured by Tenure; ask for the cpus and GPUs the job needs\n"


def test_never_is_4_with_the_nearest(shell: Shell, client: FakeClient) -> None:
    client.answers["submit"] = NeverFits("never_fits", "no declared node can ever run this", "the nearest that can run is --gpus 2")
    done = shell("submit", "--gpus", "9", "--", "true")
    assert (done.code, done.out) == (4, "")
    assert done.err == "tenure: no declared node can ever run this; the nearest that can run is --gpus 2\n"
    error = json.loads(shell("submit", "--json", "--gpus", "9", "--", "true").err)["error"]
    assert (error["code"], error["exit_code"]) == ("never_fits", 4)


@pytest.mark.parametrize(
    "words",
    [
        ["submit"],
        ["submit", "--gpus", "1.5", "--", "true"],
        ["submit", "--nonsense", "--", "true"],
        ["submit", "-o", "yaml", "--", "true"],
        ["submit", "-f", "-a", "0-3", "--", "true"],
        ["run", "-a", "0-3", "--", "true"],
        ["nonsense"],
        ["cancel"],
        ["cancel", "everything"],
        ["ps", "--state", "happy"],
        ["ps", "-n", "few"],
        ["ps", "-n", "0"],
        ["update", "12"],
        ["nodes", "drain"],
        ["nodes", "paint", "a"],
        ["queue", "pause"],
        ["queue", "list", "x"],
        ["completion", "tcsh"],
        ["wait", "12", "--timeout", "soon"],
        ["sweep", "--", "true"],
    ],
)
def test_mistakes_are_2_one_sentence_and_json_on_request(shell: Shell, client: FakeClient, words: list[str]) -> None:
    client.answers["wait"] = dto.WaitReply(done=True)
    done = shell(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("tenure: ")
    assert done.err.count("\n") == 1
    error = (
        json.loads(shell(words[0], "--json", *words[1:]).err)["error"] if words[0] not in ("run", "completion", "nonsense") else None
    )
    assert error is None or (error["code"], error["exit_code"]) == ("usage", 2)


def test_no_traceback_unless_asked_for(shell: Shell, client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    client.answers["jobs"] = RuntimeError("boom")
    done = shell("ps")
    assert done.code == 1
    assert "boom" in done.err
    assert "Traceback" not in done.err
    monkeypatch.setenv("TENURE_DEBUG", "1")
    assert "Traceback" in shell("ps").err


def test_dry_run_and_plan_queue_nothing(shell: Shell, client: FakeClient) -> None:
    client.answers["plan"] = PlanReply(verdict="starts_now", placements=["a"])
    assert shell("submit", "--dry-run", "--", "true") == (0, "It would start now on a.\n", "")
    assert shell("plan", "--gpus", "1", "--", "true").code == 0
    assert json.loads(shell("plan", "--json", "--", "true").out)["verdict"] == "starts_now"
    client.answers["plan"] = PlanReply(verdict="never")
    assert shell("plan", "--", "true").code == 4
    assert {name for name, _, _ in client.calls} == {"plan"}


def test_run_prints_the_output_and_returns_the_code(client: FakeClient, binary: Binary) -> None:
    client.answers |= {
        "submit": QUEUED,
        "logs": [b"line\n", b"\xff\n"],
        "wait": dto.WaitReply(done=True, jobs=[job("failed", exit_code=7)]),
    }
    from tenure.cli.app import run

    assert run(["run", "--", "true"]) == 7
    out, err = binary()
    assert out == b"line\n\xff\n"
    assert b"job 12 queued" in err
    assert b"failed" in err
    assert run(["run", "-q", "--", "true"]) == 7
    assert binary()[1] == b""


def test_run_says_why_nothing_is_to_be_seen(shell: Shell, client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from tenure.cli import follow

    asked = threading.Event()

    def logs(*_words: Any, **_named: Any) -> list[bytes]:
        assert asked.wait(10)
        return []

    def jobs(_job: str) -> dto.JobsReply:
        asked.set()
        return dto.JobsReply(jobs=[job("pending", reason=dto.ReasonView(code="capacity", cure="time", text="no room"))])

    monkeypatch.setattr(follow, "_SILENCE_S", 0)
    client.answers |= {"submit": QUEUED, "logs": logs, "jobs": jobs, "wait": dto.WaitReply(done=True, jobs=[job()])}
    assert shell("run", "--", "true").code == 0
    assert [name for name, _, _ in client.calls].count("jobs") == 1


def test_ctrl_c_detaches(shell: Shell, client: FakeClient) -> None:
    client.answers |= {"submit": QUEUED, "logs": KeyboardInterrupt(), "wait": KeyboardInterrupt()}
    done = shell("run", "--", "true")
    assert done.code == 130
    assert "job 12 goes on" in done.err
    assert shell("submit", "--wait", "--", "true").code == 130
    assert shell("wait", "12").code == 130
    assert not [name for name, _, _ in client.calls if name == "act"]


@pytest.mark.parametrize(
    ("state", "more", "code"), [("succeeded", {}, 0), ("failed", {"exit_code": 3}, 3), ("failed", {"signal": 9}, 137)]
)
def test_wait_returns_the_jobs_code(shell: Shell, client: FakeClient, state: str, more: dict[str, Any], code: int) -> None:
    client.answers |= {"wait": dto.WaitReply(done=True, jobs=[job(state, **more)]), "submit": QUEUED}
    done = shell("wait", "12")
    assert done.code == code
    assert done.out.startswith(f"Job 12 {state}")
    assert shell("wait", "-q", "12") == (code, "", "")
    assert shell("submit", "--wait", "--", "true").code == code
    assert shell("submit", "--wait", "--parsable", "--", "true").out == "12\n"
    assert json.loads(shell("wait", "12", "--json").out)["jobs"][0]["state"] == state


def test_wait_in_vain_is_5(shell: Shell, client: FakeClient) -> None:
    client.answers["wait"] = dto.WaitReply(done=False, jobs=[job("running")])
    assert shell("wait", "12", "--timeout", "1s").code == 5
    assert client.calls[-1][1][1] == 1.0


def test_ps_and_history(shell: Shell, client: FakeClient) -> None:
    client.answers["jobs"] = dto.JobsReply(jobs=[job("running")], next="after", counts={"running": 5})
    done = shell("ps")
    assert done.out.splitlines()[1].split()[:3] == ["12", "train", "running"]
    assert done.err == "(1 of 5 shown; -n 5 shows all)\n"
    assert client.calls[0][1][0].states == ["active"]
    client.answers["jobs"] = dto.JobsReply(jobs=[job("running")])
    shell("ls", "-a")
    assert client.calls[-1][1][0].states == ["all"]
    shell("ps", "-s", "pd,r", "--mine", "-J", "x*", "-n", "5")
    select = client.calls[-1][1][0]
    assert (select.states, select.mine, select.name, select.limit) == (["pending", "running"], True, "x*", 5)
    assert json.loads(shell("ps", "--json").out)["jobs"][0]["id"] == "12"
    assert shell("history", "--since", "1d").out.splitlines()[0].split()[0] == "ID"
    assert client.calls[-1][1][0].since_ms > 0


def test_a_page_that_is_full_does_not_hide_what_runs(shell: Shell, client: FakeClient) -> None:
    def jobs(select: dto.Selection) -> dto.JobsReply:
        if "running" in select.states:
            return dto.JobsReply(jobs=[job("running")])
        numbers = [n for n in range(40, 20, -1) if not select.cursor or n < int(select.cursor)][: min(2, select.limit)]
        views = [dto.JobView(id=str(n), number=n, name="w", state="pending") for n in numbers]
        return dto.JobsReply(jobs=views, next=str(numbers[-1]), counts={"pending": 20, "running": 1})

    client.answers["jobs"] = jobs
    done = shell("ps", "-n", "4")
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["12", "38", "39", "40"]
    assert done.err == "(4 of 21 shown; -n 21 shows all)\n"


def test_show_and_why(shell: Shell, client: FakeClient) -> None:
    client.answers["show"] = dto.JobDetail(job=job(), argv=["true"])
    client.answers["why"] = dto.ExplanationView(id="12", state="pending", summary="It waits.")
    assert shell("show", "12").out.startswith("Job 12 (train): succeeded")
    assert json.loads(shell("show", "last", "-o", "json").out)["job"]["exit_code"] is None
    assert shell("why", "last").out == shell("why").out == "Job 12 (pending): It waits.\n"
    assert [words for name, words, _ in client.calls if name == "why"] == [("last",)] * 2
    assert shell("explain", "12", "--json").code == 0
    client.answers["show"] = NotFound("not_found", "there is no job 99", "tenure ps -a lists all jobs")
    assert shell("show", "99") == (3, "", "tenure: there is no job 99; tenure ps -a lists all jobs\n")


def test_logs(client: FakeClient, binary: Binary) -> None:
    from tenure.cli.app import run

    tasks = [dto.TaskView(task=0, node="a", state="active", log="/l/0", stderr="/l/e")]
    client.answers["show"] = dto.JobDetail(job=job(tasks=2), attempts=[dto.AttemptView(number=1, attempt=1, tasks=tasks)])
    client.answers["logs"] = [b"hi\n"]
    assert run(["logs"]) == 0
    assert binary()[0] == b"hi\n"
    run(["logs", "12", "-f", "-n", "5", "--task", "1", "--attempt", "2", "--err", "--from-byte", "9"])
    expected = {"attempt": 2, "task": 1, "stream": "err", "offset": 9, "since_ms": 0, "tail": 5, "follow": True}
    assert client.calls[-1] == ("logs", ("12",), expected)
    binary()
    run(["logs", "--path", "12"])
    assert binary()[0] == b"/l/0\n"
    client.answers["logs"] = KeyboardInterrupt()
    assert run(["logs", "-f", "12"]) == 130


def test_the_logs_of_an_array_want_an_element(shell: Shell, client: FakeClient) -> None:
    client.answers["show"] = dto.JobDetail(job=job(array=dto.ArrayView(indices="5-9%2", size=5, waiting=0)))
    done = shell("logs", "12")
    assert done.code == 2
    assert "tenure logs 12_5" in done.err


ACTIONS = ["cancel", "hold", "release", "requeue", "suspend", "resume"]


@pytest.mark.parametrize("action", ACTIONS)
def test_actions(shell: Shell, client: FakeClient, action: str) -> None:
    client.answers["act"] = dto.ActReply(results=[dto.ActResult(id="12", ok=True), dto.ActResult(id="13", ok=True)])
    assert shell(action, "12-13").code == 0
    name, words, _ = client.calls[-1]
    assert (name, words[0], words[1].ids) == ("act", action, ["12-13"])
    client.answers["act"] = dto.ActReply(results=[dto.ActResult(id="12", ok=False, code="wrong_state", text="it has ended")])
    assert shell(action, "12") == (1, "", "tenure: job 12: it has ended\n")
    client.answers["act"] = dto.ActReply(results=[dto.ActResult(id="12", ok=False, code="not_found")])
    assert shell(action, "12", "--json").code == 3


def test_a_filter_takes_active_jobs_only(shell: Shell, client: FakeClient) -> None:
    client.answers["act"] = dto.ActReply(results=[])
    assert shell("cancel", "--name", "x*").code == 0
    assert client.calls[-1][1][1].states == ["active"]
    shell("requeue", "--group", "g")
    assert client.calls[-1][1][1].states == ["ended"]
    shell("kill", "--state", "pending")
    assert client.calls[-1][1][1].states == ["pending"]


@pytest.mark.parametrize(("answer", "acts"), [("y\n", True), ("n\n", False), ("", False)])
def test_a_person_is_asked_before_several_jobs(
    shell: Shell, client: FakeClient, typed: Callable[[str], None], answer: str, acts: bool
) -> None:
    client.answers |= {"act": dto.ActReply(results=[]), "jobs": dto.JobsReply(jobs=[], counts={"running": 2})}
    typed(answer)
    done = shell("cancel", "--mine")
    assert "cancel 2 jobs?" in done.err
    assert ("act" in [name for name, _, _ in client.calls]) == acts
    assert done.code == (0 if acts else 130)
    shell("cancel", "--mine", "-y")
    assert client.calls[-1][0] == "act"


def test_update(shell: Shell, client: FakeClient) -> None:
    client.answers["update"] = dto.ActReply(results=[dto.ActResult(id="12", ok=True)])
    words = "--priority 9 --time 2h --name n --queue q --retries 0 --array-cap 4 --cpus 2 --memory 1G --gpus a100:1 --vram 8G --tasks 2"
    assert shell("update", "12", *words.split(), "--deadline", "+1h").out == "Job 12 changed\n"
    changes = client.calls[-1][2]
    assert changes.pop("deadline_ms") > 0
    assert changes == {
        "priority": 9,
        "limit_ms": 7_200_000,
        "name": "n",
        "queue": "q",
        "retries": 0,
        "array_cap": 4,
        "cpu_milli": 2000,
        "memory_bytes": 1024**3,
        "gpu_milli": 1000,
        "gpu_model": "a100",
        "gpu_memory_bytes": 8 * 1024**3,
        "tasks": 2,
    }
    shell("update", "12", "--array-cap", "0", "--tasks", "0", "--nodes", "0")
    assert client.calls[-1][2] == {"array_cap": 0, "tasks": 0, "nodes": 0}, "the daemon says what is wrong with it"


def test_nodes_gpus_queues(shell: Shell, client: FakeClient) -> None:
    node, queue = dto.NodeView(name="a", status="draining"), dto.QueueView(name="q")
    client.answers |= {
        "nodes": dto.NodesReply(nodes=[node]),
        "set_node": node,
        "queues": dto.QueuesReply(queues=[queue]),
        "set_queue": queue,
    }
    assert "a" in shell("nodes").out
    assert shell("nodes", "drain", "a", "--reason", "r").out == "Node a is draining\n"
    assert client.calls[-1][1] == ("a", "draining", "r")
    assert "no GPUs" in shell("gpus").out
    assert json.loads(shell("gpus", "--json").out)["devices"] == []
    assert json.loads(shell("nodes", "--json").out)["nodes"][0]["name"] == "a"
    assert json.loads(shell("nodes", "resume", "a", "--json").out)["name"] == "a"
    assert "q" in shell("queue").out
    assert shell("queue", "pause", "q").code == 0
    assert client.calls[-1] == ("set_queue", ("q",), {"paused": True})
    shell("queue", "set", "q", "--max-time", "12h", "--default-time", "0", "--bonus", "-5", "--json")
    assert client.calls[-1][2] == {"max_limit_ms": 43_200_000, "default_limit_ms": 0, "bonus": -5}
    assert json.loads(shell("queue", "--json").out)["queues"][0]["name"] == "q"


def test_events(shell: Shell, client: FakeClient) -> None:
    client.answers["events"] = [dto.EventView(cursor=1, kind="submitted", at_ms=1, job="12")]
    assert "submitted" in shell("events").out
    assert client.calls[-1][2]["after"] == 0
    assert json.loads(shell("events", "12", "--json", "--after", "7").out)["cursor"] == 1
    assert client.calls[-1][2] == {"after": 7, "limit": 500, "job": "12", "follow": False}
    shell("events", "-f")
    assert client.calls[-1][2]["after"] == -1
    client.answers["events"] = KeyboardInterrupt()
    assert shell("events", "-f").code == 130
