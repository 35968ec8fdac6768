"""``#SBATCH`` headers: what is honoured, how amounts per job become amounts per task, what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from tenure.cli.sbatch import read_headers
from tenure.cli.submit_table import REFUSED, TABLE
from tenure.client.errors import BadRequest


def read(*lines: str) -> dict[str, Any]:
    return read_headers("\n".join(["#!/bin/bash", *(f"#SBATCH {line}" for line in lines), "python train.py", "#SBATCH --exclusive"]))


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("--job-name=train", {"name": "train"}),
        ("-J train", {"name": "train"}),
        ("-Jtrain", {"name": "train"}),
        ("-c 4", {"cpus": "4"}),
        ("--cpus-per-task 4   # four", {"cpus": "4"}),
        ("--mem=32G", {"memory": "32G"}),
        ("-t 2:00:00", {"time": "2:00:00"}),
        ("-p gpu -A vision", {"queue": "gpu", "project": "vision"}),
        ("--gres=gpu:a100:2", {"gpus": "a100:2"}),
        ("--gpus=2", {"gpus": "2"}),
        ("-a 0-9%4", {"array": "0-9%4"}),
        ("-d afterok:12", {"after": ["afterok:12"]}),
        ("-o out-%j.txt", {"stdout": "out-%j.txt"}),
        ("--output=o -e e", {"stdout": "o", "stderr": "e"}),
        ("-D '/data/my run'", {"chdir": "/data/my run"}),
        ("--hold", {"hold": True}),
        ("--requeue", {"requeue": True}),
        ("--no-requeue", {}),
        ("-N 2", {"nodes": "2", "tasks": "2"}),
        ("-N 2 --ntasks-per-node=4", {"nodes": "2", "tasks": "8"}),
        ("-n 4 --gpus=4", {"tasks": "4", "gpus": "1"}),
        ("-N 2 --ntasks-per-node=4 --gpus-per-node=a100:4", {"nodes": "2", "tasks": "8", "gpus": "a100:1"}),
        ("-n 4 --mem=8G", {"tasks": "4", "memory": "2147483648B"}),
        ("-c 4 --mem-per-cpu=2G", {"cpus": "4", "memory": "8589934592B"}),
        ("--gpus=2 --cpus-per-gpu=4 --mem-per-gpu=1G", {"gpus": "2", "cpus": "8", "memory": "2147483648B"}),
        ("--export=ALL,A=b", {"export": "ALL,A=b"}),
        ("--comment='a b'", {"comment": "a b"}),
    ],
)
def test_what_is_honoured(line: str, given: dict[str, Any]) -> None:
    assert read(line) == given


def test_headers_end_at_the_first_command() -> None:
    assert read("-c 2") == {"cpus": "2"}
    assert read_headers("#!/bin/sh\n\n# a remark\n#SBATCH -c 2\n##SBATCH -c 3\n#SBATCHX -c 4\ntrue\n#SBATCH -c 5\n") == {"cpus": "2"}


@pytest.mark.parametrize("flag", sorted(REFUSED))
def test_what_is_not_honoured_is_refused_by_name_with_a_way_out(flag: str) -> None:
    with pytest.raises(BadRequest, match=rf"line 2: the option {flag} is not honoured") as found:
        read(f"{flag}=x" if flag.startswith("--") else flag)
    assert found.value.remedy


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--frobnicate", "--frobnicate is not honoured"),
        ("--mem", "--mem needs a value"),
        ("--hold=yes", "--hold takes no value"),
        ("train", "'train' is not an option"),
        ("--job-name='x", "quotes"),
    ],
)
def test_nonsense_is_refused_with_its_line(line: str, sentence: str) -> None:
    with pytest.raises(BadRequest, match=f"line 2: .*{sentence}"):
        read(line)


@pytest.mark.parametrize(
    "line", ["-n 3 --gpus=4", "--gres=gpu:1,nvme:1", "-N two", "-n 0", "--mem-per-cpu=x", "-N 2 --gpus-per-node=1 -n 3"]
)
def test_what_cannot_be_dealt_out_evenly_is_refused(line: str) -> None:
    with pytest.raises(BadRequest):
        read(line)


def test_no_spelling_is_used_twice() -> None:
    flags = [flag for opt in TABLE for flag in opt.flags]
    assert len(flags) == len(set(flags))
    assert not set(flags) & set(REFUSED)
