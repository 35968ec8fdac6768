"""What all values on the wire have in common: requests are decoded strictly, so that a misspelt field is refused and not ignored; of
replies a client ignores what it does not know, so that a newer daemon can be asked. And the one error format.

Invariant: a whole number of a request fits into every store and every JSON reader, and no text or list is without a bound."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

MOST = 2**53 - 1
"""The largest whole number on the wire: JSON readers that know only floats still read it exactly."""

Whole = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
"""An amount, a count or a moment; what is too much for its purpose is told apart by whoever knows the purpose."""
Number = Annotated[int, msgspec.Meta(ge=-MOST, le=MOST)]
"""The same, where less than nothing means something."""
Word = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00]*$")]
"""A name, a key, a word."""
Line = Annotated[str, msgspec.Meta(max_length=4096, pattern=r"^[^\x00]*$")]
"""A path, a sentence."""
Text = Annotated[str, msgspec.Meta(max_length=262_144, pattern=r"^[^\x00]*$")]
"""A list of ids or indices."""


class Request(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Base of what clients send."""


class Reply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Base of what the server answers: a client ignores fields it does not know."""


class Page(Reply, kw_only=True):
    """Base of pages of a list: ``next`` is the cursor of the next one, empty at the end."""

    next: str = ""


class ErrorReply(Reply, tag="error", tag_field="type"):
    """Why something was refused: ``code`` is stable, ``message`` one sentence, ``remedy`` the way out, ``details`` typed by the code.

    As an entry of a reply about many; an answer that is an error as a whole is a `Problem` with the same content."""

    code: str
    message: str
    remedy: str = ""
    details: dict[str, Any] = msgspec.field(default_factory=dict)


class Problem(Reply):
    """The one format of an answer that is an error (RFC 9457): ``type`` is where the code is explained, ``detail`` one sentence,
    ``code`` stable, ``remedy`` the way out, ``details`` typed by the code."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    remedy: str = ""
    details: dict[str, Any] = msgspec.field(default_factory=dict)
