"""``audit``: who did what, as a table or as a file that anybody can check without a daemon."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import IO, Annotated

import typer

from tenure.cli import console, options
from tenure.cli.explain import present_ms
from tenure.cli.table import Column, render
from tenure.cli.text import details, moment
from tenure.client.auditing import LONGEST, Export, Extent, broken, check
from tenure.client.errors import usage
from tenure.wire.people import AuditView

_AUDIT = (
    Column("SEQ", right=True),
    Column("TIME"),
    Column("USER"),
    Column("VIA"),
    Column("WHAT"),
    Column("TARGET", cut=True),
    Column("OUTCOME"),
    Column("DETAIL", cut=True, drop=1),
)
_DIGITS = frozenset("0123456789abcdef")


def audit(
    action: Annotated[str, typer.Argument(metavar="[list|export|verify]", help="Default: list.", show_default=False)] = "list",
    path: Annotated[
        str, typer.Argument(metavar="[FILE]", help="The export. Default, and -: standard output or input.", show_default=False)
    ] = "-",
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=1000, metavar="N", help="The last N rows. Default 50.")] = 50,
    after: Annotated[int, typer.Option("--after", min=0, metavar="SEQ", help="Export what follows this row.")] = 0,
    head: Annotated[
        str, typer.Option("--head", metavar="HASH", help="Verify that the row with this hash, noted earlier, is in the file.")
    ] = "",
    from_hash: Annotated[
        str, typer.Option("--from-hash", metavar="HASH", help="Verify that the file goes on after the row with this hash.")
    ] = "",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Print who changed what, the newest first: every change that was asked for, also those that were refused.

    Each row's hash covers the row and the hash before it, so that none can be altered or removed unseen; tenure doctor --check-store
    follows the chain. An export that is kept elsewhere, or only its last hash, proves it also against somebody who can write to the
    store: verify needs no daemon and no store, and names the first entry that does not hold.

    Examples:

        tenure audit
        tenure audit -n 500 --json
        tenure audit export audit.jsonl
        tenure audit verify audit.jsonl
        tenure audit verify audit.jsonl --head 5c1f...
    """
    _check_words(action, path, after, head, from_hash)
    form_is_json = options.is_json(output, as_json)
    if action == "list":
        _list(limit, form_is_json)
    elif action == "export":
        _export(path, after, form_is_json)
    else:
        with _opened(path) as lines:
            extent = check(lines, head=head, begins=from_hash)
        if form_is_json:
            console.out_json(extent._asdict())
        else:
            console.out(f"{_said(extent)}: nothing was altered, and nothing is missing between them")


def _check_words(action: str, path: str, after: int, head: str, from_hash: str) -> None:
    """Raise BadRequest for what does not belong together."""
    if action not in ("list", "export", "verify"):
        raise usage(f"{action!r} is nothing to do with the audit log", "choose list, export or verify")
    if action == "list" and path != "-":
        raise usage("list takes no file", f"to write one: tenure audit export {path}")
    if after and action != "export":
        raise usage("--after is of an export", "tenure audit export FILE --after SEQ")
    if (head or from_hash) and action != "verify":
        raise usage("a hash is noted to verify an export", "tenure audit verify FILE --head HASH")
    for word in filter(None, (head, from_hash)):
        if len(word) != 64 or not _DIGITS.issuperset(word):
            raise usage(f"{console.clean(word[:80])!r} is no hash of a row", "give all 64 digits, as an export says them")


def _list(limit: int, form_is_json: bool) -> None:
    with options.client() as client:
        reply = client.people.audit(limit)
    if form_is_json:
        console.out_json(reply)
    else:
        console.out(audit_table(reply.entries, present_ms(), console.width(), colour=console.has_colour()))


def _export(path: str, after: int, form_is_json: bool) -> None:
    """Write the file, then say on the other stream what it is; raise where the log does not hold."""
    with options.client() as client:
        export = Export(client.people, after)
        if path == "-":
            console.flush()
            _write(sys.stdout.buffer, export.lines())
        else:
            _write_new(path, export.lines())
    if path != "-" and form_is_json:
        console.out_json(export.extent._asdict())
    else:
        console.note(f"{_said(export.extent)}; keep that hash somewhere else")
    if export.wrong:
        raise broken(f"all that there is was written, and the log does not hold: {export.wrong}")


def _write(file: IO[bytes], lines: Iterable[bytes]) -> None:
    for line in lines:
        file.write(line)
    file.flush()


def _write_new(path: str, lines: Iterable[bytes]) -> None:
    """Write a file that must not be there, for its owner alone; one that could not be finished does not stay."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise usage(f"{path} is there already", "name another file; an export never writes over one") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            _write(file, lines)
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(path)
        raise


@contextmanager
def _opened(path: str) -> Iterator[Iterable[bytes]]:
    """The lines of a file, none longer than a row can be."""
    with nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb") as file:
        yield iter(lambda: file.readline(LONGEST + 1), b"")


def _said(extent: Extent) -> str:
    """What a file holds, in a few words."""
    if not extent.rows:
        return f"no rows after row {extent.after}" + (f"; its hash is {extent.hash}" if extent.hash else "")
    return f"{extent.rows} rows, from {extent.after + 1} to {extent.last}; the last hash is {extent.hash}"


def audit_table(entries: Sequence[AuditView], now_ms: int, width: int = 0, *, colour: bool = False) -> str:
    """The table of ``audit``."""
    rows = [
        (
            str(view.seq),
            moment(view.at_ms, now_ms),
            console.clean(view.user),
            view.via,
            console.clean(view.what) + (f" x{view.count}" if view.count > 1 else ""),
            console.clean(view.target),
            view.outcome,
            details(view.detail),
        )
        for view in entries
    ]
    return render(_AUDIT, rows, width=width, colour=colour)
