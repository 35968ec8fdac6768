"""The page docs/reference/cli.md, made from the commands: ``python -m tenure.cli.reference > docs/reference/cli.md``.

What a command's ``--help`` says is all there is; a test compares the page with what this prints.
"""

from __future__ import annotations

import sys
from inspect import cleandoc
from typing import Any

from tenure.cli.app import load
from tenure.cli.catalogue import SECTIONS, Entry

_HEAD = """# Commands

Made from the commands themselves by `python -m tenure.cli.reference`; `tenure COMMAND --help` says the same.

Jobs are named by an id (`12`), an element of an array (`12_3`), a range (`12-15`), `last`, or `last~2`. Commands that print take
`-o table|wide|json`, `--json` for short; a pipe gets every column, a terminal those that fit, and colour unless `NO_COLOR` is set.
[Exit codes](exit-codes.md) are the same everywhere.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for heading, entries in SECTIONS:
        parts.append(f"## {heading}\n")
        parts += [_command(entry) for entry in entries]
    return "\n".join(parts)


def _command(entry: Entry) -> str:
    command = load(entry)
    lines = [f"### tenure {entry.name}", ""]
    if entry.aliases:
        lines += [f"Also: {', '.join(f'`tenure {alias}`' for alias in entry.aliases)}.", ""]
    for block in cleandoc(command.help).split("\n\n"):
        lines += _block(block)
    rows = [_row(param) for param in command.params if param.param_type_name == "option" and not param.hidden]
    lines += ["| option | |", "|---|---|", *rows, ""] if rows else []
    return "\n".join(lines)


def _block(block: str) -> list[str]:
    if block.startswith("    "):
        return ["```text", *(line[4:] for line in block.splitlines()), "```", ""]
    return [_escaped(block.replace("\n", " ")), ""]


def _row(param: Any) -> str:
    spelt = ", ".join(f"`{flag}`" for flag in param.opts)
    metavar = f" {param.metavar}" if param.metavar else ""
    return f"| {spelt}{_escaped(metavar)} | {_escaped(param.help or '')} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("{", "&#123;").replace("*", "\\*")


if __name__ == "__main__":
    sys.stdout.write(page())
