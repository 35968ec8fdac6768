"""GET over a unix socket, as much of HTTP as asking a container engine takes.

Requests are HTTP/1.0: the answer then ends with the connection and is never chunked. Invariant: an answer is bounded in time and size.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

MOST_BYTES = 16 << 20
_HEAD_END = b"\r\n\r\n"


class Unanswered(Exception):
    """Nobody answered sensibly; the text says what was wrong."""


def get_json(path: str, target: str, patience_s: float = 2.0) -> Any:
    """The JSON at ``target`` of who listens on the socket ``path``. Raises Unanswered, or OSError when nobody listens."""
    head, _, body = _exchange(path, f"GET {target} HTTP/1.0\r\nHost: engine\r\n\r\n".encode("ascii"), patience_s).partition(_HEAD_END)
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise Unanswered("what answers speaks no HTTP")
    if words[1] != b"200":
        raise Unanswered(f"{target} was answered with {words[1].decode()}: {body[:200].decode('utf-8', 'replace').strip()}")
    try:
        return json.loads(body)
    except ValueError:
        raise Unanswered(f"{target} was answered with something that is no JSON") from None


def _exchange(path: str, message: bytes, patience_s: float) -> bytes:
    deadline = time.monotonic() + patience_s
    parts: list[bytes] = []
    size = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        try:
            link.settimeout(patience_s)
            link.connect(path)
            link.sendall(message)
            while True:
                link.settimeout(max(0.001, deadline - time.monotonic()))
                part = link.recv(1 << 16)
                if not part:
                    return b"".join(parts)
                parts.append(part)
                size += len(part)
                if size > MOST_BYTES:
                    raise Unanswered(f"the answer is larger than {MOST_BYTES} bytes")
        except TimeoutError:
            raise Unanswered(f"no answer within {patience_s:g} s") from None
