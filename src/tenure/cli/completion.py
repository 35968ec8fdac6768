"""``completion`` and ``version``."""

from __future__ import annotations

from typing import Annotated

import typer

from tenure.cli import console, options
from tenure.client.errors import usage

SHELLS = ("bash", "zsh", "fish")


def completion(shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="Your shell.", show_default=False)]) -> None:
    """Print what makes your shell complete commands, options and job ids. Put it where your shell reads it.

    Examples:

        tenure completion bash > ~/.local/share/bash-completion/completions/tenure
        tenure completion zsh > ~/.zfunc/_tenure
        tenure completion fish > ~/.config/fish/completions/tenure.fish
    """
    if shell not in SHELLS:
        raise usage(f"there is no completion for {shell!r}", f"choose {', '.join(SHELLS)}")
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    console.out(get_completion_script(prog_name="tenure", complete_var="_TENURE_COMPLETE", shell=shell).strip())


def version(output: options.Form = "table", as_json: options.Json = False) -> None:
    """Print the version of this command."""
    from tenure import __version__
    from tenure.wire import PROTOCOL

    if options.is_json(output, as_json):
        console.out_json({"version": __version__, "protocol": PROTOCOL})
    else:
        console.out(f"tenure {__version__}")
