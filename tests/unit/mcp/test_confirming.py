"""Confirmations: for one call of one caller, for a while, and never for another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenure.mcp.confirming import LASTS_S, Confirmations

WISH = {"job": "12"}


def test_a_confirmation_is_for_this_call_of_this_caller_and_for_a_while() -> None:
    now = [1000.0]
    one = Confirmations(lambda: now[0])
    given_out = one.make("me", "cancel", WISH)
    assert one.holds(given_out, "me", "cancel", WISH)
    assert not one.holds(given_out, "you", "cancel", WISH)
    assert not one.holds(given_out, "me", "submit", WISH)
    assert not one.holds(given_out, "me", "cancel", {"job": "13"})
    assert not Confirmations(lambda: now[0]).holds(given_out, "me", "cancel", WISH)
    now[0] += LASTS_S + 1
    assert not one.holds(given_out, "me", "cancel", WISH)
    later = one.make("me", "cancel", WISH)
    assert not one.holds(f"{10**11}-{later.partition('-')[2]}", "me", "cancel", WISH)


@given(st.text())
def test_no_text_is_taken_for_one(text: str) -> None:
    assert not Confirmations().holds(text, "me", "cancel", WISH)
