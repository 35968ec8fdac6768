"""The text of a stream of events as messages, however it is cut into pieces."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tenure.client.subscribing import Message, parsed

TEXT = (
    b'retry: 2000\nid: 4\nevent: hello\ndata: {"cursor":4}\n\n: heartbeat\nid: 4\n\n: alive\n\n'
    b'id: 5\nevent: job\ndata: {"kind":"job.ended","text":"a: b"}\n\n'
    b'event: resource_status\ndata: {"at_ms":1}\n\n'
)
MESSAGES = [
    Message("hello", {"cursor": 4}, 4),
    Message("heartbeat", {}, 4),
    Message("job", {"kind": "job.ended", "text": "a: b"}, 5),
    Message("resource_status", {"at_ms": 1}),
]


@given(st.lists(st.integers(0, len(TEXT)), max_size=8))
def test_pieces_make_no_difference(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(TEXT)]
    closed: list[bool] = []
    pieces = [TEXT[start:end] for start, end in pairwise(borders)]
    assert list(parsed(pieces, lambda: closed.append(True))) == MESSAGES
    assert closed == [True]


def test_half_a_message_is_none() -> None:
    assert list(parsed([TEXT[:-1]])) == MESSAGES[:-1]
