"""``report``: how things stand, what would help, and what was held, paid and wasted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import typer

from tenure.cli import console, options
from tenure.cli.explain import present_ms
from tenure.cli.table import Column, render
from tenure.cli.text import moment, span
from tenure.client.errors import usage
from tenure.client.words import since_of
from tenure.model.amounts import format_bytes, format_milli
from tenure.wire.report_text import csv_of, html_of, number
from tenure.wire.report_text import moment as stamp
from tenure.wire.reports import KINDS, ReportReply
from tenure.wire.thinking import RecommendationView, StatusReport, StockView

_STOCKS = (
    Column("RESOURCE"),
    Column("THERE", right=True),
    Column("HELD", right=True),
    Column("FREE", right=True),
    Column("USED", right=True),
    Column("EFFICIENCY", right=True),
)
_WHAT = ("status", "advice", *KINDS)
KEYS = ("user", "project", "queue", "day")
FORMATS = ("table", "wide", "json", "csv", "html")


def report(
    what: Annotated[
        str, typer.Argument(metavar="[status|advice|usage|cost|waste]", help="Default: status.", show_default=False)
    ] = "status",
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help="From when on: 30d, 2026-01-31, 14:30. Default 7d.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="WHEN", help="Until when; now, unless told.")] = "",
    by: Annotated[str, typer.Option("--by", metavar="KEY", help="user, project, queue or day. Default user.")] = "",
    form: Annotated[str, typer.Option("--format", metavar="FORM", help="table, json, csv or html.")] = "",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Say how things stand and what would help, or account for the past: what was held, what it cost, what of it was in vain.

    In status, USED is what jobs were last measured to use, EFFICIENCY that by what they hold. What would help was tried out: each
    recommendation comes with the runs it rests on, the command that makes the change, and what that command would bring.

    usage, cost and waste go back as far as runs are kept; jobs that run count until now. Costs follow from the price that nodes declare
    (a label such as price_per_hour=2.50). Waste is in GPU-hours.

    Examples:

        tenure report
        tenure report advice
        tenure report usage --since 30d --by project
        tenure report waste --by day --format csv > waste.csv
        tenure report cost --since 2026-01-01 --format html > cost.html
    """
    if what not in _WHAT:
        raise usage(f"there is no report {what!r}", f"choose from {', '.join(_WHAT)}")
    chosen = "json" if options.is_json(output, as_json) else form or output
    if chosen not in FORMATS:
        raise usage(f"{chosen!r} is not a format", "choose table, json, csv or html")
    if chosen == "json":
        console.choose("json")
    if what in KINDS:
        _account(what, since or "7d", until, by or "user", chosen)
    elif told := next((flag for flag, value in (("--since", since), ("--until", until), ("--by", by)) if value), ""):
        raise usage(f"{what} is of now, and takes no {told}", f"leave it out; it is for {', '.join(KINDS)}")
    elif chosen in ("csv", "html"):
        raise usage(f"{what} comes as a table or as JSON", f"csv and html are for {', '.join(KINDS)}")
    elif what == "advice":
        with options.client() as client:
            found = client.thinking.recommendations()
        _show(found, chosen, lambda: "\n".join(advice_lines(found.recommendations)) or NOTHING)
    else:
        with options.client() as client:
            standing = client.thinking.status()
        _show(standing, chosen, lambda: status_text(standing, present_ms(), colour=console.has_colour()))


def _show(reply: Any, form: str, text: Callable[[], str]) -> None:
    if form == "json":
        console.out_json(reply)
    else:
        console.out(text())


def _account(kind: str, since: str, until: str, by: str, form: str) -> None:
    if by not in KEYS:
        raise usage(f"a report is by {', '.join(KEYS)}, not by {by!r}")
    since_ms, until_ms = since_of(since), since_of(until) if until else 0
    with options.client() as client:
        reply = client.thinking.report(kind, since_ms=since_ms, until_ms=until_ms, by=by)
    if form == "csv":
        sys.stdout.write(csv_of(reply))
    elif form == "html":
        sys.stdout.write(html_of(reply))
    else:
        _show(reply, form, lambda: report_text(reply, colour=console.has_colour()))


def report_text(reply: ReportReply, *, colour: bool = False) -> str:
    """The table of a report of the past, and its notes."""
    columns = [Column(reply.by.upper()), *(Column(name.upper().replace("_", "-"), right=True) for name in reply.columns)]
    rows = [(console.clean(row.key), *_figures(row.figures, reply)) for row in reply.rows]
    rows.append(("total", *_figures(reply.total, reply)))
    head = f"From {stamp(reply.since_ms)} to {stamp(reply.until_ms)}:"
    notes = [f"Note: {note}." for note in reply.notes]
    return "\n".join([head, "", render(columns, rows, colour=colour), *([""] if notes else []), *notes])


def _figures(figures: Mapping[str, float], reply: ReportReply) -> list[str]:
    return [number(figures[name]) if name in figures else "-" for name in reply.columns]


NOTHING = "nothing was found that would let somebody start sooner"


def status_text(report: StatusReport, now_ms: int, *, colour: bool = False) -> str:
    """The whole report."""
    policy = report.policy + (f" ({report.strategy})" if report.strategy else "")
    waiting = f"{report.pending} waiting" + (f", {report.critical} of them critical" if report.critical else "")
    head = f"{report.utilisation:.0%} in use, {report.running} running, {waiting}; policy {console.clean(policy)}"
    rows = [_stock(stock, report.efficiency.get(stock.kind)) for stock in report.available]
    lines = [head, "", render(_STOCKS, rows, colour=colour)]
    if report.bottlenecks:
        lines += ["", "Waited for:"]
        for one in report.bottlenecks:
            until = f", until {moment(one.until_ms, now_ms)} as planned" if one.until_ms else ""
            lines.append(
                f"  {one.resource.replace('_', ' ')}: by {one.jobs} {'job' if one.jobs == 1 else 'jobs'} (such as {one.job}){until}"
            )
    if report.recommendations:
        lines += ["", "What would help:", *advice_lines(report.recommendations, "  ")]
    return "\n".join(lines)


def _stock(stock: StockView, efficiency: float | None) -> tuple[str, ...]:
    show = _SHOWN.get(stock.kind, format_bytes)
    return (
        stock.kind.replace("_", " "),
        show(stock.offered),
        show(stock.allocated),
        show(stock.available),
        "-" if stock.used is None else show(stock.used),
        "-" if efficiency is None else f"{efficiency:.0%}",
    )


_SHOWN: dict[str, Callable[[int], str]] = {"cpu": format_milli, "gpu": format_milli, "network": lambda bps: f"{bps / 1e9:g} Gbit/s"}


def advice_lines(found: list[RecommendationView], indent: str = "") -> Iterator[str]:
    """Each recommendation: what was seen, what to type, what that brings."""
    for one in found:
        gain = f", {span(one.gain_ms)} sooner together" if one.gain_ms > 0 and one.sooner > len(one.starts_now) else ""
        yield f"{indent}- {console.clean(one.text)}"
        yield f"{indent}    {console.clean(one.command)}"
        yield f"{indent}    then {console.clean(one.estimate)}{gain}"
