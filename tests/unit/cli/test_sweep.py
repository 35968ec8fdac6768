"""``sweep``: every combination once, in one write; parameters and placeholders that do not match are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tenure.client.errors import NeverFits, TenureError
from tenure.wire import dto
from tests.unit.cli.conftest import FakeClient, Shell


def sent_by(client: FakeClient) -> Any:
    """The requests of the sweep."""
    return next(words[0] for name, words, _ in client.calls if name == "submit_many")


def test_sweep(shell: Shell, client: FakeClient) -> None:
    client.answers["submit_many"] = lambda requests: [dto.SubmitReply(id=str(n), number=n) for n in range(1, len(requests) + 1)]
    done = shell(
        "sweep", "-p", "lr=0.1,0.01", "-p", "depth=2,4", "-c", "2", "--", "python", "t.py", "--lr", "{lr}", "--d={depth}", "{{}}"
    )
    assert done.code == 0
    lines = done.out.splitlines()
    assert [line.split() for line in lines[:5]] == [
        ["ID", "lr", "depth"],
        ["1", "0.1", "2"],
        ["2", "0.1", "4"],
        ["3", "0.01", "2"],
        ["4", "0.01", "4"],
    ]
    sent = sent_by(client)
    assert [one.argv[3:] for one in sent] == [[lr, f"--d={d}", "{}"] for lr in ("0.1", "0.01") for d in (2, 4)]
    assert len({one.key for one in sent}) == 4
    assert len({one.group for one in sent}) == 1
    assert sent[0].group in lines[5]
    assert sent[3].env["SWEEP_LR"] == "0.01"
    assert sent[3].name == "t.py lr=0.01 depth=4"
    assert {one.cpu_milli for one in sent} == {2000}


def test_sweep_of_a_script(shell: Shell, client: FakeClient, tmp_path: Path) -> None:
    (tmp_path / "job.sh").write_text("#!/bin/sh\n#SBATCH -c 2\necho $1\n")
    client.answers["submit_many"] = lambda requests: [dto.SubmitReply(id="1", number=1) for _ in requests]
    assert shell("sweep", "-p", "x=1..3", "job.sh", "{x}").code == 0
    sent = sent_by(client)
    assert [one.argv[-1] for one in sent] == ["1", "2", "3"]
    assert {one.argv[1] for one in sent} == {sent[0].argv[1]}
    assert sent[0].argv[0] == "/bin/sh"


def test_sweep_shows_what_it_would_do(shell: Shell, client: FakeClient) -> None:
    assert shell("sweep", "--dry-run", "-p", "x=a b,c", "--", "echo", "{x}").out == "echo 'a b'\necho c\n"
    assert not client.calls


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-p", "x=1", "echo", "{y}"], "uses {y}, but there is no parameter 'y'"),
        (["-p", "x=1", "-p", "y=1", "echo", "{x}"], "does not use the parameter y"),
        (["-p", "x", "echo", "{x}"], "is not a parameter"),
        (["-p", "x=1", "-p", "x=2", "echo", "{x}"], "given twice"),
        (["-p", "x=1,1", "echo", "{x}"], "a value twice"),
        (["-p", "x=1", "echo", "{x"], "braces"),
        (["-p", "x=9..1", "echo", "{x}"], "not a range"),
        (["-p", "x=1..5000", "-p", "y=1..5000", "echo", "{x}{y}"], "more than 10000"),
    ],
)
def test_sweeps_that_are_refused(shell: Shell, client: FakeClient, words: list[str], sentence: str) -> None:
    done = shell("sweep", *words)
    assert done.code == 2
    assert sentence in done.err
    assert not client.calls


def test_sweep_with_refusals(shell: Shell, client: FakeClient) -> None:
    refused = TenureError("queue_full", "the queue is full")
    client.answers["submit_many"] = lambda _requests: [dto.SubmitReply(id="1", number=1), refused]
    done = shell("sweep", "-p", "x=1,2", "--", "echo", "{x}")
    assert done.code == 1
    assert "1 were refused: the queue is full" in done.err
    jobs = json.loads(shell("sweep", "-p", "x=1,2", "--json", "--", "echo", "{x}").out)["jobs"]
    assert jobs == [{"parameters": {"x": "1"}, "id": "1"}, {"parameters": {"x": "2"}, "error": "queue_full"}]
    client.answers["submit_many"] = lambda requests: [NeverFits("never_fits", "never")] * len(requests)
    assert shell("sweep", "-p", "x=1,2", "--", "echo", "{x}").code == 4
