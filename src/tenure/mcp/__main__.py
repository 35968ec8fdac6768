"""``python -m tenure.mcp``: what ``tenure mcp serve`` becomes. Reads a few words by itself: nothing of the command line is loaded."""

from __future__ import annotations

import argparse
import ipaddress
import sys
from collections.abc import Sequence

from tenure.client import paths
from tenure.client.errors import TenureError, usage
from tenure.client.place import Place, elsewhere, place_of
from tenure.client.session import Client
from tenure.client.start import connect
from tenure.client.words import span_of
from tenure.mcp.own_token import Caps, token_for
from tenure.mcp.steering import SteeringTools
from tenure.mcp.tools import Connect


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the agent hangs up, or until interrupted; the exit code."""
    words = _parser().parse_args(argv)
    try:
        _serve(words)
    except TenureError as error:
        _tell(f"tenure: {error.message}" + (f"; {error.remedy}" if error.remedy else ""))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tenure mcp serve")
    parser.add_argument("--http", default="")
    parser.add_argument("--name", default="agent")
    parser.add_argument("--max-gpu-hours", type=float, default=0.0)
    parser.add_argument("--max-concurrent", type=int, default=0)
    parser.add_argument("--max-lease", default="")
    return parser


def _serve(words: argparse.Namespace) -> None:
    caps = Caps(words.max_gpu_hours, words.max_concurrent, span_of(words.max_lease) if words.max_lease else 0)
    if min(caps.gpu_hours, caps.jobs) < 0:
        raise usage("a cap is not negative", "leave it out for none")
    if words.http and caps:
        raise usage("over HTTP everybody comes with a token of his own, which has its own caps", "make tokens with caps")
    try:
        from tenure.mcp.server import build, serve_http
    except ImportError as error:
        raise TenureError(
            "not_installed", f"the server needs the package mcp ({error.name} is missing)", "pip install 'tenure[mcp]'"
        ) from None
    with connect() as client:
        place = client.place or place_of(f"unix:{paths.daemon_socket(paths.home())}")
        own = token_for(client, paths.home(), words.name, caps) if caps else ""
    connecting = connector(place, own)
    server = build(SteeringTools(connecting))
    if words.http:
        host, port = address_of(words.http)
        serve_http(server, connecting, host, port, lambda chosen: _tell(f"tenure mcp: http://{host}:{chosen}/mcp"))
    else:
        server.run("stdio")


def _tell(text: str) -> None:
    """Say something to a person: standard output belongs to the agent."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def connector(place: Place, own: str) -> Connect:
    """How a connection is made for whoever shows a secret; who shows none works under the server's own, if it has one."""

    def connecting(secret: str) -> Client:
        token = secret or own
        if token:
            from dataclasses import replace

            return connect(place=replace(place, token=token))
        return connect() if elsewhere() is None else connect(place=place)

    return connecting


def address_of(text: str) -> tuple[str, int]:
    """``127.0.0.1:8765``, ``:8765``. Raises BadRequest for an address that others can reach."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdigit() or int(port) > 65_535:
        raise usage(f"{text!r} is no address", "write 127.0.0.1:8765")
    try:
        is_here = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        raise usage(
            f"{host} can be reached from other machines, and this server does not speak TLS",
            "listen on 127.0.0.1 and reach it by ssh -L, or put a proxy with TLS before it",
        )
    return "127.0.0.1" if host == "localhost" else host, int(port)


if __name__ == "__main__":
    sys.exit(main())
