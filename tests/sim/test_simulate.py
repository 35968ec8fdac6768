"""``tenure simulate``: what it prints and writes, and one sentence for every mistake."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from tenure.cli import options, simulate
from tenure.cli.app import run
from tenure.sim.check import faults_of
from tenure.sim.traces import Source, open_trace
from tenure.wire.dto import JobView, NodesReply, NodeView, Selection
from tests.sim.drawn import batch

PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n" + "".join(
    f"p{n},1000,1024,1,{milli}\n" for n, milli in enumerate((500, 700, 1000))
)
CHRONUS = "job_id,user,num_gpu,submit_time,duration,expect_time_list\na,vc,1,0,100,150\nb,vc,8,10,50,100\n"
PHILLY = "timestamp,duration,num_gpus,gpu_time,cluster\n2017-10-09 07:01:55,66.0,1,66.0,x\n"
DLRM = (
    "instance_sn,role,app_name,cpu_request,gpu_request,rdma_request,memory_request,disk_request,max_instance_per_node,"
    "creation_time,scheduled_time,deletion_time\ni,HN,a,12,1,25,120.0,640.0,8,0,5,100\n"
)


class Done(NamedTuple):
    """What a command line printed and returned."""

    code: int
    out: str
    err: str


class Shell:
    """Runs ``tenure simulate`` in this process, in a folder with a log of 60 jobs."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *words: str) -> Done:
        self._capture.readouterr()
        code = run(["simulate", *words])
        out, err = self._capture.readouterr()
        return Done(code, out, err)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    """A shell in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENURE_DEBUG", raising=False)
    rows = [
        f"{job.name[1:]} {job.submitted_ms // 1000} -1 {job.run_ms // 1000} {job.shape.amounts.cpu_milli // 1000} -1 -1 "
        f"{job.shape.amounts.cpu_milli // 1000} {job.requested_ms // 1000} -1 1 {job.user[1:]} -1 -1 1 -1 -1 -1"
        for job in batch(1, 60).jobs
    ]
    (tmp_path / "log.swf").write_text("; MaxProcs: 16\n" + "\n".join(rows) + "\n")
    return Shell(capsys)


def test_one_policy_in_json_has_its_figures_on_top(shell: Shell) -> None:
    done = shell("log.swf", "--policy", "easy", "--runtimes", "exact", "--json")
    assert (done.code, done.err) == (0, "")
    summary = json.loads(done.out)
    assert summary["schema"] == 1
    assert summary["avebsld"] == summary["results"][0]["avebsld"] > 1
    assert (summary["policy"], summary["runtimes"], summary["jobs"], summary["ended"]) == ("easy", "exact", 60, 60)
    keys = ("mean_wait_s", "max_wait_s", "mean_turnaround_s", "gpu_allocated_pct", "fragmentation_pct", "decisions_per_s")
    assert set(keys) <= set(summary)


def test_several_policies_stand_side_by_side(shell: Shell) -> None:
    done = shell("log.swf", "--policy", "easy", "--policy", "greedy", "--limit", "30")
    lines = done.out.splitlines()
    assert lines[0] == "log.swf: 30 jobs on 1 node, run times requested"
    assert [line.split()[0] for line in lines[1:]] == ["POLICY", "easy", "greedy"]
    summary = json.loads(shell("log.swf", "--policy", "easy", "--policy", "greedy", "-o", "json").out)
    assert "avebsld" not in summary
    assert [row["policy"] for row in summary["results"]] == ["easy", "greedy"]


def test_the_folder_has_figures_and_decisions(shell: Shell, tmp_path: Path) -> None:
    done = shell("log.swf", "--policy", "easy", "--json", "--out", "a/b")
    assert "decisions.jsonl" in done.err
    assert json.loads((tmp_path / "a/b/metrics.json").read_text()) == json.loads(done.out)
    records = [json.loads(line) for line in (tmp_path / "a/b/decisions.jsonl").read_text().splitlines()]
    workload = open_trace("log.swf", Source())
    assert faults_of(records, workload.nodes, workload.jobs) == []
    assert sum(record["action"] == "end" for record in records) == 60


def test_of_several_each_has_a_folder(shell: Shell, tmp_path: Path) -> None:
    assert shell("log.swf", "log.swf", "--policy", "easy", "--policy", "easy:step=5", "--out", "out").code == 0
    assert sorted(path.parent.name for path in (tmp_path / "out").glob("*/decisions.jsonl")) == [
        "easy",
        "easy-3",
        "easy-step=5",
        "easy-step=5-4",
    ]


def test_a_drawn_workload(shell: Shell) -> None:
    done = shell("--generate", "poisson:jobs=40,seed=3", "--policy", "easy", "--limit", "30", "--json")
    summary = json.loads(done.out)
    assert (summary["jobs"], summary["ended"]) == (30, 30)


class Store:
    """A client of a store with a past."""

    def __init__(self) -> None:
        self.admin = self
        self.asked: list[Selection] = []

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def every_job(self, which: Selection) -> Iterator[JobView]:
        self.asked.append(which)
        past = [JobView(str(number), number, "x", "succeeded", cpu_milli=1000, submitted_ms=number) for number in (1, 2, 3)]
        yield from (replace(job, started_ms=500, ended_ms=9500) for job in past)

    def nodes(self) -> NodesReply:
        return NodesReply(nodes=[NodeView("a", "up", cpu_milli=1000)], devices=[])


def test_the_past_of_the_living_store(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    monkeypatch.setattr(options, "client", lambda: store)
    monkeypatch.setattr(simulate, "_MOST_PAST", 2)
    done = shell("history", "--policy", "easy", "--json")
    summary = json.loads(done.out)
    assert (summary["jobs"], summary["max_wait_s"]) == (2, 8.999)
    assert store.asked[0].states == ["ended"]
    assert done.err == "history: the newest 2 jobs only\n"
    assert json.loads(shell("history", "--policy", "easy", "--nodes", "1x2c", "--json").out)["max_wait_s"] == 0


def test_a_placement_study(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "pods.csv").write_text(PODS)
    done = shell("pods.csv", "--nodes", "1x2xA100:80G,64c,512G", "--arrival", "1.5", "--seed", "3", "--policy", "greedy", "--json")
    summary = json.loads(done.out)
    assert summary["dropped"] > 0
    assert 0 < summary["gpu_allocated_pct"] <= 100


def test_equally_good_nodes_are_drawn_from_when_ties_are_random(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "pods.csv").write_text(PODS)

    def first_nodes(order: str, seed: int, policy: str = "first-fit") -> list[str]:
        study = ("pods.csv", "--nodes", "40x2xA100", "--arrival", "0.2", "--seed", str(seed), "--policy", policy)
        assert shell(*study, "--node-order", order, "--out", "out").code == 0
        return [json.loads(line)["node"] for line in (tmp_path / "out/decisions.jsonl").read_text().splitlines()]

    assert first_nodes("name", 3)[0] == "n01"
    assert first_nodes("random-ties", 3) == first_nodes("random-ties", 3)
    assert len({tuple(first_nodes(*how)) for how in (("name", 3), ("shuffled", 3), ("random-ties", 3), ("random-ties", 4))}) == 4
    assert first_nodes("name", 3, "random") != first_nodes("name", 4, "random")


@pytest.mark.parametrize(("name", "text", "gpus"), [("chronus", CHRONUS, 960), ("philly", PHILLY, 3205), ("dlrm", DLRM, 4160)])
def test_every_format_is_known_by_its_first_line(shell: Shell, tmp_path: Path, name: str, text: str, gpus: int) -> None:
    (tmp_path / "log.csv").write_text(text)
    workload = open_trace("log.csv", Source())
    assert sum(len(node.devices) for node in workload.nodes) == gpus
    assert open_trace("log.csv", Source(name)) == workload
    shuffled = open_trace("log.csv", Source(node_order="shuffled", seed=1))
    assert sorted(node.name for node in shuffled.nodes) == sorted(node.name for node in workload.nodes)
    assert [node.name for node in shuffled.nodes] != [node.name for node in workload.nodes]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["none.swf"], "none.swf cannot be read"),
        (["log.swf", "--policy", "magic"], "no policy is called 'magic'; tenure policy list has all"),
        (["log.swf", "--policy", "easy:speed=9"], "a policy has no setting 'speed'; there are base_low"),
        (["log.swf", "--policy", "easy:step=fast"], "'step=fast' is no setting"),
        (["log.swf", "--runtimes", "felt"], "'felt' is no kind of run times; choose exact, requested, predicted"),
        (["log.swf", "--limit", "-1"], "--limit is a number of jobs"),
        (["log.swf", "--arrival", "1.3"], "a share of arrivals is for openb's placement study; log.swf"),
        (["pods.csv", "--arrival", "much"], "'much' is no share of all GPUs; write --arrival 1.3"),
        (["pods.csv", "--arrival", "0"], "'0' is no share"),
        (["log.swf", "--format", "xml"], "'xml' is no format of a log; choose swf"),
        ([], "name a log, or let one be drawn: --generate lublin"),
        (["--generate", "noise"], "'noise' is no generator; choose lublin, poisson"),
        (["--generate", "poisson", "--arrival", "1"], "are for logs; a generator has settings of its own"),
        (["odd.csv"], "is in no format that Tenure recognises; say which of swf"),
        (["pods.csv"], "give the list of nodes"),
        (["log.swf", "--nodes", "many"], "'many'"),
    ],
)
def test_a_mistake_is_one_sentence(shell: Shell, tmp_path: Path, words: list[str], sentence: str) -> None:
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    (tmp_path / "pods.csv").write_text(PODS)
    done = shell(*words)
    assert done.code == 2
    assert done.out == ""
    assert sentence in done.err
    assert done.err.startswith("tenure: ")
    assert done.err.count("\n") == 1


def test_a_person_sees_a_bar_and_what_was_left_out(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "log.swf").open("a") as log:
        log.write("99 9999 -1 -1 1 -1 -1 1 10 -1 1 1 -1 -1 1 -1 -1 -1\n")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")  # a dumb terminal gets no bar
    done = shell("log.swf", "--policy", "easy")
    assert "left out 1 no run time" in done.err
    assert "easy" in done.err
    assert done.out.count("\n") == 3


def test_the_past_is_a_format_too(shell: Shell) -> None:
    done = shell("log.swf", "--format", "history")
    assert done.code == 2
    assert "leave the file out" in done.err


def test_a_folder_that_cannot_be_is_told_before_the_replay(shell: Shell) -> None:
    done = shell("log.swf", "--out", "log.swf")
    assert done.code == 2
    assert "--out log.swf cannot be a folder" in done.err
    assert shell("log.swf", "--seed", "-1").code == 2


def test_columns_that_say_nothing_are_left_out(shell: Shell) -> None:
    head = shell("log.swf", "--policy", "easy").out.splitlines()[1]
    assert "DEADLINES" not in head
    assert "GPU" not in head
    words = ("--generate", "poisson:jobs=40,rate=200", "--nodes", "1x8xA100:80G,power=3200,idle=600,price=9.80", "--faults", "1h/30m")
    assert {"GPU", "KWH", "COST", "LOST"} <= set(shell(*words, "--policy", "preemptive").out.splitlines()[1].split())
