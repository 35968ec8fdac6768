"""Completing ids of jobs: which, for which command and shell; silent when nobody answers, and quick because nothing is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.cli import ids
from tenure.cli.app import load
from tenure.cli.catalogue import ENTRIES
from tenure.cli.ids import FLAGS, completed
from tenure.client import paths
from tests.unit.client.fake import FakeDaemon, drop, raw, reply
from tests.unit.client.fake import daemon as serving

ACTIVE = {"jobs": [{"id": "12", "number": 12, "name": "train", "state": "running"}, {"id": "13", "name": "a b", "state": "pending"}]}
ENDED = {"jobs": [{"id": "9", "name": "$(rm -rf ~)`\"':", "state": "failed"}]}


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    """A daemon that knows two active jobs and one that has ended."""
    with serving(reply(ACTIVE), reply(ENDED)) as fake:
        monkeypatch.setattr(paths, "daemon_socket", lambda _home: fake.path)
        yield fake


def typed(line: str, shell: str = "bash") -> dict[str, str]:
    """The environment in which a shell asks about this line."""
    words = line.split(" ")
    return {
        "_TENURE_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }


def test_active_and_lately_ended_jobs_are_offered(daemon: FakeDaemon) -> None:
    assert completed(typed("tenure show ")) == "12\n13\n9"
    assert [asked.json["states"] for asked in daemon.asked] == [["active"], ["ended"]]
    assert all(asked.json["limit"] <= ids.MOST for asked in daemon.asked)


def test_only_active_jobs_where_an_ended_one_makes_no_sense(daemon: FakeDaemon) -> None:
    assert completed(typed("tenure cancel 12 ")) == "13", "not what is there already"
    assert [asked.json["states"] for asked in daemon.asked] == [["active"]]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("tenure logs 1", "12\n13"),
        ("tenure logs -f 1", "12\n13"),
        ("tenure explain 9", "9"),
        ("tenure wait l", "last"),
        ("tenure why x", ""),
    ],
)
def test_what_is_typed_already_counts(daemon: FakeDaemon, line: str, offered: str) -> None:
    assert completed(typed(line)) == offered


@pytest.mark.parametrize(
    "line",
    [
        "tenure ",
        "tenure sh",
        "tenure submit ",
        "tenure show -",
        "tenure ps --state ",
        "tenure logs --task ",
        "tenure cancel -- ",
        "tenure nodes ",
    ],
)
def test_other_words_are_left_to_the_command_line(daemon: FakeDaemon, line: str) -> None:
    assert completed(typed(line)) is None
    assert daemon.asked == []
    assert completed({**typed("tenure show "), "_TENURE_COMPLETE": "source_powershell"}) is None


def test_a_name_means_nothing_to_a_shell_that_evaluates(daemon: FakeDaemon) -> None:
    said = completed(typed("tenure show ", "zsh"))
    assert said is not None
    inner = said.removeprefix("_arguments '*: :((").removesuffix("))'")
    assert inner.split('" "') == ['"12":"train running', '13":"a b pending', '9":"rm -rf failed"']
    assert not set("$`();|&<>'\\") & set(inner)


def test_fish_is_told_whether_there_is_anything(daemon: FakeDaemon) -> None:
    assert completed(typed("tenure show 1", "fish")) == "12\ttrain running\n13\ta b pending"
    asks = {**typed("tenure show 7", "fish"), "_TYPER_COMPLETE_FISH_ACTION": "is-args"}
    with pytest.raises(SystemExit) as left:
        completed(asks)
    assert left.value.code == 1


@pytest.mark.parametrize(
    "answer",
    [drop, raw(b"nonsense\r\n\r\n"), reply({}, 500), reply({"other": 1}), raw(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{")],
)
def test_whatever_goes_wrong_completes_nothing(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    with serving(answer) as fake:  # type: ignore[arg-type]
        monkeypatch.setattr(paths, "daemon_socket", lambda _home: fake.path)
        assert completed(typed("tenure show ")) == ""
        assert completed(typed("tenure show ", "zsh")) == ""


def test_no_daemon_is_started_and_nothing_is_said(tmp_path: Path) -> None:
    program = (
        "import sys; from tenure.cli import main; main(); "
        "heavy = {'typer', 'msgspec', 'asyncio', 'rich'} & set(sys.modules); assert not heavy, heavy"
    )
    env = {**os.environ, **typed("tenure show "), "TENURE_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_the_catalogue_knows_who_takes_ids(name: str) -> None:
    params = getattr(load(ENTRIES[name]), "params", [])
    takes = any(param.param_type_name == "argument" and param.name in ("job", "jobs") for param in params)
    assert bool(ENTRIES[name].jobs) == takes
    if takes:
        switches = {word for param in params if getattr(param, "is_flag", False) for word in param.opts if word != "--help"}
        assert switches <= FLAGS
        values = {word for param in params if not getattr(param, "is_flag", False) for word in param.opts}
        assert not values & FLAGS
