"""``reserve``, ``reservations`` and ``unreserve``: nodes that are set aside for a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

import typer

from tenure.cli import console, options
from tenure.cli.explain import present_ms
from tenure.cli.table import Column, render
from tenure.cli.text import moment
from tenure.client.errors import usage
from tenure.client.words import bytes_of, milli_of, moment_of, span_of
from tenure.model.amounts import format_bytes
from tenure.wire.reservation import PartView, ReservationView
from tenure.wire.text import count_text

_COLUMNS = (
    Column("ID", right=True),
    Column("NAME"),
    Column("STATE"),
    Column("FROM"),
    Column("UNTIL"),
    Column("FOR"),
    Column("WHAT", cut=True),
    Column("RUNNING", cut=True),
    Column("BY", drop=1),
)
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
ALL = "all"


def reserve(
    nodes: Annotated[str, typer.Option("--nodes", "-w", metavar="NODE,..", help="Which nodes. Default: all.")] = ALL,
    begin: Annotated[
        str, typer.Option("--from", metavar="WHEN", help="From when: 18:00, +2h, 2026-01-31T16:00. Default: now.")
    ] = "now",
    until: Annotated[str, typer.Option("--until", metavar="WHEN", help="Until when; a time of day is the next one after --from.")] = "",
    length: Annotated[str, typer.Option("--for", metavar="SPAN", help="Or for how long: 2h, 1d, 90m; a bare number is minutes.")] = "",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What it is called. Default: reservation-N, maintenance-N.")] = "",
    project: Annotated[str, typer.Option("--project", "-A", metavar="PROJECT", help="For the jobs of this project.")] = "",
    user: Annotated[str, typer.Option("--user", metavar="USER", help="For the jobs of this user.")] = "",
    maintenance: Annotated[bool, typer.Option("--maintenance", help="For nobody: nothing is started into it.")] = False,
    gpus: Annotated[int, typer.Option("--gpus", "-G", metavar="N", min=0, help="Only so many GPUs of each node, and their share.")] = 0,
    cpus: Annotated[str, typer.Option("--cpus", "-c", metavar="N", help="Only so many cpus of each node.")] = "",
    memory: Annotated[str, typer.Option("--memory", "--mem", metavar="SIZE", help="Only so much memory of each node.")] = "",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Set nodes aside for a time: for the jobs of a project or a user, or, as maintenance, for nobody.

    Jobs need not name it: those of its project or user may start in it, there and anywhere. No other job starts on these nodes if its
    time limit reaches into it; one without a limit does not start there before it is over. What runs already goes on: it is named, and
    to end it is your decision.

    Of GPUs those are taken that will be free, with their share of the node's cpus and memory unless --cpus and --memory say how much.

    Examples:

        tenure reserve --maintenance --nodes gpu01 --from 18:00 --for 2h
        tenure reserve --project course --nodes gpu01,gpu02 --from 2026-01-31T09:00 --until 17:00 --name course
        tenure reserve --project vision --gpus 2 --for 1d

    Exit codes: 0, 1 when somebody has that room or name already, 2, 3 when there is no such node or user, 4 when no node has that much.
    """
    form_is_json = options.is_json(output, as_json)
    if bool(until) == bool(length):
        raise usage("say until when, or for how long" + (", not both" if until else ""), "write --for 2h, or --until 20:00")
    from_ms = 0 if begin.strip().lower() == "now" else moment_of(begin)
    names = [word for word in nodes.replace(" ", "").split(",") if word]
    if not names or (ALL in names and len(names) > 1):
        raise usage(f"{nodes!r} names no nodes", "write --nodes gpu01,gpu02, or leave it out for all")
    with options.client() as client:
        view = client.reservations.make(
            from_ms=from_ms,
            until_ms=_end_of(until, from_ms) if until else 0,
            length_ms=span_of(length) if length else 0,
            nodes=[] if names == [ALL] else names,
            name=name,
            project=project,
            user=user,
            maintenance=maintenance,
            gpus=gpus,
            cpu_milli=milli_of(cpus) if cpus else 0,
            memory_bytes=bytes_of(memory, "m") if memory else 0,
        )
    if form_is_json:
        console.out_json(view)
    else:
        console.out(made_text(view, present_ms()))


def reservations(
    history: Annotated[bool, typer.Option("--history", help="Those that are over or were taken back, too, the newest first.")] = False,
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """List what is set aside, for whom and when, the first to begin first.

    RUNNING are jobs that it is not for and that are, or will still be, in it.

    Examples:

        tenure reservations
        tenure reservations --history
        tenure reservations --json
    """
    with options.client() as client:
        reply = client.reservations.history() if history else client.reservations.standing()
    if options.is_json(output, as_json):
        console.out_json(reply)
    else:
        console.out(reservations_table(reply.reservations, present_ms(), history=history, colour=console.has_colour()))


def unreserve(
    reservation: Annotated[str, typer.Argument(metavar="NAME|ID", help="Which one.", show_default=False)],
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Take a reservation back: who waited for its end may start at once.

    Examples:

        tenure unreserve course
        tenure unreserve 3

    Exit codes: 0, 1 when it is over, 3 when there is none.
    """
    with options.client() as client:
        view = client.reservations.remove(reservation)
    if options.is_json(output, as_json):
        console.out_json(view)
    else:
        console.out(f"Reservation {console.clean(view.name)} is taken back")


def _end_of(text: str, from_ms: int) -> int:
    """The end: a time of day is the next one after the beginning."""
    after_s = from_ms / 1000 if from_ms and _TIME_OF_DAY.fullmatch(text.strip()) else None
    return moment_of(text, after_s)


def made_text(view: ReservationView, now_ms: int) -> str:
    """What was set aside, and what one should know of it."""
    until = moment(view.until_ms, now_ms)
    lines = [f"Reserved {console.clean(view.name)} ({view.id}): {what_text(view)} for {_whom(view)}"]
    lines.append(f"From {moment(view.from_ms, now_ms)} until {until}")
    lines += [console.clean(note) for note in view.notes]
    if view.running:
        jobs = ("job " if len(view.running) == 1 else "jobs ") + ", ".join(view.running)
        lines.append(f"Still in it: {jobs}, which it is not for and which may go on; tenure cancel or tenure requeue ends what must go")
    return "\n".join(lines)


def reservations_table(found: Sequence[ReservationView], now_ms: int, *, history: bool = False, colour: bool = False) -> str:
    """The table of ``reservations``, a sentence when there are none."""
    if not found:
        return "Nothing was reserved." if history else "Nothing is reserved."
    rows = [
        (
            str(view.id),
            console.clean(view.name),
            view.state,
            moment(view.from_ms, now_ms),
            moment(view.until_ms, now_ms),
            _whom(view),
            what_text(view),
            ", ".join(view.running) or "-",
            console.clean(view.made_by),
        )
        for view in found
    ]
    return render(_COLUMNS, rows, colour=colour)


def _whom(view: ReservationView) -> str:
    if view.maintenance:
        return "maintenance"
    owners = [f"project {view.project}"] if view.project else []
    return console.clean(" or ".join([*owners, *([f"user {view.user}"] if view.user else [])]))


def what_text(view: ReservationView) -> str:
    """What is set aside: ``gpu01, gpu02``, ``gpu01 (GPU 0, 1, 8 cpus, 64G)``."""
    return console.clean(", ".join(part.node if part.whole else f"{part.node} ({_part_text(part)})" for part in view.parts))


def _part_text(part: PartView) -> str:
    found = ["GPU " + ", ".join(map(str, part.gpus))] if part.gpus else []
    found += [count_text(part.cpu_milli, "cpu")] if part.cpu_milli else []
    return ", ".join([*found, *([format_bytes(part.memory_bytes)] if part.memory_bytes else [])])
