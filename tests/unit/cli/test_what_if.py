"""The command ``what-if``: what it asks for, and how the answer reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tenure.cli.shifts import SHOWN, delta, horizon_lines, what_if_text
from tenure.client.errors import NotFound
from tenure.model.amounts import GIB
from tenure.wire.whatif import UNKNOWN_TEXT, MachineSpec, PlanReply, PriorityWish, ShiftView, WhatIfReply, WhatIfRequest
from tests.unit.cli.conftest import FakeClient, Shell

NOW = 1_700_000_000_000
HOUR = 3_600_000
EMPTY = WhatIfReply(now_ms=NOW, supposed=["job 3 is cancelled"])


def asked(shell: Shell, client: FakeClient, *words: str) -> WhatIfRequest:
    client.answers["what_if"] = EMPTY
    done = shell("what-if", *words)
    assert (done.code, done.err) == (0, "")
    request = client.calls[-1][1][0]
    assert isinstance(request, WhatIfRequest)
    return request


def test_everything_can_be_combined(shell: Shell, client: FakeClient) -> None:
    words = "--add-nodes 2x8xA100:80G,64c,512G+1x4c --remove-node a --drain b --priority 12=high --priority 13=2 --cancel 15-18"
    request = asked(shell, client, *words.split(), "--resume-node", "c", "--policy", "easy", "--limit", "5", "--gpus", "4", "-t", "2h")
    assert request.add_nodes == [
        MachineSpec(count=2, cpu_milli=64_000, memory_bytes=512 * GIB, gpus=8, gpu_model="A100", gpu_memory_bytes=80 * GIB),
        MachineSpec(count=1, cpu_milli=4000, memory_bytes=16 * GIB),
    ]
    assert (request.remove_nodes, request.drain_nodes, request.resume_nodes, request.cancel) == (["a"], ["b"], ["c"], ["15-18"])
    assert request.priorities == [PriorityWish(job="12", priority=7), PriorityWish(job="13", priority=2)]
    assert (request.policy, request.limit) == ("easy", 5)
    (job,) = request.add_jobs
    assert (job.gpu_milli, job.limit_ms, job.argv, job.name, job.env) == (4000, 2 * HOUR, ["true"], "", {})


def test_jobs_in_texts_and_words(shell: Shell, client: FakeClient) -> None:
    words = ("--job", "--gpus 8 -t 1h -- python a.py --lr 1", "--job", "-J mine --priority low", "--priority", "8", "-c", "2")
    first, second, third = asked(shell, client, *words, "--", "python", "b.py").add_jobs
    assert (first.argv, first.gpu_milli, first.name) == (["python", "a.py", "--lr", "1"], 8000, "a.py")
    assert (second.argv, second.name, second.priority) == (["true"], "mine", 2)
    assert (third.argv, third.cpu_milli, third.priority, third.name) == (["python", "b.py"], 2000, 8, "b.py")
    assert asked(shell, client, "--wrap", "echo hi").add_jobs[0].argv == ["/bin/sh", "-c", "echo hi"]


def test_a_profile_is_the_portfolios(shell: Shell, client: FakeClient) -> None:
    assert asked(shell, client, "--profile", "green").policy == "portfolio:profile=green"
    both = shell("what-if", "--profile", "green", "--policy", "easy")
    assert both.code == 2
    assert "only one of --policy and --profile" in both.err


def test_nodes_from_a_file(shell: Shell, client: FakeClient, tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text("sn,cpu_milli,memory_mib,gpu,model\nx,8000,1024,1,T4\ny,8000,1024,1,T4\n")
    assert [spec.count for spec in asked(shell, client, "--add-nodes", "nodes.csv").add_nodes] == [2]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--limit", "5"],
        ["--limit", "0", "--cancel", "1"],
        ["--add-nodes", "many"],
        ["--job", "'"],
        ["--job", "--nonsense"],
        ["--priority", "12=99"],
        ["--priority", "99"],
        ["--priority", "x=5"],
        ["--cancel", "everything"],
        ["--gpus", "1.5"],
    ],
)
def test_mistakes_are_2_and_one_sentence(shell: Shell, client: FakeClient, words: list[str]) -> None:
    done = shell("what-if", *words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("tenure: ")
    assert json.loads(shell("what-if", "--json", *words).err)["error"]["code"] == "usage"


def test_errors_of_the_daemon_pass(shell: Shell, client: FakeClient) -> None:
    client.answers["what_if"] = NotFound("not_found", "there is no node z", "tenure nodes lists them")
    assert shell("what-if", "--drain", "z") == (3, "", "tenure: there is no node z; tenure nodes lists them\n")


def test_json_is_the_reply(shell: Shell, client: FakeClient) -> None:
    client.answers["what_if"] = EMPTY
    assert json.loads(shell("what-if", "--cancel", "3", "--json").out)["supposed"] == ["job 3 is cancelled"]


@pytest.mark.usefixtures("utc")
def test_the_answer_in_words() -> None:
    jobs = [
        ShiftView(id="4", effect="sooner", name="eval", before_ms=NOW + HOUR, after_ms=NOW, change_ms=-HOUR),
        ShiftView(id="5", effect="later", before_ms=NOW, after_ms=NOW + HOUR // 2, change_ms=HOUR // 2),
        ShiftView(id="6", effect="possible", before_unknown="never", after_ms=NOW + HOUR),
        ShiftView(id="7", effect="same", before_unknown="no_limit", after_unknown="no_limit"),
        ShiftView(id="8", effect="same", name="calm", before_ms=NOW + HOUR, after_ms=NOW + HOUR, change_ms=0),
        ShiftView(id="2", effect="interrupted", name="r", after_ms=NOW + 90 * 60_000),
    ]
    reply = WhatIfReply(
        now_ms=NOW,
        supposed=["node a is gone", "job 9 is cancelled"],
        jobs=jobs,
        waiting=9,
        compared=5,
        sooner=1,
        later=1,
        possible=1,
        foreseen=3,
        mean_change_ms=-10 * 60_000,
        starts_now=["4"],
        endless=["1", "new"],
        notes=["compared are the first"],
    )
    assert what_if_text(reply, NOW) == (
        "Supposed:\n"
        "  - node a is gone\n"
        "  - job 9 is cancelled\n"
        "\n"
        "Of 5 waiting jobs 1 would start sooner, 1 would start later and 1 could start at all; 10m sooner on the mean.\n"
        "At once would start: 4 (eval).\n"
        "\n"
        "JOB  NAME    BEFORE     AFTER  CHANGE\n"
        "4    eval  23:13:20       now  1h sooner\n"
        "5    -          now  22:43:20  30m later\n"
        "6    -        never  23:13:20  becomes possible\n"
        "2    r      running  23:43:20  interrupted\n"
        "\n"
        "The start of job 7 is unknown: it depends on a job without a time limit.\n"
        "Without a time limit: jobs 1, new; tenure update 1 --time 4h would change that.\n"
        "Compared are the first.\n"
        "Nothing was changed."
    )
    assert "calm" in what_if_text(reply, NOW, everything=True)


def test_few_words_where_little_is_to_say() -> None:
    assert "No job waits now." in what_if_text(EMPTY, NOW)
    one = WhatIfReply(now_ms=NOW, supposed=["x"], compared=1, jobs=[ShiftView(id="1", effect="same", before_ms=1, after_ms=1)])
    assert "Of 1 waiting job none would start sooner or later." in what_if_text(one, NOW)
    many = WhatIfReply(now_ms=NOW, compared=99, jobs=[ShiftView(id=str(n), effect="cancelled") for n in range(SHOWN + 2)])
    assert "2 more would move too; --all lists them." in what_if_text(many, NOW)
    many.starts_now = [str(n) for n in range(10)]
    assert "At once would start: 0, 1, 2, 3, 4, 5, 6, 7 and 2 more." in what_if_text(many, NOW)
    assert [delta(change) for change in (-1500, 90_000)] == ["1s sooner", "1m30s later"]


@pytest.mark.parametrize("code", UNKNOWN_TEXT)
def test_several_unknown_starts_are_counted(code: str) -> None:
    jobs = [ShiftView(id=str(n), effect="same", before_unknown=code, after_unknown=code) for n in (1, 2)]
    told = what_if_text(WhatIfReply(now_ms=NOW, compared=2, jobs=jobs), NOW)
    assert ("The start of 2 jobs is unknown: they " in told) == (code != "never")


def test_whom_a_submission_delays() -> None:
    later = ShiftView(id="4", effect="later", before_ms=NOW, after_ms=NOW + HOUR, change_ms=HOUR)
    assert horizon_lines(PlanReply(verdict="never", compared=3), NOW) == []
    assert horizon_lines(PlanReply(verdict="waits", compared=3, waiting=3), NOW) == ["It would delay nobody: 3 waiting jobs compared."]
    cut = horizon_lines(PlanReply(verdict="waits", compared=1, waiting=3, delayed=[later]), NOW)
    assert cut[0] == "It would delay 1 of 1 waiting job (the first of 3):"
    assert cut[2].endswith("1h later")
    many = horizon_lines(PlanReply(verdict="waits", compared=99, waiting=99, delayed=[later] * (SHOWN + 1)), NOW)
    assert many[-1] == "  and 1 more; --json lists them"
