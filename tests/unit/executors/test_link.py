"""The daemon's end of the supervisor's socket, against a peer that does what the test says."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tenure.executors.local import link as link_module
from tenure.executors.local.connection import SupervisorError
from tenure.executors.local.link import Exited, Link, Started

HELLO = {"reply": "hello", "protocol": 1, "next_seq": 10}
STARTED = b'{"seq":%d,"kind":"started","attempt":1,"task":0,"fence":1,"pid":5,"start_ticks":9,"at_ms":7}\n'
EXITED = b'{"seq":4,"kind":"exited","attempt":1,"task":0,"fence":1,"exit_code":null,"signal":9,"reason":"oom","empty":false}\n'
Act = Callable[[dict[str, Any]], bytes]


class Peer:
    """Answers every request with what ``act`` returns for it; hangs up when that is empty."""

    def __init__(self, path: str, act: Act) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(path)
        self._socket.listen(1)
        self._act = act
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection, connection.makefile("rb") as requests:
            for line in requests:
                answer = self._act(json.loads(line))
                if not answer:
                    return
                connection.sendall(answer)


def reply(request: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({**HELLO, "id": request["id"], **fields}).encode() + b"\n"


@pytest.fixture
def peer() -> Iterator[Callable[[Act], str]]:
    folder = tempfile.mkdtemp(prefix="tl-")
    peers: list[Peer] = []

    def make(act: Act) -> str:
        path = os.path.join(folder, "s")
        peers.append(Peer(path, act))
        return path

    yield make
    for one in peers:
        one.close()
    shutil.rmtree(folder)


def test_records_before_an_answer_are_kept_in_order(peer: Callable[[Act], str]) -> None:
    def act(request: dict[str, Any]) -> bytes:
        return reply(request) if request["op"] == "hello" else STARTED % 3 + EXITED + reply(request, reply="list", tasks=[])

    link = Link(peer(act))
    assert link.ask("list")["tasks"] == []
    started, exited = link.records
    assert isinstance(started, Started)
    assert isinstance(exited, Exited)
    assert (started.pid, started.at_ms) == (5, 7)
    assert (exited.exit_code, exited.signal, exited.empty) == (None, 9, False)
    assert link.last_seq == 4
    link.close()


def test_a_line_that_is_not_understood_costs_only_itself(peer: Callable[[Act], str]) -> None:
    strange = b'{"seq":1,"kind":"teleported","attempt":1,"task":0,"fence":1}\n{"seq":2,"kind":"started"}\nnonsense\n\n'

    def act(request: dict[str, Any]) -> bytes:
        return reply(request) if request["op"] == "hello" else strange + STARTED % 3 + reply(request, reply="list")

    link = Link(peer(act))
    link.ask("list")
    assert [record.seq for record in link.records] == [3]
    assert link.unreadable == 3
    link.close()


def test_a_refusal_is_an_error_with_its_code(peer: Callable[[Act], str]) -> None:
    path = peer(lambda request: reply(request, reply="error", code="protocol_mismatch", why="too old"))
    with pytest.raises(SupervisorError, match="too old") as caught:
        Link(path)
    assert caught.value.code == "protocol_mismatch"


def test_a_peer_that_hangs_up_is_a_connection_error(peer: Callable[[Act], str]) -> None:
    link = Link(peer(lambda request: reply(request) if request["op"] == "hello" else b""))
    with pytest.raises(ConnectionError):
        link.ask("list")
    link.close()


def test_a_peer_that_does_not_answer_is_given_up(peer: Callable[[Act], str], monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link(peer(lambda request: reply(request) if request["op"] == "hello" else b"\n"))
    monkeypatch.setattr(link_module, "PATIENCE_S", 0.05)
    with pytest.raises(SupervisorError, match="did not answer list"):
        link.ask("list")
    link.close()


def test_a_process_of_another_user_is_not_trusted(peer: Callable[[Act], str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = peer(reply)
    monkeypatch.setattr(link_module.os, "getuid", lambda: 4_000_000)
    with pytest.raises(SupervisorError, match="not yours"):
        Link(path)


def test_catching_up_waits_for_what_answers_overtook(peer: Callable[[Act], str]) -> None:
    """The supervisor reads an old journal to us in pieces, and answers in between."""
    pieces = [STARTED % 1, STARTED % 2, STARTED % 3, b""]

    def act(request: dict[str, Any]) -> bytes:
        return reply(request) + (pieces.pop(0) if pieces else b"")

    link = Link(peer(act))
    link.catch_up()
    assert [record.seq for record in link.records] == [1, 2, 3]
    link.close()


def test_catching_up_ends_although_news_keep_coming(peer: Callable[[Act], str]) -> None:
    seqs = iter(range(8, 10_000))
    link = Link(peer(lambda request: STARTED % next(seqs) + reply(request)))
    link.catch_up()
    assert link.last_seq >= HELLO["next_seq"]  # type: ignore[operator]
    link.close()


def test_a_peer_that_talks_while_we_send_much_does_not_block_us(peer: Callable[[Act], str]) -> None:
    def act(request: dict[str, Any]) -> bytes:
        return reply(request) if request["op"] == "hello" else STARTED % 3 * 20_000 + reply(request)

    link = Link(peer(act))
    for number in range(8):
        link.send(json.dumps({"op": "launch", "id": 100 + number, "much": "x" * 500_000}).encode() + b"\n")
    link.ask("list")
    assert len(link.records) == 20_000 * 9
    link.close()


def test_nobody_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Link(str(tmp_path / "nobody"))
