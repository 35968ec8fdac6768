"""``submit``, ``run`` and ``plan``: three ways to hand in the same thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenure.cli import console, options, text
from tenure.cli.submit_table import with_submit_options
from tenure.client.errors import EXIT_NEVER_FITS, usage
from tenure.model.amounts import format_duration_ms
from tenure.wire import dto

if TYPE_CHECKING:
    from tenure.wire.whatif import PlanReply

_HOW = "How submit behaves"
Command = Annotated[list[str], typer.Argument(metavar="COMMAND", help="A command with its arguments, or a script.", show_default=False)]


@with_submit_options
def submit(
    given: dict[str, Any],
    command: Command,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "--test-only", rich_help_panel=_HOW, help="Only say what would become of it.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", "-W", rich_help_panel=_HOW, help="Wait for its end; return its exit code.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", rich_help_panel=_HOW, help="Print its output; return its exit code.")
    ] = False,
    parsable: Annotated[bool, typer.Option("--parsable", rich_help_panel=_HOW, help="Print the id and nothing else.")] = False,
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Queue a command or a script, and print its id.

    The first word that is not an option begins the command; -- says so explicitly. Amounts are per task. The job runs in this
    directory with this environment (less what belongs to your session), whenever there is room.

    Examples:

        tenure submit -- python train.py --lr 0.1
        tenure submit --gpus 1 --memory 16G --time 2h -- python train.py
        tenure submit --gpus 0.5 --vram 10G -- python serve.py
        tenure submit --array 0-99%8 -- sh -c 'python eval.py --part $TENURE_ARRAY_INDEX'
        tenure submit --after 12:ok -- python evaluate.py
        tenure submit train.sbatch.sh                  a script with #SBATCH headers

    A script that begins with #! and has #SBATCH headers (or may not be executed) is copied when it is submitted; its headers are
    read, options here win over them, and an option that Tenure does not honour is refused by name.

    Exit codes: 0 queued, 2 a mistake in the options, 4 it could never run here (nothing is queued). With --wait or --follow the
    job's own; Ctrl-C then detaches (130) and the job goes on.
    """
    from tenure.cli.submission import request_of

    request = request_of(given, command)
    as_json = options.is_json(output, as_json)
    if dry_run:
        _plan(request, as_json)
    if follow and request.array:
        raise usage("an array has many outputs", "submit it, then: tenure logs -f ID_INDEX; or use --wait")
    with options.client() as client:
        reply = client.submit(request)
        if follow or wait:
            _stay(client, reply, follow, as_json, parsable)
        _print_submitted(request, reply, as_json, parsable)


def _print_submitted(request: dto.SubmitRequest, reply: dto.SubmitReply, as_json: bool, parsable: bool) -> None:
    if as_json:
        console.out_json(reply)
    elif parsable:
        console.out(reply.id)
    else:
        console.out(submitted_text(request, reply))
        where = f"{reply.id}_0" if reply.elements else reply.id
        console.hint(f"next: tenure logs -f {where} · tenure why {reply.id} · tenure ps · tenure cancel {reply.id}")


def submitted_text(request: dto.SubmitRequest, reply: dto.SubmitReply) -> str:
    """What was queued, with the limit as it was understood."""
    elements = f" of {reply.elements} elements" if reply.elements else ""
    limit_ms = reply.limit_ms or request.limit_ms
    limit = f", limit {format_duration_ms(limit_ms)}" if limit_ms else ""
    known = " (it was submitted before)" if reply.replayed else ""
    kind = "array" if reply.elements else "job"
    line = f"Submitted {kind} {reply.id} ({console.clean(reply.name or request.name)}){elements}{limit}{known}"
    return f"{line}\n{reply.note}" if reply.note else line


def _stay(client: Any, reply: dto.SubmitReply, follow: bool, as_json: bool, parsable: bool) -> None:
    from tenure.cli.follow import ending, wait_for
    from tenure.cli.follow import follow as stay

    if follow:
        if not parsable:
            console.note(f"tenure: job {reply.id} queued; Ctrl-C detaches")
        raise typer.Exit(stay(client, reply.id))
    if parsable:
        console.out(reply.id)
    elif not as_json:
        console.note(f"tenure: waiting for job {reply.id}; Ctrl-C detaches")
    code, jobs = wait_for(client, reply.id)
    if as_json:
        console.out_json(dto.WaitReply(done=bool(jobs), jobs=jobs))
    elif not parsable:
        for job in jobs:
            console.out(f"{ending(job)[:1].upper()}{ending(job)[1:]}")
    raise typer.Exit(code)


@with_submit_options
def run(
    given: dict[str, Any],
    command: Command,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", rich_help_panel=_HOW, help="Print only the job's output.")] = False,
) -> None:
    """Queue a command, print its output as it comes, and return its exit code: submit --follow in one word.

    It waits in the queue like any other job. Ctrl-C detaches; the job goes on.

    Examples:

        tenure run --gpus 1 -- python train.py
        tenure run --memory 2G -- make test

    Exit codes: the job's own (128 + signal when one ended it); 2 a mistake, 4 it could never run, 130 detached.
    """
    from tenure.cli.follow import follow
    from tenure.cli.submission import request_of

    request = request_of(given, command)
    if request.array:
        raise usage("an array has many outputs", "use tenure submit, then: tenure logs -f ID_INDEX")
    with options.client() as client:
        reply = client.submit(request)
        if not quiet:
            console.note(f"tenure: job {reply.id} queued; Ctrl-C detaches")
        raise typer.Exit(follow(client, reply.id, quiet=quiet))


@with_submit_options
def plan(given: dict[str, Any], command: Command, output: options.Form = "table", as_json: options.Json = False) -> None:
    """Say what would become of a submission: starts now, waits (for what, until when), or could never run; and whom it would delay.

    Nothing is queued. For questions of other kinds see tenure what-if.

    Examples:

        tenure plan --gpus 4 --time 2h -- python train.py
        tenure plan train.sbatch.sh

    Exit codes: 0 it could run, 4 it could never run here.
    """
    from tenure.cli.submission import request_of

    _plan(request_of(given, command), options.is_json(output, as_json))


def _plan(request: dto.SubmitRequest, as_json: bool) -> None:
    with options.client() as client:
        reply = client.plan(request)
    if as_json:
        console.out_json(reply)
    else:
        console.out(plan_text(reply))
    raise typer.Exit(EXIT_NEVER_FITS if reply.verdict == "never" else 0)


def plan_text(reply: PlanReply, now_ms: int | None = None) -> str:
    """What would become of it, and why; whom it would delay."""
    from tenure.cli.explain import explanation_lines, present_ms
    from tenure.cli.shifts import horizon_lines

    first = {"starts_now": "It would start now", "waits": "It would wait", "never": "It could never run here"}.get(
        reply.verdict, reply.verdict
    )
    if reply.placements:
        first += f" on {', '.join(reply.placements)}"
    lines = [f"{first}." if reply.explanation is None or not reply.explanation.summary else f"{first}: {reply.explanation.summary}"]
    if reply.limit_ms:
        lines.append(f"Time limit: {text.span(reply.limit_ms)}")
    if reply.explanation is not None:
        lines += explanation_lines(reply.explanation, now_ms or present_ms())
    lines += horizon_lines(reply, now_ms or present_ms())
    if reply.note:
        lines.append(reply.note)
    return "\n".join(lines)
