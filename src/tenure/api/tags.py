"""Entity tags: whether something is still what it was (RFC 9110, section 8.8.3), and lists of which one entry is asked for.

A tag is a digest of what is said, or of that part of it which people change; times that are worked out anew for each answer are left
out. Invariant: two answers with the same tag say the same in everything that somebody decided.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import answer
from tenure.api.problems import failure
from tenure.wire.dto import JobView

_encode = msgspec.json.Encoder().encode


def tag_of(value: Any) -> str:
    """The tag of what is answered."""
    return f'"{blake2b(_encode(value), digest_size=9).hexdigest()}"'


def job_tag(job: JobView) -> str:
    """The tag of a job: of everything but what it has used so far and when it is expected to start."""
    return tag_of(replace(job, eta_ms=0, reason=None, cpu_ms=0, peak_memory_bytes=0))


def tagged(request: Request, value: Any, tag: str = "") -> Response:
    """The answer with its tag, or 304 to who has it already. Bytes are an answer that was written before."""
    tag = tag or tag_of(value)
    if _names(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers={"ETag": tag})
    return answer(value, headers={"ETag": tag})


def check_match(request: Request, tag: str) -> None:
    """Raise ApiError when the caller goes by something that has changed since."""
    if not _names(request.headers.get("if-match", "*"), tag):
        raise failure("changed", "it was changed since you read it", "read it again, and decide on what it is now")


def _names(header: str, tag: str) -> bool:
    """Whether a list of tags names this one, or any."""
    return header == "*" or tag in [one.strip().removeprefix("W/") for one in header.split(",")]
