"""From options and words to a request: scripts, headers, environment, directories."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tenure.cli.submission import environment_of, request_of, script_text
from tenure.client.errors import BadRequest
from tenure.wire.dto import AfterRef


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TENURE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def script(path: Path, text: str, mode: int = 0o644) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_command_is_sent_as_it_is() -> None:
    request = request_of({"cpus": "0.5", "memory": "512", "after": ["1:any", "2"], "priority": "high"}, ["echo", "a b", "$HOME"])
    assert request.argv == ["echo", "a b", "$HOME"]
    assert (request.cpu_milli, request.memory_bytes, request.priority) == (500, 512 * 1024**2, 7)
    assert request.after == [AfterRef(job="1", condition="any"), AfterRef(job="2")]
    assert request.name == "echo"
    assert request.script == ""


def test_a_script_is_copied_and_its_headers_are_read(home: Path) -> None:
    text = "#!/bin/bash -e\n#SBATCH -J train -c 4 --mem=1G\necho $1\n"
    path = script(home / "job.sh", text)
    request = request_of({"cpus": "2"}, [path, "x"])
    assert request.argv[:2] == ["/bin/bash", "-e"]
    assert request.argv[3:] == ["x"]
    copy = Path(request.argv[2])
    assert copy.parent == home / "home" / "scripts"
    assert copy.read_text() == text
    assert (request.name, request.cpu_milli, request.memory_bytes, request.script) == ("train", 2000, 1024**3, text)
    Path(path).write_text("changed")
    assert copy.read_text() == text


def test_a_script_without_a_name_has_its_files() -> None:
    path = script(Path("job.sh"), "#!/bin/sh\ntrue\n")
    assert request_of({}, [path]).name == "job.sh"


@pytest.mark.parametrize(
    ("text", "mode", "is_script"),
    [
        ("#!/bin/sh\n#SBATCH -c 1\n", 0o755, True),
        ("#!/bin/sh\ntrue\n", 0o644, True),
        ("#!/bin/sh\ntrue\n", 0o755, False),
        ("print(1)\n", 0o644, False),
        ("", 0o644, False),
    ],
)
def test_what_is_a_script(tmp_path: Path, text: str, mode: int, is_script: bool) -> None:
    assert bool(script_text(script(tmp_path / "s", text, mode))) == is_script


def test_what_cannot_be_read_is_a_command(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"#!\xff\xfe")
    assert script_text(str(tmp_path / "binary")) == ""
    assert script_text(str(tmp_path)) == ""
    assert script_text("python") == ""
    (tmp_path / "huge").write_text("#!/bin/sh\n" + "#" * 2**20)
    assert script_text(str(tmp_path / "huge")) == ""


def test_a_script_without_an_interpreter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="names no interpreter"):
        request_of({}, [script(tmp_path / "s", "#!\n")])


def test_wrap_is_a_shell() -> None:
    request = request_of({"wrap": "echo $HOME | wc"}, [])
    assert request.argv == ["/bin/sh", "-c", "echo $HOME | wc"]
    assert request.name == "wrap"


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ({}, []),
        ({"wrap": "a"}, ["b"]),
        ({"tasks": "x"}, ["a"]),
        ({"chdir": "/nonexistent"}, ["a"]),
        ({"gpus": "1.5"}, ["a"]),
        ({"env": ["1=2"]}, ["a"]),
        ({"env": ["=2"]}, ["a"]),
        ({"env": ["TENURE_JOB_ID=2"]}, ["a"]),
        ({"env": ["NOT_SET_ANYWHERE"]}, ["a"]),
    ],
)
def test_what_is_refused(given: dict[str, Any], command: list[str]) -> None:
    with pytest.raises(BadRequest):
        request_of(given, command)


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    assert environment_of(["A=b=c", "DISPLAY", "E="], "ALL") == (True, {"A": "b=c", "DISPLAY": ":0", "E": ""})
    assert environment_of([], "NONE") == (False, {})
    assert environment_of(["A=2"], "ALL,A=1,B=3") == (True, {"A": "2", "B": "3"})
    assert environment_of([], "A=1") == (False, {"A": "1"})


def test_directory_nodes_labels_comment(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    request = request_of({"chdir": "sub", "nodes": "2", "constraint": "a100&nvlink", "comment": "why", "gres": "gpu:a100:2"}, ["a"])
    assert request.cwd == str(tmp_path / "sub")
    assert (request.nodes, request.tasks, request.labels) == (2, 2, ["a100", "nvlink"])
    assert (request.gpu_milli, request.gpu_model) == (2000, "a100")
    assert request.origin["comment"] == "why"
    assert "comment" not in request_of({}, ["a"]).origin


def test_requeue_is_said_to_be_one_retry(capsys: pytest.CaptureFixture[str]) -> None:
    assert request_of({"requeue": True}, ["a"]).retries == 1
    assert "--retries 1" in capsys.readouterr().err
    assert request_of({"requeue": True, "retries": "3"}, ["a"]).retries == 3


def test_snapshot_runs_from_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "a").write_text("1")
    monkeypatch.chdir(work)
    request = request_of({"snapshot": True}, ["cat", "a"])
    assert request.submit_dir == str(work)
    assert request.cwd.startswith(str(tmp_path / "home" / "snapshots"))
    assert os.listdir(request.cwd) == ["a"]
