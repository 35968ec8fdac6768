"""Logging a browser in."""

from __future__ import annotations

from tenure.wire.base import Reply


class LoginReply(Reply):
    """A link that logs one browser in as the caller: once, and not after ``expires_ms``."""

    url: str
    expires_ms: int
