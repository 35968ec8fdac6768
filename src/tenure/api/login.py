"""How a browser gets a session: a link that works once, exchanged for a cookie.

The code of a link stands behind the ``#``, which browsers keep to themselves: it is in no request line, no log, no Referer. The page
that the link opens takes it out of the address and sends it in a form. What it is exchanged for is a token like others, of the kind
``session``: it expires, is listed and can be revoked. Invariants: a link works once, within `LINK_MS`, at the listener that it was made
for; a session may no more than whoever made the link, and outlives neither its time nor the token under which the link was made.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tenure.api.context import ApiError, Context, Receive, answer, caller_from, context_of
from tenure.api.listener import Listener
from tenure.api.people import changed, mint
from tenure.api.problems import failure
from tenure.api.routes import Routes
from tenure.model.access import Caller, Permission
from tenure.model.access import Scope as Reach
from tenure.model.amounts import parse_duration_ms
from tenure.model.people import LOGIN, SESSION, RevokeToken
from tenure.wire import ROOT
from tenure.wire.login import LoginReply
from tenure.wire.secrets import digest_of

Scope = MutableMapping[str, Any]
routes = Routes(ROOT)
LINK_MS = 5 * 60_000
MOST_FORM_BYTES = 4096
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:4em auto;padding:0 1em}input,button{font:inherit;padding:.3em .6em}"
)
_SCRIPT = (
    'const code=location.hash.slice(1);if(code){history.replaceState(null,"",location.pathname);'
    "document.forms[0].elements.code.value=code;document.forms[0].submit()}"
)


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


_POLICY = (
    f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@routes.post("/login-links", None, LoginReply, statuses=(201,), errors=("no_listener",), needs=Permission.TOKENS_WRITE)
async def make_link(request: Request) -> Response:
    """Make a link that logs one browser in as the caller, once and within five minutes."""
    context, caller = context_of(request), caller_from(request)
    listener = context.listener
    if listener is None:
        raise failure(
            "no_listener",
            "the daemon listens on no port, so no browser can reach it",
            "tenure down, then: tenure up --listen 127.0.0.1:8080",
        )
    now_ms = context.loop.clock.now_ms()
    until_ms = await _end_of(context, caller)
    expires_ms = min(now_ms + LINK_MS, until_ms or now_ms + LINK_MS)
    reach = Reach(caller.role, caller.only, caller.verbs, caller.caps)
    made = await mint(context, caller, LOGIN, reach, expires_ms, label=_label(listener, until_ms))
    return answer(LoginReply(url=f"{listener.url}/login#{made.secret}", expires_ms=expires_ms), 201)


async def _end_of(context: Context, caller: Caller) -> int:
    """When the token ends under which a caller came; 0 for never."""
    rows = await asyncio.to_thread(context.queries.tokens) if caller.token else []
    return next((row.expires_ms for row in rows if row.id == caller.token), 0)


def _label(listener: Listener, until_ms: int) -> str:
    return f"{until_ms} {listener.url}"[:100]


class Login:
    """The pages of a listener. ``cookie`` is the name of its cookie."""

    def __init__(self, context: Context, listener: Listener, cookie: str) -> None:
        self._context = context
        self._listener = listener
        self._cookie = cookie
        self._session_ms = parse_duration_ms(listener.settings.session)

    async def page(self, scope: Scope, receive: Receive, *, is_own_origin: bool) -> Response | None:
        """The answer to a call of one of the pages, None for another call. Raises ApiError."""
        match scope["type"], scope.get("method"), scope["path"]:
            case "http", "GET" | "HEAD", "/login":
                return _shown("Log in", _FORM, script=True)
            case "http", "GET" | "HEAD", "/":
                return self._home(scope)
            case "http", "POST", "/login" | "/logout" if not is_own_origin:
                raise failure("cross_site", "a session begins and ends at this daemon's own pages", "open the link of: tenure login")
            case "http", "POST", "/login":
                return await self._log_in(scope, await _form(scope, receive))
            case "http", "POST", "/logout":
                return await self._log_out(scope)
        return None

    def _caller(self, scope: Scope) -> Caller | None:
        """Who has a session here, None for nobody."""
        try:
            return self._context.identity.identify(scope, dict(scope["headers"]))
        except ApiError:
            return None

    def _home(self, scope: Scope) -> Response:
        caller = self._caller(scope)
        if caller is None:
            return RedirectResponse("/login", 303)
        from html import escape  # its table of entities is half a megabyte

        text = f"<p>You are logged in as <b>{escape(caller.user)}</b> ({caller.role.word}).</p>{_LINKS}{_LEAVE}"
        return _shown("Tenure", text)

    async def _log_in(self, scope: Scope, form: dict[str, list[str]]) -> Response:
        """Exchange a code for a session. Raises ApiError for one that does not work (any more)."""
        context, code = self._context, (form.get("code") or [""])[0].strip()
        caller = context.identity.holder(code, (LOGIN,))
        found = await asyncio.to_thread(context.queries.token, digest_of(code))
        until, _, url = found[0].label.partition(" ") if found is not None else ("", "", "")
        if found is None or url != self._listener.url or not until.isdigit():
            raise failure("bad_token", "this link was made for another address", "make one here: tenure login")
        try:
            await changed(context, RevokeToken("", caller, found[0].prefix))
        except ApiError:
            raise failure("bad_token", "this link was used before", "make another one: tenure login") from None
        now_ms = context.loop.clock.now_ms()
        expires_ms = min(now_ms + self._session_ms, int(until) or now_ms + self._session_ms)
        who = replace(caller, token=0)  # the link's few minutes are not the session's
        made = await mint(context, who, SESSION, found[0].scope, expires_ms, label=f"browser at {scope['client'][0]}")
        response = RedirectResponse("/", 303)
        self._set_cookie(response, made.secret, (expires_ms - now_ms) // 1000)
        return response

    async def _log_out(self, scope: Scope) -> Response:
        caller = self._caller(scope)
        if caller is not None and caller.token:
            await changed(self._context, RevokeToken("", caller, str(caller.token)))
        response = RedirectResponse("/login", 303)
        self._set_cookie(response, "", 0)
        return response

    def _set_cookie(self, response: Response, secret: str, seconds: int) -> None:
        is_tls = self._listener.tls is not None
        response.set_cookie(self._cookie, secret, seconds, path="/", secure=is_tls, httponly=True, samesite="strict")


async def _form(scope: Scope, receive: Receive) -> dict[str, list[str]]:
    """The fields of a small form. Raises ApiError."""
    body, more = b"", True
    while more and len(body) <= MOST_FORM_BYTES:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = dict(scope["headers"])
    if len(body) > MOST_FORM_BYTES or not headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded"):
        raise failure("malformed", "this is not the form of the page", "open the link of: tenure login")
    try:
        return parse_qs(body.decode("latin-1"), max_num_fields=4)
    except ValueError:
        raise failure("malformed", "this is not the form of the page", "open the link of: tenure login") from None


_FORM = (
    "<p>Ask for a link with <code>tenure login</code>; it works once.</p>"
    '<form method="post" action="/login"><input name="code" autocomplete="off" placeholder="code" required> '
    "<button>Log in</button></form>"
)
_LINKS = "<p>What the daemon says: {}.</p>".format(
    ", ".join(f'<a href="{ROOT}/{page}">{page}</a>' for page in ("status", "nodes", "whoami"))
)
_LEAVE = '<form method="post" action="/logout"><button>Log out</button></form>'


def _shown(title: str, body: str, *, script: bool = False) -> Response:
    """A page that may do nothing but what it has."""
    code = f"<script>{_SCRIPT}</script>" if script else ""
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    text = f'<!doctype html><html lang="en">{head}<h1>{title}</h1>{body}{code}</html>'
    return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY})
