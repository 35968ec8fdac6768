"""The error that ends a call with an answer which its caller is meant to read."""

from __future__ import annotations

from tenure.wire.dto import ErrorReply


class ApiError(Exception):
    """An answer that is an error: the reply, its HTTP status, and after how many seconds it is worth asking again (0: that is no matter
    of time)."""

    def __init__(self, status: int, reply: ErrorReply, wait_s: int = 0) -> None:
        super().__init__(reply.message)
        self.wait_s = wait_s
        self.status = status
        self.reply = reply
