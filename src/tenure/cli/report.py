"""``report``: how things stand, what would help."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from tenure.cli import console, options
from tenure.cli.explain import present_ms
from tenure.cli.table import Column, render
from tenure.cli.text import moment, span
from tenure.client.errors import usage
from tenure.model.amounts import format_bytes, format_milli
from tenure.wire.thinking import RecommendationView, StatusReport, StockView

_STOCKS = (
    Column("RESOURCE"),
    Column("THERE", right=True),
    Column("HELD", right=True),
    Column("FREE", right=True),
    Column("USED", right=True),
    Column("EFFICIENCY", right=True),
)
_WHAT = ("status", "advice")


def report(
    what: Annotated[str, typer.Argument(metavar="[status|advice]", help="Default: status.", show_default=False)] = "status",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Say how things stand after the last cycle: what is held and free, what those wait for who wait, and what would help.

    USED is what jobs were last measured to use, EFFICIENCY that by what they hold. What would help was tried out: each recommendation
    comes with the runs it rests on, the command that makes the change, and what that command would bring.

    Examples:

        tenure report
        tenure report advice
        tenure report status --json
    """
    if what not in _WHAT:
        raise usage(f"there is no report {what!r}", f"choose from {', '.join(_WHAT)}")
    form_is_json = options.is_json(output, as_json)
    with options.client() as client:
        if what == "advice":
            found = client.thinking.recommendations()
            if form_is_json:
                console.out_json(found)
            else:
                console.out("\n".join(advice_lines(found.recommendations)) or NOTHING)
            return
        standing = client.thinking.status()
    if form_is_json:
        console.out_json(standing)
    else:
        console.out(status_text(standing, present_ms(), colour=console.has_colour()))


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
