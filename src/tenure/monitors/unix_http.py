"""GET over a unix socket, as much of HTTP as asking a container engine takes.

Requests are HTTP/1.0: the answer then ends with the connection and is never chunked. Invariant: an answer is bounded in time and size.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

MOST_BYTES = 16 << 20
PATIENCE_S = 2.0
_HEAD_END = b"\r\n\r\n"
_HUNG_UP = (BrokenPipeError, ConnectionResetError)
"""What an engine does that is too busy for one request: the others are still answered."""


class Unanswered(Exception):
    """Nobody answered sensibly; the text says what was wrong."""


def get_json(path: str, target: str, patience_s: float = PATIENCE_S) -> Any:
    """The JSON at ``target`` of who listens on the socket ``path``. Raises Unanswered, or OSError when nobody listens."""
    (found,) = get_each(path, [target], patience_s)
    if isinstance(found, Unanswered):
        raise found
    return found


def get_each(path: str, targets: Sequence[str], patience_s: float = PATIENCE_S) -> list[Any]:
    """The JSON at each target, or the Unanswered that says why there is none; asked side by side, so it takes as long as the slowest.

    Raises OSError when nobody listens.
    """
    deadline = time.monotonic() + patience_s
    bodies = [bytearray() for _ in targets]
    found: list[Any] = [Unanswered(f"no answer within {patience_s:g} s") for _ in targets]
    with contextlib.ExitStack() as links, selectors.DefaultSelector() as ready:
        for number, target in enumerate(targets):
            link = links.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(deadline - time.monotonic()))
            try:
                link.connect(path)
                link.sendall(f"GET {target} HTTP/1.0\r\nHost: engine\r\n\r\n".encode("ascii"))
            except BlockingIOError:
                continue
            except _HUNG_UP:
                found[number] = Unanswered("it hung up")
                continue
            ready.register(link, selectors.EVENT_READ, number)
        while ready.get_map() and time.monotonic() < deadline:
            for key, _ in ready.select(max(0.0, deadline - time.monotonic())):
                number = key.data
                answer = _more(key.fileobj, targets[number], bodies[number])  # type: ignore[arg-type]
                if answer is not None:
                    ready.unregister(key.fileobj)
                    found[number] = answer[0]
    return found


def _more(link: socket.socket, target: str, body: bytearray) -> tuple[Any] | None:
    """Take in what has come; the answer once it is whole, or the Unanswered that takes its place."""
    try:
        part = link.recv(1 << 16)
    except _HUNG_UP:
        return (Unanswered("it hung up"),)
    body += part
    if len(body) > MOST_BYTES:
        return (Unanswered(f"the answer is larger than {MOST_BYTES} bytes"),)
    return None if part else (_read(target, bytes(body)),)


def _timeval(seconds: float) -> bytes:
    """As the kernel wants it. A timeout of Python's own would refuse at once where many wait to be let in."""
    return struct.pack("@ll", *divmod(max(1000, round(seconds * 1_000_000)), 1_000_000))


def _read(target: str, answer: bytes) -> Any:
    head, _, body = answer.partition(_HEAD_END)
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return Unanswered("what answers speaks no HTTP")
    if words[1] != b"200":
        said = body[:200].decode("utf-8", "replace").strip()
        return Unanswered(f"{target} was answered with {words[1].decode()}: {said}")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return Unanswered(f"{target} was answered with something that is no JSON")
