"""A container engine for tests: answers on a unix socket what a real one answered, changed at will."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HANGS_UP = object()


class Engine:
    """Listens at ``path``. ``answers`` by target: a value to be sent as JSON, bytes to be sent as they are, or `HANGS_UP`, which ends
    the connection with the request unread."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(self.path)
        self._listening.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listening.accept()
            except OSError:
                return
            with link:
                target = link.recv(65536, socket.MSG_PEEK).split(b" ")[1].decode()
                self.asked.append(target)
                if self.answers.get(target) is not HANGS_UP:
                    link.recv(65536)
                    link.sendall(self._reply(target))

    def _reply(self, target: str) -> bytes:
        answer = self.answers.get(target)
        if isinstance(answer, bytes):
            return answer
        if answer is None:
            return b'HTTP/1.0 404 Not Found\r\n\r\n{"message":"no such container"}'
        return b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + json.dumps(answer).encode()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


@contextmanager
def engine_at(path: Path) -> Iterator[Engine]:
    """An engine for as long as the block lasts."""
    engine = Engine(path)
    try:
        yield engine
    finally:
        engine.close()
