"""What the command line says, and how: text to stdout, notes and errors to stderr, JSON where it was asked for.

Invariant: nothing but the answer goes to stdout; there is no colour where nobody sees it; text that came from a job's name or output
of others cannot move the cursor.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tenure.client.errors import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_USAGE, TenureError

SCHEMA = 1
"""Version of the JSON that commands print; a removed or renamed field raises it."""

_SCALARS = frozenset({str, int, bool, float, type(None)})
_asked_json = False


def begin(args: Sequence[str]) -> None:
    """Forget the last command line. A look at the words decides how a mistake in them will be reported."""
    before = list(args)[: list(args).index("--")] if "--" in args else list(args)
    choose("json" if "--json" in before or "-ojson" in before or _has_pair(before) else "table")


def _has_pair(words: Sequence[str]) -> bool:
    return any(a in ("-o", "--output") and b == "json" for a, b in pairwise(words)) or "--output=json" in words


def choose(form: str) -> None:
    """Remember the format that was asked for: errors take it too."""
    global _asked_json  # noqa: PLW0603 (one process, one command line)
    _asked_json = form == "json"


def out(text: str) -> None:
    """Write a line of the answer."""
    sys.stdout.write(text + "\n")


def flush() -> None:
    """Let the answer so far be seen."""
    sys.stdout.flush()


def note(text: str) -> None:
    """Write a line about the answer."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def is_terminal() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout.isatty()


def width() -> int:
    """The columns of the screen that tables are fitted to; 0 for a pipe, which gets everything."""
    return shutil.get_terminal_size((120, 40)).columns if is_terminal() else 0


def has_colour() -> bool:
    """Whether colour may be used: a terminal that can, and no ``NO_COLOR``."""
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def hint(text: str) -> None:
    """One line on what to type next, for people only."""
    if is_terminal() and sys.stderr.isatty() and not _asked_json:
        note(f"\x1b[2m{text}\x1b[0m" if has_colour() else text)


def out_json(value: Any) -> None:
    """Write a reply as one JSON object: every field, also those that have their default."""
    out(to_json({"schema": SCHEMA, **plain(value)}))


def to_json(value: Any) -> str:
    """JSON text of plain data."""
    import msgspec

    return msgspec.json.encode(value).decode()


def plain(value: Any) -> Any:
    """A struct as plain data with all its fields, whatever is inside likewise."""
    if type(value) in _SCALARS:  # nearly everything is one: a listing has forty fields a job
        return value
    fields = getattr(type(value), "__struct_fields__", None)
    if fields is not None:
        return {name: found if type(found := getattr(value, name)) in _SCALARS else plain(found) for name in fields}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return value


def clean(text: str) -> str:
    """Text of others with everything that could drive a terminal made visible."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def confirm(question: str) -> bool:
    """Ask a person; anything but yes is no."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def report(error: BaseException) -> int:
    """Say what went wrong and return the exit code for it."""
    if isinstance(error, BrokenPipeError):  # the reader has seen enough, as with `tenure ps | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else EXIT_ERROR
    if os.environ.get("TENURE_DEBUG") == "1" and isinstance(error, Exception):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return EXIT_INTERRUPTED
    return _sentence(*_explained(error))


def _explained(error: BaseException) -> tuple[str, str, str, int, dict[str, Any]]:
    """Code, message, remedy, exit code and details of any error."""
    if isinstance(error, TenureError):
        return error.code, error.message, error.remedy, error.exit_code, error.details
    if hasattr(error, "format_message"):  # what Typer raises for a command line it cannot read
        context = getattr(error, "ctx", None)
        remedy = f"see: {context.command_path} --help" if context is not None else "see: tenure --help"
        return "usage", str(error.format_message()), remedy, EXIT_USAGE, {}
    if isinstance(error, OSError) and error.strerror:
        about = f"{error.filename}: " if error.filename else ""
        return "system", f"{about}{error.strerror}", "", EXIT_ERROR, {}
    text = f"{type(error).__name__}: {error}"
    return "internal", f"something went wrong inside tenure: {text}", "run it again with TENURE_DEBUG=1 and report it", EXIT_ERROR, {}


def _sentence(code: str, message: str, remedy: str, exit_code: int, details: dict[str, Any]) -> int:
    if _asked_json:
        found = {"code": code, "message": message, "remedy": remedy, "exit_code": exit_code, "details": details}
        note(to_json({"schema": SCHEMA, "error": found}))
        return exit_code
    sentence = message.rstrip(". ")
    note(f"tenure: {sentence}" + (f"; {remedy}" if remedy else ""))
    return exit_code
