"""``python -m tenure.mcp``: what ``tenure mcp serve`` becomes. Reads a few words by itself: nothing of the command line is loaded."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from tenure.client import paths
from tenure.client.errors import TenureError, usage
from tenure.client.place import Place, elsewhere, place_of
from tenure.client.session import Client
from tenure.client.start import connect
from tenure.client.words import span_of
from tenure.mcp.own_token import Caps, token_for
from tenure.mcp.steering import SteeringTools
from tenure.mcp.tools import Connect

if TYPE_CHECKING:
    from tenure.api.listener import Listener


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the agent hangs up, or until interrupted; the exit code."""
    try:
        _serve(_parser().parse_args(argv))
    except TenureError as error:
        _tell(f"tenure: {error.message}" + (f"; {error.remedy}" if error.remedy else ""))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


class _Words(argparse.ArgumentParser):
    """Says what is wrong as every command does: in one sentence."""

    def error(self, message: str) -> NoReturn:
        raise usage(message, "see tenure mcp --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Words(prog="tenure mcp serve")
    parser.add_argument("--http", default="")
    parser.add_argument("--tls-cert", default="")
    parser.add_argument("--tls-key", default="")
    parser.add_argument("--insecure-i-know", action="store_true")
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
    if not words.http and (words.tls_cert or words.tls_key or words.insecure_i_know):
        raise usage("a certificate, or doing without, means nothing over stdio", "add --http HOST:PORT")
    try:
        from tenure.mcp.server import build
    except ImportError as error:
        raise TenureError(
            "not_installed", f"the server needs the package mcp ({error.name} is missing)", "pip install 'tenure[mcp]'"
        ) from None
    with connect() as client:
        place = client.place or place_of(f"unix:{paths.daemon_socket(paths.home())}")
        own = token_for(client, paths.home(), words.name, caps) if caps else ""
        listener = _listener(words, client) if words.http else None
    connecting = connector(place, own)
    server = build(SteeringTools(connecting))
    if listener is None:
        server.run("stdio")
        return
    from tenure.mcp.serving import serve_http

    for warning in listener.warnings():
        _tell(f"tenure mcp: WARNING: {warning}")
    log = os.path.join(paths.home(), "mcp", "access.log")
    serve_http(server, connecting, listener, log, lambda url: _tell(f"tenure mcp: {url}"))


def _listener(words: argparse.Namespace, client: Client) -> Listener:
    """Where it listens, decided before anything is served. A port alone is one of this machine."""
    from tenure.config.listen import ListenSettings
    from tenure.mcp.serving import listener_for

    address = f"127.0.0.1{words.http}" if words.http.startswith(":") else words.http
    cert, key = (os.path.abspath(path) if path else "" for path in (words.tls_cert, words.tls_key))
    return listener_for(ListenSettings(address, cert, key, insecure=words.insecure_i_know), client)


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


if __name__ == "__main__":
    sys.exit(main())
