"""The code blocks of a Markdown page, and the commands with their expected output in a ``console`` block.

A ``console`` block is a transcript: ``$ `` begins a command, ``> `` continues it, what follows is its output. In output, ``...``
stands for anything within a line, alone on a line for any lines. Run as a program it prints the n-th ``sh`` block of a page, which is
how CI takes README's commands word for word; it therefore needs nothing but the standard library.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fence:
    """One code block: its language, the rest of the opening line, its text, and the line of the page it begins on."""

    language: str
    options: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a transcript and the output it is said to have."""

    command: str
    expected: str
    line: int


def fences(page: str, language: str = "") -> list[Fence]:
    """The code blocks of a page, in order; only those of one language when it is given."""
    found = [Fence(m[1], m[2].strip(), m[3], page.count("\n", 0, m.start()) + 1) for m in _FENCE.finditer(page)]
    return [fence for fence in found if language in ("", fence.language)]


def steps(fence: Fence) -> list[Step]:
    """The commands of a transcript. Raises ValueError when it does not begin with one."""
    found: list[tuple[list[str], list[str], int]] = []
    for number, line in enumerate(fence.text.splitlines(), fence.line + 1):
        if line.startswith("$ "):
            found.append(([line[2:]], [], number))
        elif not found:
            raise ValueError(f"line {number}: a console block begins with a command ('$ ')")
        elif line.startswith("> ") and not found[-1][1]:
            found[-1][0].append(line[2:])
        else:
            found[-1][1].append(line)
    return [Step("\n".join(command), "\n".join(output), number) for command, output, number in found]


def agrees(expected: str, output: str) -> bool:
    """Whether output is what a page says, up to ``...``, runs of blanks, and empty lines at the ends."""
    return _lines_agree(_lines(expected), _lines(output))


def _lines(text: str) -> list[str]:
    """Lines with runs of blanks made one, without empty ones at the ends."""
    return "\n".join(re.sub(r"[ \t]+", " ", line).strip() for line in text.splitlines()).strip("\n").splitlines()


def _lines_agree(expected: list[str], output: list[str]) -> bool:
    if not expected:
        return not output
    if expected[0] == "...":
        return any(_lines_agree(expected[1:], output[skipped:]) for skipped in range(len(output) + 1))
    return bool(output) and _line_agrees(expected[0], output[0]) and _lines_agree(expected[1:], output[1:])


def _line_agrees(expected: str, output: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, expected.split("..."))), output) is not None


def main(arguments: list[str]) -> int:
    """Print the n-th ``sh`` block of a page (counted from 1)."""
    page, number = Path(arguments[0]), int(arguments[1])
    blocks = fences(page.read_text(), "sh")
    if not 0 < number <= len(blocks):
        sys.stderr.write(f"{page} has {len(blocks)} sh blocks, not {number}\n")
        return 2
    sys.stdout.write(blocks[number - 1].text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
