"""The error that ends a call with an answer which its caller is meant to read."""

from __future__ import annotations

from tenure.wire.dto import ErrorReply


class ApiError(Exception):
    """An answer that is an error: the reply and its HTTP status."""

    def __init__(self, status: int, reply: ErrorReply) -> None:
        super().__init__(reply.message)
        self.status = status
        self.reply = reply
