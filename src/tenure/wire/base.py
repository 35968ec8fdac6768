"""What all values on the wire have in common: requests are decoded strictly, so that a misspelt field is refused and not ignored; of
replies a client ignores what it does not know, so that a newer daemon can be asked. And the one error format."""

from __future__ import annotations

from typing import Any

import msgspec


class Request(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Base of what clients send."""


class Reply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Base of what the server answers: a client ignores fields it does not know."""


class ErrorReply(Reply, tag="error", tag_field="type"):
    """The one error format. ``code`` is stable, ``message`` one sentence, ``remedy`` the way out, ``details`` typed by the code."""

    code: str
    message: str
    remedy: str = ""
    details: dict[str, Any] = msgspec.field(default_factory=dict)
