"""Options that several commands share, and the client they talk through."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tenure.cli import console
from tenure.client.errors import TenureError, usage
from tenure.wire.dto import Selection

if TYPE_CHECKING:
    from tenure.client.session import Client

FORMS = ("table", "wide", "json")
_WHICH = "Which jobs"


def _form(value: str) -> str:
    if value not in FORMS:
        raise typer.BadParameter(f"{value!r} is not a format; choose table, wide or json")
    if value == "json":
        console.choose("json")
    return value


def _json(value: bool) -> bool:
    if value:
        console.choose("json")
    return value


Form = Annotated[str, typer.Option("-o", "--output", metavar="FORM", callback=_form, help="table, wide or json.")]
Json = Annotated[bool, typer.Option("--json", callback=_json, help="The same as -o json.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]
Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[JOB]...", help="Ids, elements (12_3), ranges (12-15), last, last~2.", show_default=False)
]
OneId = Annotated[
    str, typer.Argument(metavar="[JOB]", help="An id, an element (12_3), last or last~2. Default: last.", show_default=False)
]
Name = Annotated[str, typer.Option("--name", "-J", metavar="GLOB", rich_help_panel=_WHICH, help="Jobs with such a name: 'train*'.")]
State = Annotated[
    str,
    typer.Option("--state", "-s", metavar="STATE,..", rich_help_panel=_WHICH, help="Jobs in a state: pending, running, failed, ..."),
]
Mine = Annotated[bool, typer.Option("--mine", rich_help_panel=_WHICH, help="My jobs.")]
Queue = Annotated[str, typer.Option("--queue", "-p", metavar="QUEUE", rich_help_panel=_WHICH, help="Jobs of one queue.")]
Group = Annotated[str, typer.Option("--group", metavar="GROUP", rich_help_panel=_WHICH, help="Jobs of one sweep.")]


def client() -> Client:
    """A client that is connected; the daemon is started when none answers."""
    from tenure.client.start import connect

    return connect(say=console.note)


def is_running(home: str) -> bool:
    """Whether a daemon answers for this home."""
    from tenure.client.start import is_listening

    return is_listening(home)


def is_elsewhere() -> bool:
    """Whether the daemon is on another machine, where directories and programs are other ones."""
    from tenure.client.place import elsewhere

    place = elsewhere()
    return place is not None and not place.is_this_machine


def only_here(what: str) -> None:
    """Refuse a command that concerns this machine while another daemon is meant."""
    from tenure.client.place import elsewhere

    place = elsewhere()
    if place is not None:
        raise TenureError(
            "not_remote", f"{what} concerns this machine, and {place.url} is meant", "unset TENURE_URL and TENURE_PROFILE"
        )


def is_json(form: str, as_json: bool) -> bool:
    """Whether JSON was asked for, in one way or the other."""
    return as_json or form == "json"


def states_of(text: str) -> list[str]:
    """States as people write them, commas between."""
    if not text:
        return []
    from tenure.model.lifecycle import JobState

    short = {"pd": "pending", "r": "running", "f": "failed", "cd": "succeeded", "ca": "cancelled", "to": "timed_out", "s": "suspended"}
    found = []
    for part in text.replace(" ", ",").split(","):
        word = short.get(part.lower(), part.lower()).replace("-", "_")
        if not word:
            continue
        if word not in (*JobState, "active", "ended", "all"):
            raise usage(f"{part!r} is not a state", f"choose from {', '.join(JobState)}, or active, ended, all")
        found.append(word)
    return found


def chosen(
    ids: Sequence[str] | None, *, name: str = "", state: str = "", mine: bool = False, queue: str = "", group: str = ""
) -> Selection:
    """The jobs that were named or filtered; naming none at all is refused."""
    from tenure.client.selecting import check_ref

    for word in ids or ():
        check_ref(word)
    select = Selection(ids=list(ids or ()), name=name, states=states_of(state), mine=mine, queue=queue, group=group)
    if not is_filter(select) and not select.ids:
        raise usage("no job is named", "give an id, last, or a filter such as --name 'train*', --state pending, --mine")
    return select


def is_filter(select: Selection) -> bool:
    """Whether jobs are chosen by what they are and not by name."""
    return bool(select.name or select.states or select.mine or select.queue or select.group)


def can_ask() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()
