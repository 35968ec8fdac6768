"""``mcp serve``: hand this process over to the server for agents, which is a part of its own."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from tenure.client.errors import usage


def mcp(
    action: Annotated[str, typer.Argument(metavar="serve", help="Serve agents.", show_default=False)],
    http: Annotated[str, typer.Option("--http", metavar="HOST:PORT", help="Over HTTP, with tokens; else over stdin and stdout.")] = "",
    tls_cert: Annotated[str, typer.Option("--tls-cert", metavar="FILE", help="The certificate, in PEM; beyond this machine.")] = "",
    tls_key: Annotated[str, typer.Option("--tls-key", metavar="FILE", help="Its key, closed to others.")] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure-i-know", help="Listen beyond this machine without TLS: everybody on the way can read.")
    ] = False,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Whose caps these are; a name keeps what it has spent.")
    ] = "agent",
    max_gpu_hours: Annotated[float, typer.Option("--max-gpu-hours", metavar="N", help="At most so many GPU-hours in all; 0: any.")] = 0,
    max_concurrent: Annotated[
        int, typer.Option("--max-concurrent", metavar="N", help="At most so many jobs and leases at a time.")
    ] = 0,
    max_lease: Annotated[str, typer.Option("--max-lease", metavar="SPAN", help="No lease is longer than this.")] = "",
) -> None:
    """Serve agents by the Model Context Protocol: tools to see capacity, submit, follow, explain, ask what if, lease and cancel.

    What changes something only says what would happen until the agent confirms it. Caps are counted by the daemon from what it has on
    record, so that a server which is started again goes on where it was. It needs the extra: pip install 'tenure[mcp]'.

    Examples:

        tenure mcp serve --max-gpu-hours 20 --max-concurrent 2
        tenure mcp serve --http 127.0.0.1:8765
        tenure mcp serve --http 0.0.0.0:8765 --tls-cert server.crt --tls-key server.key
    """
    if action != "serve":
        raise usage(f"{action!r} is nothing to do with agents", "tenure mcp serve")
    given = {"--http": http, "--tls-cert": tls_cert, "--tls-key": tls_key, "--name": name, "--max-lease": max_lease}
    words = [word for option, value in given.items() if value for word in (option, value)]
    words += ["--max-gpu-hours", str(max_gpu_hours), "--max-concurrent", str(max_concurrent)]
    words += ["--insecure-i-know"] if insecure else []
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "tenure.mcp", *words])
