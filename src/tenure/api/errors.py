"""The error of a call, apart from everything that may raise it."""

from __future__ import annotations

from collections.abc import Mapping

from tenure.wire.base import ErrorReply


class ApiError(Exception):
    """An answer that is an error: the reply, its HTTP status, after how many seconds it is worth asking again (0: that is no matter
    of time), and headers that go with it."""

    def __init__(self, status: int, reply: ErrorReply, wait_s: int = 0, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reply.message)
        self.wait_s = wait_s
        self.status = status
        self.reply = reply
        self.headers = dict(headers or {})
