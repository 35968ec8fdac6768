"""From the words of a command line to an exit code.

Commands are looked up in the catalogue and imported one at a time. Invariant: whatever goes wrong ends in one sentence on stderr (a
JSON object with ``--json``) and an exit code that `--help` lists; a traceback appears only with ``TENURE_DEBUG=1``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from inspect import cleandoc
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from tenure.cli import console
from tenure.cli.catalogue import BY_WORD, ENTRIES, SECTIONS, Entry
from tenure.cli.values import plainly

_WIDTH = 100
_ABOUT = """Tenure runs your jobs when there is room for them, and says why when there is not.

The first command starts what it needs by itself:

    tenure submit --gpus 1 -- python train.py     queue it
    tenure ps                                     what runs, what waits, why, until when
    tenure logs -f last                           watch it
    tenure why last                               why it waits, or what became of it

A job is named by its id (12), an element of an array by 12_3; "last" is your newest job, last~2 the one before the one before.
"""
_EPILOG = """Every command has --help with examples. Those that print take -o table|wide|json (--json for short).

Exit codes: 0 done, 1 error, 2 a mistake in the command line, 3 not found, 4 can never run, 5 timed out, 130 interrupted (the job goes
on); wait and run return the job's own.
"""


class Manual(typer.core.TyperCommand):
    """A command whose help is its docstring, indented lines kept as they are, and whose options stand under their headings."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Remember what stood after ``--``: a command that takes words before and after it cannot tell them apart otherwise."""
        ctx.meta["tenure.command"] = args[args.index("--") + 1 :] if "--" in args else []
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        return [plainly(param) for param in super().get_params(ctx)]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        write_prose(formatter, self.help or "")

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and param.param_type_name == "option":
                sections.setdefault(getattr(param, "rich_help_panel", None) or "Options", []).append(record)
        general = sections.pop("Options", [])
        for heading, records in [*sections.items(), ("Options", general)]:
            with formatter.section(heading):
                formatter.write_dl(records)


class Group(typer.core.TyperGroup):
    """The command ``tenure`` itself: its help is the table of the catalogue."""

    def get_params(self, ctx: Any) -> list[Any]:
        return [plainly(param) for param in super().get_params(ctx)]

    def list_commands(self, ctx: Any) -> list[str]:
        return list(ENTRIES)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        write_prose(formatter, _ABOUT)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for heading, entries in SECTIONS:
            with formatter.section(heading):
                formatter.write_dl([(entry.name, entry.summary) for entry in entries], col_max=12)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        write_prose(formatter, _EPILOG, indent=False)


def write_prose(formatter: Any, text: str, *, indent: bool = True) -> None:
    """Write paragraphs wrapped to the width, and lines that are indented in the source as they stand."""
    for block in cleandoc(text).split("\n\n"):
        formatter.write_paragraph()
        if indent:
            formatter.indent()
        if block.startswith("    "):
            for line in block.splitlines():
                formatter.write(f"  {line}\n" if indent else f"{line}\n")
        else:
            formatter.write_text(block.replace("\n", " "))
        if indent:
            formatter.dedent()


class _Commands(Mapping[str, Any]):
    """Commands by name or alias, imported when asked for."""

    def __getitem__(self, word: str) -> Any:
        return load(BY_WORD[word])

    def __iter__(self) -> Iterator[str]:
        return iter(BY_WORD)

    def __len__(self) -> int:
        return len(BY_WORD)


def load(entry: Entry) -> Any:
    """Import one command: a function becomes a command, a Typer application a group of them."""
    found = getattr(import_module(f"tenure.cli.{entry.module}"), entry.function or entry.name)
    if isinstance(found, typer.Typer):
        return typer.main.get_command(found)
    return command_of(found, entry.name, entry.summary)


def command_of(function: Callable[..., Any], name: str, summary: str) -> Any:
    """One function as a command. A function that sets ``takes_command`` ends its options at the first word that is none."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    settings: dict[str, Any] = {"max_content_width": _WIDTH, "help_option_names": ["-h", "--help"]}
    if getattr(function, "takes_command", False):
        settings["allow_interspersed_args"] = False
    app.command(name, cls=Manual, help=cleandoc(function.__doc__ or summary), short_help=summary, context_settings=settings)(function)
    return typer.main.get_command(app)


def build() -> Any:
    """The whole command line, with no command imported yet."""
    app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback(context_settings={"max_content_width": _WIDTH, "help_option_names": ["-h", "--help"]})(_root)
    group: Any = typer.main.get_group(app)
    group.commands = _Commands()
    return group


def _show_version(value: bool) -> None:
    if value:
        from tenure import __version__

        console.out(f"tenure {__version__}")
        raise typer.Exit


def _root(
    _version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Tenure."""


def run(args: Sequence[str]) -> int:
    """Carry out one command line and return its exit code."""
    console.begin(args)
    if "_TENURE_COMPLETE" in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    try:
        code = build().main(list(args) or ["--help"], prog_name="tenure", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        return console.report(error)
    return code if isinstance(code, int) else 0
