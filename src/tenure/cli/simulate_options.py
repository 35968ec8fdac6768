"""The options of ``simulate``: of the log and its machines, and of how it is replayed. Invariant: none of them needs a daemon."""

from __future__ import annotations

from typing import Annotated

import typer

_LOG, _HOW = "The log and the machines", "How it is replayed"

Traces = Annotated[
    list[str] | None, typer.Argument(metavar="[TRACE]...", help="Logs; history: the jobs that have ended here.", show_default=False)
]
Policies = Annotated[
    list[str] | None,
    typer.Option("--policy", metavar="NAME[:KEY=V,..]", rich_help_panel=_HOW, help="A policy; several times to compare."),
]
Runtimes = Annotated[
    str,
    typer.Option(
        "--runtimes", metavar="KIND", rich_help_panel=_HOW, help="What the planner believes: exact, requested (default), predicted."
    ),
]
EnforceLimits = Annotated[
    bool, typer.Option("--enforce-limits", rich_help_panel=_HOW, help="End a job at the time that its user requested.")
]
CheckpointEvery = Annotated[
    str,
    typer.Option(
        "--checkpoint-every", metavar="TIME", rich_help_panel=_HOW, help="A displaced job goes on from there; default: from zero."
    ),
]
FaultRates = Annotated[
    str, typer.Option("--faults", metavar="MTBF/MTTR", rich_help_panel=_HOW, help="Nodes fail: 30d/2h; jobs run again, or: ,fail.")
]
Full = Annotated[
    bool,
    typer.Option("--full", rich_help_panel=_HOW, help="Run every step of production, store included: slower, limits enforced."),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", rich_help_panel=_HOW, help="For everything that is drawn.")]
Generators = Annotated[
    list[str] | None,
    typer.Option("--generate", metavar="NAME[:KEY=N,..]", rich_help_panel=_LOG, help="Instead of a log: lublin or poisson."),
]
Format = Annotated[
    str,
    typer.Option(
        "--format", metavar="NAME", rich_help_panel=_LOG, help="swf, openb, philly, chronus, dlrm, history; default: by its looks."
    ),
]
Nodes = Annotated[
    str,
    typer.Option(
        "--nodes", metavar="SPEC|FILE", rich_help_panel=_LOG, help="100x8xA100:80G,64c,512G or a list; default: the log's machine."
    ),
]
PoolFile = Annotated[
    str, typer.Option("--pools", metavar="FILE", rich_help_panel=_LOG, help="Settings whose [pools.NAME] hold for these nodes.")
]
NodeOrder = Annotated[
    str,
    typer.Option("--node-order", metavar="ORDER", rich_help_panel=_LOG, help="Who wins ties: name (default), shuffled, random-ties."),
]
Arrival = Annotated[
    str,
    typer.Option(
        "--arrival", metavar="RATIO", rich_help_panel=_LOG, help="Of openb pods: come until so much of all GPUs is asked for."
    ),
]
Windows = Annotated[
    list[str] | None,
    typer.Option(
        "--window", metavar="NODES@FROM+LENGTH[:PROJECT]", rich_help_panel=_LOG, help="Nodes set aside: n1,n2@2d+4h, *@1d+2h."
    ),
]
First = Annotated[int, typer.Option("--limit", metavar="N", rich_help_panel=_LOG, help="The first N jobs only.")]
Out = Annotated[str, typer.Option("--out", metavar="DIR", help="Write metrics.json, report.html and every decision there.")]
