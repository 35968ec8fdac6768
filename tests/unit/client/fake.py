"""A daemon in a few lines: answers on a unix socket from a script, and remembers what it was asked."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec


class Asked(NamedTuple):
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


Answer = Callable[[socket.socket], bool]
"""Writes an answer; False ends the connection."""


def reply(value: Any, status: int = 200, headers: str = "") -> Answer:
    """A JSON answer with its length."""
    body = msgspec.json.encode(value)

    def send(peer: socket.socket) -> bool:
        peer.sendall(f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body)
        return True

    return send


def raw(data: bytes, *, keep: bool = True) -> Answer:
    """These bytes."""

    def send(peer: socket.socket) -> bool:
        peer.sendall(data)
        return keep

    return send


def chunked(*pieces: bytes, headers: str = "", whole: bool = True) -> Answer:
    """A body in chunks; not ``whole``: the connection is cut before the last one."""

    def send(peer: socket.socket) -> bool:
        peer.sendall(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{headers}\r\n".encode())
        for piece in pieces:
            peer.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if whole:
            peer.sendall(b"0\r\n\r\n")
        return whole

    return send


def drop(_peer: socket.socket) -> bool:
    """No answer: the connection is cut after the request."""
    return False


class FakeDaemon:
    """Serves the answers in order; the last one is repeated."""

    def __init__(self, path: str, *answers: Answer) -> None:
        self.path = path
        self.asked: list[Asked] = []
        self.connections = 0
        self._answers = list(answers)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(path)
        self._listening.listen(16)
        self._peers: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close everything."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listening.close()
        for peer in self._peers:
            peer.close()
        os.unlink(self.path)

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._peers.append(peer)
            threading.Thread(target=self._talk, args=(peer,), daemon=True).start()

    def _talk(self, peer: socket.socket) -> None:
        with peer, peer.makefile("rb") as stream:
            while asked := read_request(stream):
                self.asked.append(asked)
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                try:
                    if not answer(peer):
                        return
                except OSError:
                    return


def read_request(stream: Any) -> Asked | None:
    """One request from the stream, None at its end."""
    try:
        line = stream.readline()
    except (OSError, ValueError):
        return None
    if not line:
        return None
    method, path, _ = line.decode().split(" ", 2)
    headers: dict[str, str] = {}
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return Asked(method, path, headers, stream.read(int(headers.get("content-length", "0"))))


@contextmanager
def daemon(*answers: Answer) -> Iterator[FakeDaemon]:
    """A fake daemon on a socket with a short path."""
    folder = tempfile.mkdtemp(prefix="tn")
    fake = FakeDaemon(os.path.join(folder, "s"), *answers)
    try:
        yield fake
    finally:
        fake.stop()
        shutil.rmtree(folder, ignore_errors=True)
