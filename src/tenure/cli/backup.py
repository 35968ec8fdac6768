"""``backup`` and ``restore``: all jobs and their history as one file."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from tenure.cli import console, options
from tenure.client import paths
from tenure.client.errors import EXIT_ERROR, TenureError, usage
from tenure.model.amounts import format_bytes

File = Annotated[str, typer.Argument(metavar="FILE", help="The file.", show_default=False)]


def backup(path: File, output: options.Form = "table", as_json: options.Json = False) -> None:
    """Write a consistent copy of the store to a new file, while everything goes on. Logs are files of their own and not in it.

    Example:

        tenure backup ~/tenure-$(date +%F).db
    """
    with options.client() as client:
        target = path if options.is_elsewhere() else os.path.abspath(os.path.expanduser(path))
        if not target.startswith("/"):
            raise usage(f"{path} is written by the daemon on its own machine", "give the full path there")
        reply = client.admin.backup(target)
    if options.is_json(output, as_json):
        console.out_json(reply)
    else:
        console.out(f"{reply.path}: {reply.jobs} jobs, {format_bytes(reply.bytes)}")


def restore(path: File, yes: options.Yes = False, output: options.Form = "table", as_json: options.Json = False) -> None:
    """Put a backup in the place of the present store, which is kept beside it. The daemon must be down.

    Example:

        tenure down && tenure restore ~/tenure-2026-01-31.db
    """
    import subprocess

    options.only_here("restore")
    home = paths.home()
    if not os.path.isfile(path):
        raise usage(f"there is no file {path}")
    if options.is_running(home):
        raise TenureError("daemon_running", "the daemon is running", "run: tenure down")
    if (
        os.path.exists(paths.database(home))
        and not yes
        and options.can_ask()
        and not console.confirm(f"replace {paths.database(home)}?")
    ):
        raise typer.Exit(EXIT_ERROR)
    command = [sys.executable, "-m", "tenure.bootstrap", "restore", "--home", home, os.path.abspath(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise TenureError(
            "restore_failed", said[-1].partition("tenure: ")[2] or said[-1] if said else "the backup could not be restored"
        )
    if options.is_json(output, as_json):
        console.out_json({"restored": os.path.abspath(path), "home": home})
    else:
        console.out(done.stdout.strip() or f"Restored {path}.")
