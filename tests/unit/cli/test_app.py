"""The command line as a whole: help, completion, what it imports, and that its reference is current."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tenure.cli import console
from tenure.cli.app import load
from tenure.cli.catalogue import BY_WORD, ENTRIES, SECTIONS
from tenure.cli.reference import page
from tests.unit.cli.conftest import FakeClient, Shell

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ["fastapi", "pydantic", "sqlalchemy", "numpy", "rich", "psutil", "uvicorn", "asyncio", "ssl", "http.client", "email"]


def test_help_names_every_command(shell: Shell) -> None:
    done = shell("--help")
    assert done.code == 0
    for heading, entries in SECTIONS:
        assert f"\n{heading}:\n" in done.out
        for entry in entries:
            assert f"  {entry.name} " in done.out
    assert shell() == done
    assert "Exit codes" in done.out


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_every_command_explains_itself(shell: Shell, name: str) -> None:
    done = shell(name, "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: tenure {name}")
    if name != "version":
        assert re.search(rf"\n      (.*)tenure {name}", done.out), "an example"
    assert shell(name, "-h").out == done.out


def test_aliases_are_the_same_command() -> None:
    assert BY_WORD["kill"] is ENTRIES["cancel"]
    assert BY_WORD["ls"] is ENTRIES["ps"]
    assert len(BY_WORD) == sum(1 + len(entry.aliases) for entry in ENTRIES.values())


def test_a_typing_mistake_is_answered_with_the_word(shell: Shell) -> None:
    assert "Did you mean 'submit'" in shell("sumbit").err


def test_version(shell: Shell) -> None:
    from tenure import __version__

    assert shell("version").out == shell("--version").out == f"tenure {__version__}\n"
    assert f'"version":"{__version__}"' in shell("version", "--json").out


def imported(tmp_path: Path, *words: str) -> set[str]:
    """The modules that a command line has imported when it ends."""
    code = f"""
import sys
from tenure.cli.app import run
code = run({list(words)!r})
sys.stderr.write("\\n".join(["", *sorted(sys.modules)]))
"""
    environment = {**os.environ, "TENURE_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True)
    return set(done.stderr.split())


def test_help_imports_no_command_and_nothing_heavy(tmp_path: Path) -> None:
    modules = imported(tmp_path, "--help")
    assert not modules & {*HEAVY, "msgspec", "tenure.wire.dto", "platformdirs"}
    assert {name for name in modules if name.startswith("tenure.cli.")} == {
        "tenure.cli.app",
        "tenure.cli.values",
        "tenure.cli.console",
        "tenure.cli.catalogue",
    }


def test_ps_imports_nothing_heavy(tmp_path: Path) -> None:
    modules = imported(tmp_path, "status")
    assert "tenure.client.session" in modules or "tenure.client.start" in modules
    assert not modules & {*HEAVY, "platformdirs"}
    code = "import sys, tenure.cli.ps, tenure.cli.submit, tenure.cli.submission, tenure.client.start; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not set(done.stdout.split()) & {*HEAVY, "platformdirs"}


def test_completion_scripts(shell: Shell) -> None:
    for name in ("bash", "zsh", "fish"):
        done = shell("completion", name)
        assert done.code == 0
        assert "_TENURE_COMPLETE" in done.out


def completed(words: str, number: int) -> list[str]:
    """What bash is offered for the last word."""
    environment = {**os.environ, "_TENURE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    done = subprocess.run(
        [sys.executable, "-m", "tenure.cli"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout.split()


def test_commands_and_options_are_completed() -> None:
    assert completed("tenure su", 1) == ["submit", "suspend"]
    assert "--gpu-memory" in completed("tenure submit --gpu", 2)


def test_the_reference_is_current() -> None:
    assert (ROOT / "docs/reference/cli.md").read_text() == page(), "run: python -m tenure.cli.reference > docs/reference/cli.md"


def test_every_entry_can_be_loaded() -> None:
    assert {load(entry).name for entry in ENTRIES.values()} == set(ENTRIES)


def test_a_reader_that_leaves_is_no_error(shell: Shell, client: FakeClient) -> None:
    done = subprocess.run(
        f"{sys.executable} -m tenure.cli --help | true", shell=True, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""


def test_text_of_others_cannot_move_the_cursor() -> None:
    assert console.clean("a\x1b[2Jb\n") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}"
    assert console.clean("plain äé") == "plain äé"


@pytest.mark.parametrize(
    ("tty", "variables", "colour"),
    [(True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False)],
)
def test_colour(monkeypatch: pytest.MonkeyPatch, tty: bool, variables: dict[str, str], colour: bool) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: tty, raising=False)
    assert console.has_colour() == colour
