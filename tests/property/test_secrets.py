"""Secrets: what is made is understood, nothing else is, and no header of whatever shape is more than refused."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from tenure.wire.secrets import RANDOM_BYTES, bearer_of, digest_of, is_secret, make


def test_a_secret_has_enough_chance_and_is_never_the_same() -> None:
    made = [make() for _ in range(200)]
    assert len({one.secret for one in made}) == len({one.digest for one in made}) == 200
    assert RANDOM_BYTES * 8 >= 256
    for one in made:
        assert is_secret(one.secret)
        assert one.secret.startswith(f"tenure_{one.prefix}_")
        assert bearer_of(f"Bearer {one.secret}".encode()) == one.secret
        assert digest_of(one.secret) == one.digest
        assert one.secret not in one.digest


@given(st.binary(max_size=200))
@example(b"Bearer tenure_aaaaaaaa_" + b"A" * 43 + b"\n")
@example(b"bearer  tenure_aaaaaaaa_" + b"A" * 43)
@example(b"Bearer\xff")
def test_no_header_does_harm(header: bytes) -> None:
    found = bearer_of(header)
    assert found == "" or (is_secret(found) and found.encode() in header)


@given(st.integers(0, 58), st.characters(exclude_categories=("Cs",)))
def test_a_secret_with_another_letter_is_another_secret_or_none(at: int, letter: str) -> None:
    secret = make().secret
    other = secret[:at] + letter + secret[at + 1 :]
    if other != secret:
        assert not is_secret(other) or digest_of(other) != digest_of(secret)
    assert not is_secret(secret[:at] + letter + secret[at:])
