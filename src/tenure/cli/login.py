"""``login``: let a browser in."""

from __future__ import annotations

from tenure.cli import console, options


def login(output: options.Form = "table", as_json: options.Json = False) -> None:
    """Print a link that logs a browser in as you: once, within five minutes.

    The daemon must listen somewhere: tenure up --listen 127.0.0.1:8080. The session that begins is listed by tenure token list, and
    tenure token revoke ends it.

    Examples:

        tenure login
        xdg-open "$(tenure login)"
    """
    with options.client() as client:
        reply = client.admin.login_link()
    if options.is_json(output, as_json):
        console.out_json(reply)
    else:
        console.out(reply.url)
        console.hint("open it in a browser within five minutes; it works once")
