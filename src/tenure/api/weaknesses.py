"""What is weak about who may come in, as far as the daemon can see: files that others can open, tokens that open too much for too long.

Invariant: looking changes nothing, and no secret is in what is told.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from tenure.api.context import Context
from tenure.model.access import Role
from tenure.model.people import TOKEN
from tenure.wire.dto import CheckView

LONG_MS = 366 * 86_400_000
LOOKED_AT = 2_000
"""So many rows of the audit log are followed each time; all of them with the store's other invariants."""


def weaknesses(context: Context) -> list[CheckView]:
    """Everything that is weak; one line that says so where nothing is."""
    found = [*_files(context), *_tokens(context), *_log(context)]
    return found or [
        CheckView(
            name="access", level="ok", text="the home is closed; no token may do everything, and none that is not narrowed is for ever"
        )
    ]


def _files(context: Context) -> Iterator[CheckView]:
    shared = context.identity.shared  # then users go through the home to their socket, and may list nothing
    for file in [context.home] if shared else [context.home, context.socket]:
        try:
            mode = stat.S_IMODE(os.stat(file).st_mode)
        except OSError:
            continue
        if mode & (0o066 if shared else 0o077):
            text = f"{file} has mode {mode:o}: others on this machine can open it"
            yield CheckView(name="access", level="warning", text=text, remedy=f"chmod go={'x' if shared else ''} {file}")


def _tokens(context: Context) -> Iterator[CheckView]:
    now_ms = context.loop.clock.now_ms()
    people = {person.id: person for person in context.queries.people()}
    for row in context.queries.tokens():
        if row.kind != TOKEN or not row.is_valid(now_ms) or row.scope.verbs is not None:
            continue
        person = people[row.user_id]
        name, remedy = f"token {row.prefix} of {person.name}", f"tenure token revoke {row.prefix}"
        if min(row.scope.role, context.identity.role_of(person)) >= Role.ADMIN and row.scope.only is None:
            yield CheckView(name="access", level="warning", text=f"{name} may do everything", remedy=remedy)
        if not row.expires_ms or row.expires_ms - now_ms > LONG_MS:
            until = "never expires" if not row.expires_ms else "is valid for more than a year"
            yield CheckView(name="access", level="warning", text=f"{name} {until}", remedy=f"{remedy}, and make one with --expires")


def _log(context: Context) -> Iterator[CheckView]:
    for found in context.queries.audit_breaks(LOOKED_AT):
        text = f"the audit log is not as it was written: {found.subject}: {found.detail}"
        yield CheckView(
            name="audit", level="problem", text=text, remedy="compare it with a copy: tenure audit export, tenure audit verify"
        )
