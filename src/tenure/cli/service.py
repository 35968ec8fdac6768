"""``status``, ``doctor``, ``up``, ``down``: the daemon itself. None of these but ``up`` and ``doctor`` starts one."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tenure.cli import console, options
from tenure.cli.explain import present_ms
from tenure.cli.text import rough
from tenure.client import paths
from tenure.client.errors import EXIT_ERROR, DaemonUnreachable, TenureError
from tenure.wire.dto import DoctorReply, StatusView

if TYPE_CHECKING:
    from tenure.client.session import Client

_REACH = "How others reach it"
_MARKS = {"ok": "ok", "note": "note", "warning": "WARNING", "problem": "PROBLEM"}


def status(output: options.Form = "table", as_json: options.Json = False) -> None:
    """Say whether the daemon is there and well. It is not started by this.

    Examples:

        tenure status
        tenure status -o json        pid, socket, store, version for a program

    Exit codes: 0 healthy, 1 not there, or its loop is stuck.
    """
    with _client_of_running() as client:
        view = client.admin.status()
    if options.is_json(output, as_json):
        console.out_json(view)
    else:
        console.out(status_text(view, present_ms()))
    raise typer.Exit(0 if view.healthy else EXIT_ERROR)


def _client_of_running() -> Client:
    """A client of a daemon that is there already."""
    from tenure.client.place import elsewhere
    from tenure.client.session import Client

    place = elsewhere()
    if place is not None:
        return Client(place, timeout_s=10)
    home = paths.home()
    if not options.is_running(home):
        raise DaemonUnreachable("not_running", f"no daemon runs for {home}", "the first tenure submit starts it, or: tenure up")
    return Client(paths.daemon_socket(home), timeout_s=5)


def status_text(view: StatusView, now_ms: int) -> str:
    """The daemon about itself, as text."""
    counts = ", ".join(f"{count} {state}" for state, count in view.counts.items() if count) or "none"
    facts = [
        ("jobs", counts),
        ("home", view.home),
        ("store", view.store),
        ("socket", view.socket),
        ("listens on", view.url),
        ("supervisor", f"pid {view.supervisor_pid}, version {view.supervisor_version}" if view.supervisor_pid else "not running"),
        ("limits", "; ".join(f"{name}: {how}" for name, how in view.limits.items())),
    ]
    well = "is well" if view.healthy else "IS NOT WELL"
    since = rough(max(0, now_ms - view.started_ms))
    lines = [f"The daemon (pid {view.pid}, version {view.version}, up {since}) {well}."]
    lines += [f"  {problem}" for problem in view.problems]
    lines += [f"  WARNING: {warning}" for warning in view.warnings]
    lines += [f"  anomaly: {console.clean(text)}" for text in view.anomalies]
    return "\n".join(lines + [f"  {name:<11}{value}" for name, value in facts if value])


def doctor(
    check_store: Annotated[bool, typer.Option("--check-store", help="Derive every invariant of the store anew.")] = False,
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Check the installation: what is enforced and what is advice, what was found on this machine, what is wrong and what to do.

    Examples:

        tenure doctor
        tenure doctor --check-store --json

    Exit codes: 0, 1 when there is a problem.
    """
    with options.client() as client:
        reply = client.admin.doctor(check_store=check_store)
    if options.is_json(output, as_json):
        console.out_json(reply)
    else:
        console.out(doctor_text(reply))
    raise typer.Exit(EXIT_ERROR if any(check.level == "problem" for check in reply.checks) else 0)


def doctor_text(reply: DoctorReply) -> str:
    """The findings, each with its remedy below it."""
    lines = []
    for check in reply.checks:
        lines.append(f"{_MARKS.get(check.level, check.level):<8} {check.name}: {console.clean(check.text)}")
        if check.remedy:
            lines.append(f"{'':<8} -> {console.clean(check.remedy)}")
    problems = sum(check.level == "problem" for check in reply.checks)
    lines.append(f"{problems} problem{'s' if problems != 1 else ''}." if problems else "No problems.")
    return "\n".join(lines)


Foreground = Annotated[bool, typer.Option("--foreground", help="Stay in this terminal and log here.")]
Listen = Annotated[
    str,
    typer.Option("--listen", metavar="HOST:PORT", rich_help_panel=_REACH, help="Listen on TCP as well; a token is always asked for."),
]
Cert = Annotated[str, typer.Option("--tls-cert", metavar="FILE", rich_help_panel=_REACH, help="The certificate, in PEM.")]
Key = Annotated[str, typer.Option("--tls-key", metavar="FILE", rich_help_panel=_REACH, help="Its key, closed to others.")]
Insecure = Annotated[
    bool,
    typer.Option(
        "--insecure-i-know", rich_help_panel=_REACH, help="Listen beyond this machine without TLS: everybody on the way can read."
    ),
]
Shared = Annotated[bool, typer.Option("--shared", rich_help_panel=_REACH, help="As root: for all users; each job runs as its user.")]
Group = Annotated[str, typer.Option("--group", metavar="GROUP", rich_help_panel=_REACH, help="With --shared: who may connect.")]


def up(
    foreground: Foreground = False,
    listen: Listen = "",
    tls_cert: Cert = "",
    tls_key: Key = "",
    insecure: Insecure = False,
    shared: Shared = False,
    group: Group = "",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Start the daemon of your home (TENURE_HOME, else your data directory). The first command that needs it does so by itself.

    Examples:

        tenure up
        tenure up --foreground          for a service manager, or to watch it
        tenure up --listen 127.0.0.1:8080
        sudo TENURE_HOME=/var/lib/tenure tenure up --shared --group gpu
        tenure up --listen 0.0.0.0:8080 --tls-cert server.crt --tls-key server.key

    What is given here holds until the daemon is stopped; section [listen] of the settings holds always.
    """
    from tenure.config.flags import Flags

    options.only_here("up")
    home = paths.home()
    flags = Flags(listen, _full(tls_cert), _full(tls_key), insecure, shared, group).words()
    if foreground:
        paths.ensure_runtime_dir(home)
        os.execv(sys.executable, [sys.executable, "-m", "tenure.bootstrap", "daemon", "--home", home, *flags])
    was_running = options.is_running(home)
    if flags:
        _start_with(home, flags, was_running)
    with options.client() as client:
        view = client.admin.status()
    if options.is_json(output, as_json):
        console.out_json(view)
    else:
        _say_up(view, was_running)


def _say_up(view: StatusView, was_running: bool) -> None:
    console.out(f"The daemon {'was already running' if was_running else 'is up'} (pid {view.pid}, home {view.home})")
    if view.url:
        console.out(f"It listens on {view.url}")
    for warning in view.warnings:
        console.note(f"WARNING: {warning}")


def _full(path: str) -> str:
    return os.path.abspath(path) if path else ""


def _start_with(home: str, flags: list[str], was_running: bool) -> None:
    """Start the daemon with options. One that runs already is not changed by them."""
    from tenure.client.start import ensure_daemon

    if was_running:
        raise TenureError(
            "already_up", "a daemon runs already, and options change only one that starts", "run: tenure down, then this again"
        )
    ensure_daemon(home, flags)


def down(output: options.Form = "table", as_json: options.Json = False) -> None:
    """Stop the daemon. Running jobs go on, within their limits; the next command starts it again and finds them.

    Examples:

        tenure down
        tenure cancel --state active -y; tenure down        end everything
    """
    from tenure.client.place import elsewhere
    from tenure.client.start import stop

    place, home = elsewhere(), paths.home()
    stopped = place is not None or options.is_running(home)
    active = 0
    if stopped:
        with _client_of_running() as client:
            view = client.admin.status()
            active = sum(view.counts.get(state, 0) for state in ("running", "starting", "suspended"))
            if place is None:
                stop(client, home, view.pid)
            else:
                client.admin.down()
    if options.is_json(output, as_json):
        console.out_json({"stopped": stopped, "running_jobs": active})
    elif not stopped:
        console.out("No daemon runs.")
    else:
        going_on = f"; {active} running job{'s' if active != 1 else ''} go{'es' if active == 1 else ''} on" if active else ""
        console.out(f"The daemon is down{going_on}.")
