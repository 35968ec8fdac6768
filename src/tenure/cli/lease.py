"""``lease``: hold amounts for a short time, for a command or for whoever has the token."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from functools import partial
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenure.cli import console, options
from tenure.cli.table import Column, render
from tenure.cli.tabled import with_parameters
from tenure.cli.text import memory, rough
from tenure.client.errors import usage
from tenure.model.amounts import format_bits, format_bytes, format_milli, is_whole

if TYPE_CHECKING:
    from tenure.client.session import Client
    from tenure.wire.leases import LeaseRequest, LeaseView

_ACTIONS = ("acquire", "renew", "release", "list")
_ASK, _HOW = "What it holds", "For how long and for whom"
_ID, _TOKEN = "TENURE_LEASE", "TENURE_LEASE_TOKEN"
_COLUMNS = (
    Column("LEASE"),
    Column("PHASE"),
    Column("USER"),
    Column("NODE"),
    Column("CPUS", right=True),
    Column("MEMORY", right=True),
    Column("GPUS", right=True),
    Column("LEFT", right=True),
    Column("PID", right=True, drop=2),
    Column("COST", right=True, drop=1),
    Column("FOR", cut=True),
)

Words = Annotated[list[str] | None, typer.Argument(metavar="[acquire|renew|release|list] [LEASE] [-- COMMAND]", show_default=False)]


def _option(field: str, flags: tuple[str, ...], metavar: str, section: str, default: str, text: str) -> Parameter:
    """One line of the table of options."""
    told = typer.Option(*flags, metavar=metavar, rich_help_panel=section, help=text)
    return Parameter(field, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[str, told])


_TABLE = (
    _option("cpus", ("--cpus", "-c"), "N", _ASK, "0", "Cpus: 4, 0.5, or a range: 2..8."),
    _option("memory", ("--memory", "--mem"), "SIZE", _ASK, "0", "Memory: 8G, or 4G..16G."),
    _option("gpus", ("--gpus", "-G"), "N", _ASK, "0", "GPUs: 1, a100:2, 0.5, or a range: 0.25..1."),
    _option("gpu_memory", ("--gpu-memory", "--vram"), "SIZE", _ASK, "0", "Memory of each GPU: 8G, or 8G..40G."),
    _option("storage", ("--storage",), "SIZE", _ASK, "0", "Scratch space, counted: 100G."),
    _option("bandwidth", ("--bandwidth",), "RATE", _ASK, "0", "Of the network, counted, in bits per second: 10G."),
    _option("constraint", ("--constraint", "-C"), "LABEL", _ASK, "", "Only nodes with this label; several by &."),
    _option("ttl", ("--ttl",), "SPAN", _HOW, "5m", "It ends that long after its last renewal. Default 5m."),
    _option("wait", ("--wait",), "SPAN", _HOW, "5m", "Give up when it was not granted within this. Default 5m."),
    _option("expected", ("--expected",), "SPAN", _HOW, "60s", "For how long it will be held, probably. Default 60s."),
    _option("grace", ("--grace",), "SPAN", _HOW, "10s", "Warning before it is taken back. Default 10s."),
    _option("priority", ("--priority",), "P", _HOW, "1", "1 to 10, or low, normal, high, critical. Default 1."),
    _option("project", ("--project", "-A"), "PROJECT", _HOW, "default", "The project it is counted for. Default: default."),
    _option("queue", ("--queue", "-p"), "QUEUE", _HOW, "default", "The queue. Default: default."),
    _option("name", ("--name", "-J"), "NAME", _HOW, "", "A name; default: the command's."),
)
Token = Annotated[str, typer.Option("--token", metavar="TOKEN", help=f"The token of renew and release; default: ${_TOKEN}.")]
Export = Annotated[bool, typer.Option("--export", help="Print the environment for eval, in place of the token.")]
Parsable = Annotated[bool, typer.Option("--parsable", help="Print the id and the token and nothing else.")]


@partial(with_parameters, table=_TABLE)
def lease(
    given: dict[str, str],
    context: typer.Context,
    words: Words = None,
    token: Token = "",
    export: Export = False,
    parsable: Parsable = False,
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Hold amounts for a short time. With a command: wait for them, run it here, give them back; its exit code is the command's.

    While the command runs the lease is renewed by itself. It ends with the command, with this process, or when it is taken back: then
    the command is asked to end (TERM) and, after the grace, ended with everything it started. CUDA_VISIBLE_DEVICES names its GPUs.

    Examples:

        tenure lease --gpus 0.5 --vram 8G -- python infer.py
        tenure lease --gpus 0.25..1 --wait 30s -- python tool.py         the most that is free, at least a quarter

    Without a command it is for whoever has the token, and ends at its time to live unless it is renewed:

        eval "$(tenure lease acquire --gpus 1 --ttl 10m --export)"
        python step.py
        tenure lease renew --ttl 10m
        tenure lease release
        tenure lease list

    Exit codes: the command's own, 4 it could never be granted here, 5 it was not granted in time, 1 the lease is over.
    """
    before, command = _split(list(words or ()), context)
    action = before[0] if before else "acquire"
    if action not in _ACTIONS:
        raise usage(f"{action!r} is nothing to do with leases", f"choose {', '.join(_ACTIONS)}; a command comes after --")
    _check_words(before, command)
    form_is_json = options.is_json(output, as_json)
    if action == "list":
        _list(form_is_json)
    elif action in ("renew", "release"):
        _change(action, before[1:], token, given["ttl"], form_is_json)
    elif command:
        from tenure.cli.leased import run

        raise typer.Exit(run(_request(command, given), command))
    else:
        _acquire(_request(command, given), export=export, parsable=parsable, as_json=form_is_json)


def _check_words(before: Sequence[str], command: Sequence[str]) -> None:
    """Refuse words that would be passed over: what stands behind an action that takes nothing, and a command behind any."""
    if len(before) > 1 and before[0] in ("acquire", "list"):
        raise usage(f"lease {before[0]} takes no {before[1]!r}", "leave it out; a command comes after --")
    if before and command:
        raise usage(f"lease {before[0]} runs no command", f"leave {before[0]} out: tenure lease --gpus 1 -- COMMAND")


def _split(words: list[str], context: typer.Context) -> tuple[list[str], list[str]]:
    """What stands before -- and what after it."""
    command: list[str] = context.meta.get("tenure.command", [])
    return words[: len(words) - len(command)], command


def _request(command: Sequence[str], given: Mapping[str, str]) -> LeaseRequest:
    from tenure.client.lease_words import lease_request
    from tenure.client.requests import default_name

    wish: dict[str, Any] = {name: text for name, text in given.items() if name != "constraint"}
    wish["labels"] = [label.strip() for label in given["constraint"].split("&") if label.strip()]
    wish["name"] = given["name"] or (default_name(command) if command else "")
    return lease_request(purpose=list(command) or ["tenure", "lease", "acquire"], bound=bool(command), **wish)


def wait_for(client: Client, request: LeaseRequest) -> LeaseView:
    """The lease once it is held; says why nothing happens when it does not come soon."""
    from tenure.wire.leases import WAITING

    longest_ms, request.poll_ms = request.poll_ms, 1000
    try:
        view = client.leases.ask(request)
        if view.phase == WAITING:
            console.note(f"tenure: waiting for lease {view.id} (tenure why {view.id}); Ctrl-C withdraws it")
            request.poll_ms = longest_ms
            view = client.leases.acquire(request)
    except KeyboardInterrupt:
        client.leases.withdraw(request)
        raise
    return view


def _acquire(request: LeaseRequest, *, export: bool, parsable: bool, as_json: bool) -> None:
    with options.client() as client:
        view = wait_for(client, request)
    if as_json:
        console.out_json({**console.plain(view), "token": request.token})
    elif export:
        env = {**view.env, _TOKEN: request.token}
        console.out("\n".join(f"export {name}={shlex.quote(value)}" for name, value in sorted(env.items())))
    elif parsable:
        console.out(f"{view.id} {request.token}")
    else:
        console.out(f"Lease {view.id}: {holds(view)} on {view.node}, for {rough(view.left_ms + 999)}; token {request.token}")
        console.hint(f"next: tenure lease renew {view.id} --token … · tenure lease release {view.id} --token …")


def _change(action: str, words: Sequence[str], token: str, ttl: str, as_json: bool) -> None:
    from tenure.client.words import span_of

    number, secret = words[0] if words else os.environ.get(_ID, ""), token or os.environ.get(_TOKEN, "")
    if not is_whole(number) or len(words) > 1:
        raise usage(f"name the lease to {action}", f"tenure lease {action} ID --token TOKEN; or set {_ID} and {_TOKEN}")
    if not secret:
        raise usage(
            f"to {action} a lease needs its token", f"give --token, or set {_TOKEN}; its owner may also: tenure cancel {number}"
        )
    with options.client() as client:
        if action == "renew":
            view = client.leases.renew(int(number), secret, span_of(ttl))
        else:
            view = client.leases.release(int(number), secret)
    if as_json:
        console.out_json(view)
    elif action == "renew":
        console.out(f"Lease {view.id} is yours for {rough(view.left_ms + 999)}")
    else:
        console.out(f"Lease {view.id} is over: {view.why}")


def _list(as_json: bool) -> None:
    with options.client() as client:
        views = client.leases.open()
    if as_json:
        console.out_json({"leases": [console.plain(view) for view in views]})
    else:
        console.out(leases_table(views, int(time.time() * 1000), colour=console.has_colour()))


def holds(view: LeaseView) -> str:
    """What it holds, in words."""
    parts = []
    if view.gpu_milli:
        size = f" with {format_bytes(view.gpu_memory_bytes)}" if view.gpu_memory_bytes else ""
        parts.append(f"{format_milli(view.gpu_milli)} GPU{size}")
    if view.cpu_milli:
        parts.append(f"{format_milli(view.cpu_milli)} cpu")
    if view.memory_bytes:
        parts.append(f"{format_bytes(view.memory_bytes)} of memory")
    if view.storage_bytes:
        parts.append(f"{format_bytes(view.storage_bytes)} of storage")
    if view.bandwidth_bps:
        parts.append(f"{format_bits(view.bandwidth_bps)}bit/s of bandwidth")
    return ", ".join(parts)


def leases_table(views: Sequence[LeaseView], now_ms: int, *, colour: bool = False) -> str:
    """The table of ``lease list``."""
    rows = [
        (
            view.id,
            view.phase,
            console.clean(view.user),
            console.clean(view.node) or "-",
            format_milli(view.cpu_milli),
            memory(view.memory_bytes),
            format_milli(view.gpu_milli),
            rough(max(0, view.expires_ms - now_ms)),
            str(view.pid or "-"),
            f"{view.cost_micro / 1e6:.4f}" if view.has_price else "-",
            console.clean(view.purpose),
        )
        for view in views
    ]
    return render(_COLUMNS, rows, colour=colour)
