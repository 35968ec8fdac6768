"""``what-if``: what would start when, and who would be delayed, if something were different. Nothing is changed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import typer

from tenure.cli import console, options
from tenure.cli.explain import present_ms
from tenure.cli.shifts import what_if_text
from tenure.cli.submit_table import with_submit_options
from tenure.client import words
from tenure.client.errors import usage
from tenure.client.selecting import check_ref
from tenure.wire.dto import SubmitRequest
from tenure.wire.whatif import MachineSpec, PriorityWish, WhatIfRequest

_IF, _HOW = "If ...", "What is shown"
_STAND_IN = ["true"]
"""The command of a job that is only supposed: what it would run plays no part."""

MaybeCommand = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="COMMAND", help="One more job, with the options of submit; the command may be left out.", show_default=False
    ),
]


AddNodes = Annotated[
    list[str] | None,
    typer.Option("--add-nodes", metavar="SPEC", rich_help_panel=_IF, help="There were more nodes: 2x8xA100:80G,64c,512G, 4x32c,128G."),
]
RemoveNodes = Annotated[
    list[str] | None,
    typer.Option("--remove-node", metavar="NODE", rich_help_panel=_IF, help="A node were gone; what it runs waits again."),
]
Drained = Annotated[list[str] | None, typer.Option("--drain", metavar="NODE", rich_help_panel=_IF, help="A node took nothing new.")]
Resumed = Annotated[
    list[str] | None,
    typer.Option("--resume-node", metavar="NODE", rich_help_panel=_IF, help="A node that is drained or down took work again."),
]
Jobs = Annotated[
    list[str] | None,
    typer.Option("--job", metavar="'OPTIONS'", rich_help_panel=_IF, help="One more job were queued: '--gpus 4 --time 2h'."),
]
Priorities = Annotated[
    list[str] | None,
    typer.Option("--priority", metavar="[JOB=]P", rich_help_panel=_IF, help="A job had another priority; P alone: the new job."),
]
Cancelled = Annotated[
    list[str] | None, typer.Option("--cancel", metavar="JOB", rich_help_panel=_IF, help="A job were cancelled, waiting or running.")
]
Policy = Annotated[
    str, typer.Option("--policy", metavar="NAME[:KEY=V,..]", rich_help_panel=_IF, help="Another policy decided, or other settings.")
]
Profile = Annotated[
    str,
    typer.Option(
        "--profile", metavar="NAME", rich_help_panel=_IF, help="The portfolio decided, by balanced, fast, fair, green or cheap."
    ),
]
Compared = Annotated[int, typer.Option("--limit", metavar="N", min=1, rich_help_panel=_HOW, help="Compare the first N waiting jobs.")]
AllJobs = Annotated[bool, typer.Option("--all", rich_help_panel=_HOW, help="List the jobs that nothing changes for, too.")]


@partial(with_submit_options, own_first=True)
def what_if(
    given: dict[str, Any],
    command: MaybeCommand = None,
    add_nodes: AddNodes = None,
    remove_node: RemoveNodes = None,
    drain: Drained = None,
    resume_node: Resumed = None,
    job: Jobs = None,
    priority: Priorities = None,
    cancel: Cancelled = None,
    policy: Policy = "",
    profile: Profile = "",
    limit: Compared = 200,
    all_jobs: AllJobs = False,
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Say what would start when, and who would be delayed by how much, if something were different. Nothing is changed.

    Everything that is given is supposed together, and each option may be repeated. The options of submit describe one more job; for
    several use --job. Expected starts are what the planner would do if every job took all of its time limit and nobody new came:
    what depends on a job without a limit is unknown.

    Examples:

        tenure what-if --add-nodes 2x8xA100:80G
        tenure what-if --drain node-3 --remove-node node-4
        tenure what-if --gpus 4 --time 2h                    whom would this job delay?
        tenure what-if --job '--gpus 8 -t 1h' --job '--gpus 1 -t 8h'
        tenure what-if --priority 12=8 --cancel 15-18
        tenure what-if --resume-node node-5
        tenure what-if --policy easy --json
        tenure what-if --policy default:wait_bonus=500
        tenure what-if --profile fair

    Exit codes: 0, 3 when there is no such job or node, 4 when a job that is supposed could never run.
    """
    wishes, own = _priorities(priority or ())
    jobs = [_job(text) for text in job or ()]
    if given or command or own:
        jobs.append(_request({**given, **own}, command))
    request = WhatIfRequest(
        add_nodes=[spec for text in add_nodes or () for spec in machines_of(text)],
        remove_nodes=list(remove_node or ()),
        drain_nodes=list(drain or ()),
        resume_nodes=list(resume_node or ()),
        add_jobs=jobs,
        priorities=wishes,
        cancel=[_checked(word) for word in cancel or ()],
        policy=_policy(policy, profile),
        limit=limit,
    )
    if request == WhatIfRequest(limit=limit):
        raise usage("there is nothing to suppose", "say what: --add-nodes 2x8xA100:80G, --cancel 12, --gpus 4 --time 2h, ...")
    with options.client() as client:
        reply = client.admin.what_if(request)
    if options.is_json(output, as_json):
        console.out_json(reply)
    else:
        console.out(what_if_text(reply, present_ms(), everything=all_jobs))


def _policy(policy: str, profile: str) -> str:
    """The policy that is supposed: that of ``--policy``, or the portfolio with that profile. Raises `BadRequest` for both."""
    if policy and profile:
        raise usage("a profile is one of the portfolio, so only one of --policy and --profile is supposed", "leave one of them out")
    return f"portfolio:profile={profile}" if profile else policy


def machines_of(text: str) -> list[MachineSpec]:
    """The nodes of a spec, or of a file that lists nodes, those that are alike as one. Raises `BadRequest`."""
    from tenure.sim.machines import parse_nodes
    from tenure.sim.workload import BadWorkload

    try:
        nodes = parse_nodes(text)
    except BadWorkload as error:
        raise usage(str(error)) from error
    specs: list[MachineSpec] = []
    for node in nodes:
        spec = MachineSpec(
            cpu_milli=node.capacity.cpu_milli,
            memory_bytes=node.capacity.memory_bytes,
            storage_bytes=node.capacity.storage_bytes,
            bandwidth_bps=node.capacity.bandwidth_bps,
            gpus=len(node.devices),
            gpu_model=node.devices[0].model if node.devices else "",
            gpu_memory_bytes=node.devices[0].memory_bytes if node.devices else 0,
            labels=list(node.labels),
        )
        if specs and spec == _one(specs[-1]):
            specs[-1].count += 1
        else:
            specs.append(spec)
    return specs


def _one(spec: MachineSpec) -> MachineSpec:
    from msgspec.structs import replace

    return replace(spec, count=1)


def _priorities(given: Sequence[str]) -> tuple[list[PriorityWish], dict[str, str]]:
    """Priorities of jobs that are queued (``12=8``), and that of the new job (``8``)."""
    wishes, own = [], {}
    for text in given:
        job, equals, value = text.rpartition("=")
        if equals:
            wishes.append(PriorityWish(job=_checked(job), priority=words.priority_of(value)))
        else:
            own = {"priority": value}
    return wishes, own


def _checked(word: str) -> str:
    check_ref(word)
    return word


def _job(text: str) -> SubmitRequest:
    """A job from the options of submit in one text."""
    from tenure.cli.app import command_of

    try:
        parts = shlex.split(text)
    except ValueError as error:
        raise usage(f"--job {text!r} is not closed: {str(error).lower()}", "write it as --job '--gpus 4 --time 2h'") from error
    request: SubmitRequest = command_of(_one_job, "submit", "").main(parts, prog_name="tenure submit", standalone_mode=False)
    return request


@with_submit_options
def _one_job(given: dict[str, Any], command: MaybeCommand = None) -> SubmitRequest:
    """A job, from the options of submit."""
    return _request(given, command)


def _request(given: dict[str, Any], command: list[str] | None) -> SubmitRequest:
    from tenure.cli.submission import request_of

    described = {name: value for name, value in given.items() if name not in ("snapshot", "env", "export")}
    request = request_of(described, command or ([] if "wrap" in given else _STAND_IN))
    request.env = {}
    if not command and "name" not in given:
        request.name = ""
    return request
