"""Values on the wire: requests are decoded strictly, replies leniently, and an error is told from a reply."""

from __future__ import annotations

import msgspec
import pytest

from tenure.wire import dto

_REQUESTS = [
    kind for kind in vars(dto).values() if isinstance(kind, type) and issubclass(kind, dto.Request) and kind is not dto.Request
]
_REPLIES = [kind for kind in vars(dto).values() if isinstance(kind, type) and issubclass(kind, dto.Reply) and kind is not dto.Reply]


def test_a_submission_comes_through_unchanged() -> None:
    request = dto.SubmitRequest(argv=["a", "b c"], cwd="/w", key="k", env={"K": "v"}, after=[dto.AfterRef(job="1", condition="any")])
    assert msgspec.json.decode(msgspec.json.encode(request), type=dto.SubmitRequest) == request


@pytest.mark.parametrize("kind", _REQUESTS)
def test_a_misspelt_field_of_a_request_is_refused(kind: type) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(b'{"prioritty": 5}', type=kind)


@pytest.mark.parametrize("kind", _REPLIES)
def test_a_reply_may_have_fields_a_client_does_not_know(kind: type) -> None:
    assert not kind.__struct_config__.forbid_unknown_fields  # type: ignore[attr-defined]


def test_an_error_says_that_it_is_one() -> None:
    error = dto.ErrorReply(code="not_found", message="there is no job 9", details={"job": "9"})
    raw = msgspec.json.encode(error)
    assert msgspec.json.decode(raw)["type"] == "error"
    assert msgspec.json.decode(raw, type=dto.ErrorReply) == error
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"id": "1", "number": 1}', type=dto.ErrorReply)


def test_what_has_its_default_is_not_sent() -> None:
    assert msgspec.json.decode(msgspec.json.encode(dto.Selection(ids=["1"]))) == {"ids": ["1"]}
