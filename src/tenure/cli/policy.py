"""``policy``: which policy plans, another one from now on, which there are, and what each has done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tenure.cli import console, options
from tenure.cli.explain import present_ms
from tenure.cli.table import Column, render
from tenure.cli.text import moment, span
from tenure.client.errors import usage
from tenure.model.amounts import format_duration_ms
from tenure.wire.policy import FrontReply, PoliciesReply, PolicyUse, PolicyView

_USES = (
    Column("POLICY", cut=True),
    Column("SINCE", drop=2),
    Column("TRIED", right=True),
    Column("STARTED", right=True),
    Column("FAILED", right=True),
    Column("SUCCESS", right=True),
    Column("MEAN-WAIT", right=True),
    Column("P95-WAIT", right=True),
    Column("MAX-WAIT", right=True, drop=3),
    Column("REASONS", right=True, drop=1),
)


def policy(
    action: Annotated[
        str, typer.Argument(metavar="[get|set|reset|list|front|performance]", help="Default: get.", show_default=False)
    ] = "get",
    name: Annotated[
        str,
        typer.Argument(metavar="[NAME[:KEY=VALUE,..]]", help="The policy to set, or of which to compare plans.", show_default=False),
    ] = "",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Say which policy decides, let another one decide from now on, list them, or compare what each has done.

    A policy that is set stays over restarts until another is set; reset goes back to the one that the settings file names. Nothing
    that runs is concerned. See tenure simulate and tenure what-if --policy for what another one would do. front shows the plans that a
    portfolio has to choose among now, and starts nothing.

    Examples:

        tenure policy
        tenure policy set easy
        tenure policy set default:wait_bonus=500,patience=4h
        tenure policy set sjf-easy+fgd
        tenure policy front portfolio:profile=green
        tenure policy performance
    """
    if action not in ("get", "set", "reset", "list", "front", "performance"):
        raise usage(f"{action!r} is nothing to do with policies", "choose get, set, reset, list, front or performance")
    if action != "front" and (action == "set") != bool(name):
        raise usage("name the policy" if action == "set" else f"{action} takes no name", "tenure policy list has all of them")
    form_is_json = options.is_json(output, as_json)
    with options.client() as client:
        reply: Any = {
            "get": client.policies.current,
            "set": lambda: client.policies.choose(name),
            "reset": lambda: client.policies.choose(""),
            "list": client.policies.names,
            "front": lambda: client.policies.front(name),
            "performance": client.policies.performance,
        }[action]()
    if form_is_json:
        console.out_json(reply)
    elif isinstance(reply, PolicyView):
        console.out(policy_text(reply, present_ms()))
    elif isinstance(reply, PoliciesReply):
        console.out(policies_text(reply))
    elif isinstance(reply, FrontReply):
        console.out(front_text(reply, colour=console.has_colour()))
    else:
        console.out(uses_table(reply.policies, present_ms(), colour=console.has_colour()))


def policy_text(view: PolicyView, now_ms: int) -> str:
    """The policy that decides, who chose it, and what it plans with that is not as the settings file has it."""
    clean = console.clean
    chosen = f"set by {clean(view.by)} at {moment(view.at_ms, now_ms)}" if view.by_person else "as the settings have it"
    lines = [f"Policy    {clean(view.policy)}  ({chosen})"]
    lines += [f"Settings  {', '.join(_setting(key, value) for key, value in view.settings.items())}"]
    if view.changed:
        lines.append(f"Changed   {', '.join(view.changed)}")
    if view.strategy:
        busy = f"{view.utilisation_pct:.0f}% in use, {view.pending} waiting, {view.critical} of them critical"
        lines.append(f"Strategy  {view.strategy}  ({busy})")
    if view.note:
        lines.append(f"Note      {clean(view.note)}")
    return "\n".join(lines)


def _setting(key: str, value: int) -> str:
    return f"{key.removesuffix('_ms')}={format_duration_ms(value).replace(' ', '') if key.endswith('_ms') and value else value}"


def policies_text(reply: PoliciesReply) -> str:
    """All names with what they do, and the grammar of the others."""
    width = max(len(item.name) for item in reply.policies)
    lines = [f"{item.name:<{width}}  {item.summary}" for item in reply.policies]
    return "\n".join(
        [
            *lines,
            "",
            f"Others are put together: {reply.grammar}",
            f"  ORDER      who goes first: {', '.join(reply.orders)}",
            f"  WAY        who may go ahead of the first that must wait; without it nobody: {', '.join(reply.ways)}",
            f"  PLACEMENT  where a task goes; best-fit without it: {', '.join(reply.placements)}",
        ]
    )


def front_text(reply: FrontReply, *, colour: bool = False) -> str:
    """Every plan with its objectives; those that nobody beats in everything are marked ``front``, the one that is chosen ``chosen``."""
    names = list(reply.weights)
    columns = (
        Column("PLAN-OF"),
        Column("STARTS", right=True),
        *(Column(name.upper(), right=True) for name in names),
        Column("VALUE", right=True),
        Column(""),
    )
    rows = [
        (
            console.clean(each.name),
            str(each.starts),
            *(f"{each.objectives[name]:.3f}" for name in names),
            f"{each.value:.3f}",
            "chosen" if each.chosen else "front" if each.on_front else "",
        )
        for each in reply.candidates
    ]
    weights = ", ".join(f"{name} {100 * weight:.0f}%" for name, weight in reply.weights.items())
    return f"{console.clean(reply.policy)}: {weights}\n{render(columns, rows, colour=colour)}"


def uses_table(uses: Sequence[PolicyUse], now_ms: int, *, colour: bool = False) -> str:
    """What each policy has done; the present one is marked."""
    rows = [
        (
            console.clean(use.policy) + (" *" if use.active else ""),
            moment(use.since_ms, now_ms),
            str(use.tried),
            str(use.succeeded),
            str(use.failed),
            "-" if use.success_rate is None else f"{use.success_rate * 100:.1f}%",
            *("-" if wait is None else span(wait) for wait in (use.mean_wait_ms, use.p95_wait_ms, use.max_wait_ms)),
            str(use.reasons),
        )
        for use in uses
    ]
    return render(_USES, rows, colour=colour)
