"""``cert``: make the certificate that a listener beyond this machine needs."""

from __future__ import annotations

import os
import socket
from typing import Annotated

import typer

from tenure.cli import console, options
from tenure.client import paths
from tenure.client.errors import usage

Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="A name or address by which clients call it; may be repeated. Default: this machine's.",
        show_default=False,
    ),
]
Days = Annotated[int, typer.Option("--days", metavar="N", help="For how long; 825 at most.")]
Out = Annotated[str, typer.Option("--out", metavar="DIR", help="Where the files go. Default: tls in the home.", show_default=False)]


def cert(
    action: Annotated[str, typer.Argument(metavar="create", help="The only thing to do.", show_default=False)],
    name: Names = None,
    days: Days = 397,
    out: Out = "",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Make a certificate for this machine, signed by an authority of your own.

    The first call makes the authority as well; later ones renew the certificate, and clients need not be told. Clients trust ca.crt
    (TENURE_CA_FILE); ca.key signs further ones and is better kept elsewhere.

    Examples:

        tenure cert create
        tenure cert create --name gpu1.example.org --name 10.0.0.5
    """
    from tenure.client.certificates import create as make

    if action != "create":
        raise usage(f"{action!r} is nothing to do with certificates", "tenure cert create makes one")
    host = socket.gethostname()
    names = list(dict.fromkeys(name or [host, "localhost", "127.0.0.1", "::1"]))
    made = make(os.path.abspath(out or os.path.join(paths.home(), "tls")), names, days)
    if options.is_json(output, as_json):
        console.out_json({"cert": made.cert, "key": made.key, "ca": made.ca, "names": names, "days": days})
        return
    console.out(f"A certificate for {', '.join(names)}, good for {days} days:")
    for what, path in (("certificate", made.cert), ("key", made.key), ("for clients", made.ca)):
        console.out(f"  {what:<12}{path}")
    console.out(f"Next: tenure up --listen 0.0.0.0:8080 --tls-cert {made.cert} --tls-key {made.key}")
    console.out("Clients: copy ca.crt to them and set TENURE_CA_FILE to it.")
