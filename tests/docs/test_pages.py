"""Every transcript of README and the documentation, executed top to bottom, a fresh installation per page.

A command must exit with 0 unless the transcript asks for its status next (``$ echo $?``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.fences import Step, agrees, fences, steps
from tests.docs.shell import Shell

ROOT = Path(__file__).resolve().parents[2]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if fences(page.read_text(), "console")]


# What a page leaves behind: jobs, the daemon, and the supervisor, which would stay for the jobs of the next daemon.
END_ALL = """
{
tenure cancel --state active -y
supervisor=$(tenure status -o json | python -c 'import json, sys; print(json.load(sys.stdin)["supervisor_pid"])')
tenure down
kill "$supervisor"
} >/dev/null 2>&1
"""


@pytest.fixture
def shell() -> Iterator[Shell]:
    """A shell with a Tenure of its own, which is shut down afterwards, running jobs included."""
    with tempfile.TemporaryDirectory(prefix="tenure-docs-") as folder, Shell(Path(folder)) as opened:
        try:
            yield opened
        finally:
            opened.run(END_ALL, timeout_s=30)


def transcript(page: Path) -> list[Step]:
    """Every command of a page, in order."""
    return [step for fence in fences(page.read_text(), "console") for step in steps(fence)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_page_says_what_happens(page: Path, shell: Shell) -> None:
    commands = transcript(page)
    following = [step.command for step in commands[1:]] + [""]
    for step, then in zip(commands, following, strict=True):
        status, output = shell.run(step.command)
        where = f"{page.relative_to(ROOT)}:{step.line}: $ {step.command}\n"
        assert agrees(step.expected, output), f"{where}--- the page says\n{step.expected}\n--- it said\n{output}"
        assert status == 0 or then == "echo $?", f"{where}exit status {status}\n{output}"
