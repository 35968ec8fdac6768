"""From a caller's words to a request: what is captured, what is refused, how jobs are named and selected."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tenure.client import environment
from tenure.client.errors import BadRequest
from tenure.client.requests import build_request, default_name
from tenure.client.selecting import selection
from tenure.wire.dto import AfterRef, Selection


def test_words_become_amounts(tmp_path: Path) -> None:
    request = build_request(
        ["python", "t.py"],
        key="k",
        cpus=0.5,
        memory="8G",
        gpus="a100:2",
        gpu_memory="10G",
        time="2h",
        priority="high",
        after="12:any",
        array="0-9%2",
        begin="2026-01-01T00:00",
        grace="1m",
        cwd=str(tmp_path),
    )
    assert (request.cpu_milli, request.memory_bytes, request.gpu_milli, request.gpu_model) == (500, 8 * 1024**3, 2000, "a100")
    assert (request.limit_ms, request.priority, request.grace_ms) == (7_200_000, 7, 60_000)
    assert request.after == [AfterRef(job="12", condition="any")]
    assert (request.array, request.cwd, request.name) == ("0-9%2", str(tmp_path), "t.py")
    assert request.not_before_ms > 0
    assert request.origin["host"] == os.uname().nodename


def test_nothing_is_asked_for_by_default() -> None:
    request = build_request(["true"], key="k")
    assert (request.cpu_milli, request.memory_bytes, request.gpu_milli, request.limit_ms, request.priority) == (1000, 0, 0, 0, 5)
    assert request.cwd == os.getcwd()


@pytest.mark.parametrize("mask", [0o027, 0o002])
def test_the_umask_is_told_and_not_touched(mask: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(mask)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", lambda _mask: pytest.fail("it is that of all threads"))
            assert build_request(["true"], key="k").umask == mask
    finally:
        os.umask(before)


def test_where_the_kernel_does_not_tell_the_umask_it_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenure.client.requests.STATUS", "/proc/self/no-such-file")
    assert build_request(["true"], key="k").umask == 0o022


@pytest.mark.parametrize("command", [[], "python train.py"])
def test_a_command_is_a_list(command: list[str]) -> None:
    with pytest.raises(BadRequest, match="no command"):
        build_request(command, key="k")


def test_a_bad_array_is_refused() -> None:
    with pytest.raises(BadRequest):
        build_request(["true"], key="k", array="9-0")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python", "train.py", "--lr", "1"], "train.py"),
        (["/usr/bin/python3.11", "-u", "src/train.py"], "train.py"),
        (["python", "-m", "pkg.train"], "pkg.train"),
        (["python", "-c", "print(1.5)"], "python"),
        (["sh", "-c", "sleep 1.5"], "sh"),
        (["echo", "a.b"], "echo"),
        (["./run.sh", "x"], "run.sh"),
        (["bash"], "bash"),
    ],
)
def test_default_names(command: list[str], name: str) -> None:
    assert default_name(command) == name


def test_the_environment_travels_without_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "SSH_AUTH_SOCK", "TMUX", "CUDA_VISIBLE_DEVICES", "TENURE_JOB_ID", "_TENURE_COMPLETE"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("COLOUR", "blue")
    monkeypatch.setenv("TENURE_HOME", "/h")
    env = build_request(["true"], key="k").env
    assert env["COLOUR"] == "blue"
    assert env["TENURE_HOME"] == "/h"
    assert not {"DISPLAY", "SSH_AUTH_SOCK", "TMUX", "CUDA_VISIBLE_DEVICES", "TENURE_JOB_ID", "_TENURE_COMPLETE", "PWD"} & set(env)


def test_a_change_of_the_environment_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_request(["true"], key="k").env
    assert build_request(["true"], key="k").env is first
    monkeypatch.setenv("COLOUR", "red")
    assert build_request(["true"], key="k").env["COLOUR"] == "red"
    assert "COLOUR" not in first
    assert build_request(["true"], key="k", env={"COLOUR": "blue"}).env["COLOUR"] == "blue"
    assert build_request(["true"], key="k", env={"A": "1"}, inherit=False).env == {"A": "1"}


def test_the_commit_is_recorded(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q", "-b", "main")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    (tmp_path / "sub").mkdir()
    environment._origin.cache_clear()
    clean = environment.origin(str(tmp_path / "sub"))
    assert (clean["git_commit"], clean["git_branch"], clean["git_dirty"]) == (git("rev-parse", "HEAD"), "main", "false")
    (tmp_path / "a").write_text("2")
    environment._origin.cache_clear()
    assert environment.origin(str(tmp_path))["git_dirty"] == "true"


def test_without_git_there_is_only_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    environment._origin.cache_clear()
    assert set(environment.origin(str(tmp_path))) == {"host"}
    environment._origin.cache_clear()


def test_selections() -> None:
    assert selection(None) == Selection(states=["active"])
    assert selection(12) == Selection(ids=["12"])
    assert selection(["12-15", "last"]) == Selection(ids=["12-15", "last"])
    chosen = Selection(name="x*")
    assert selection(chosen) is chosen
