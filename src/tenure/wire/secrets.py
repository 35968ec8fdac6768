"""Secrets by which programs and browsers are let in: how they are written, made and remembered.

``tenure_`` + eight characters by which people tell tokens apart + ``_`` + 256 random bits. Only a digest is ever kept: a secret of so
many bits needs no slow one. Invariant: what is not written exactly so is nobody's secret.
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import NamedTuple

_SECRET = re.compile(r"tenure_([a-z2-7]{8})_[A-Za-z0-9_-]{43}")
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
RANDOM_BYTES = 32


class Made(NamedTuple):
    """A new secret, to be shown once; the part of it that is kept for people, and the digest."""

    secret: str
    prefix: str
    digest: str


def make() -> Made:
    """A new secret."""
    prefix = "".join(secrets.choice(_LETTERS) for _ in range(8))
    secret = f"tenure_{prefix}_{secrets.token_urlsafe(RANDOM_BYTES)}"
    return Made(secret, prefix, digest_of(secret))


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return sha256(secret.encode()).hexdigest()


def is_secret(text: str) -> bool:
    """Whether a text is written like a secret."""
    return _SECRET.fullmatch(text) is not None


def bearer_of(header: bytes) -> str:
    """The secret of an ``Authorization`` header; empty where that has none."""
    kind, _, text = header.decode("latin-1").partition(" ")
    text = text.strip(" ")
    return text if kind.lower() == "bearer" and is_secret(text) else ""
