"""The reader of transcripts: what counts as agreement, and that disagreement is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.fences import Fence, Step, agrees, fences, main, steps
from tests.docs.shell import Shell


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        ("", "\n"),
        ("a  b", "a b \n"),
        ("job ... queued", "job 12 queued"),
        ("first\n...\nlast", "first\nlast"),
        ("first\n...\nlast", "first\nx\ny\nlast"),
        ("...\nlast", "x\nlast"),
        ("...", "anything\nat all"),
        ("...", ""),
        ("a.c", "a.c"),
    ],
)
def test_agreement(expected: str, output: str) -> None:
    assert agrees(expected, output)


@pytest.mark.parametrize(
    ("expected", "output"), [("", "x"), ("a.c", "abc"), ("a\n...\nb", "a\nx"), ("a", "a\nb"), ("job ... queued", "job queue")]
)
def test_disagreement(expected: str, output: str) -> None:
    assert not agrees(expected, output)


def test_a_transcript_is_commands_with_output() -> None:
    page = "text\n\n```console\n$ echo a \\\n> b\na b\n$ true\n```\n\n```sh\nmake check\n```\n"
    transcript, shell = fences(page)
    assert (transcript.language, transcript.line, shell.text) == ("console", 3, "make check\n")
    assert steps(transcript) == [Step("echo a \\\nb", "a b", 4), Step("true", "", 7)]


def test_output_before_a_command_is_refused() -> None:
    with pytest.raises(ValueError, match="line 8"):
        steps(Fence("console", "", "oops\n$ true\n", 7))


def test_the_program_prints_one_block(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\none\n```\n```sh\ntwo\n```\n")
    assert main([str(page), "2"]) == 0
    assert capsys.readouterr().out == "two\n"
    assert main([str(page), "3"]) == 2


def test_a_shell_carries_directory_variables_and_status_over(tmp_path: Path) -> None:
    with Shell(tmp_path) as shell:
        assert shell.run("mkdir d && cd d && x=7") == (0, "")
        assert shell.run("basename $PWD; echo $x; (exit 3)") == (3, "d\n7\n")
        assert shell.run("echo $?") == (0, "3\n")


def test_a_command_that_hangs_is_reported(tmp_path: Path) -> None:
    with Shell(tmp_path) as shell, pytest.raises(TimeoutError, match="begun"):
        shell.run("echo begun; sleep 60", timeout_s=0.5)
