"""From a request for a lease to a command for the store: a job without a program, and the terms that only leases have.

Everything else about it is admitted like a job. Invariant: a command that leaves this module has a time to live within the settings, a
wait that ends, and a secret that nobody guesses; of the secret it carries a digest.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b, sha256

import msgspec

from tenure.control.admission import Admission, Inadmissible, refusal
from tenure.model.amounts import format_duration_ms
from tenure.model.commands import LEASE, AcquireLease, Caller, Holder
from tenure.wire.dto import SubmitRequest
from tenure.wire.leases import LeaseRequest

MIN_TTL_MS = 1_000
MAX_WAIT_MS = 86_400_000
TOKEN_LENGTHS = (32, 200)
MOST_GRACE = 3
"""The grace is at most this part of the time to live: a holder who renews in time is never warned."""


def lease_command(admission: Admission, wish: LeaseRequest, caller: Caller, holder: Holder, max_ttl_ms: int) -> AcquireLease:
    """The command for the store. Raises Inadmissible."""
    check_ttl(wish.ttl_ms, max_ttl_ms)
    _check(wish)
    command = admission.command(_as_job(wish), caller)
    request = replace(command.request, kind=LEASE)
    spec = replace(command.spec, holder=holder)
    return AcquireLease(wish.key, caller, request, spec, digest_of(wish.token), wish.wait_ms, wish.expected_ms, _asked(wish))


def check_ttl(ttl_ms: int, max_ttl_ms: int) -> None:
    """Raise Inadmissible for a time to live that no lease may have."""
    if not MIN_TTL_MS <= ttl_ms <= max_ttl_ms:
        bounds = f"{format_duration_ms(MIN_TTL_MS)} to {format_duration_ms(max_ttl_ms)}"
        remedy = "ask for less and renew it, or raise max_ttl in the settings' [leases]"
        raise refusal("bad_request", f"the time to live of a lease is {bounds}, not {format_duration_ms(ttl_ms)}", remedy)


def digest_of(token: str) -> str:
    """What is kept of a secret. It has too many bits to be guessed, so a plain digest does."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _check(wish: LeaseRequest) -> None:
    least, most = TOKEN_LENGTHS
    if not least <= len(wish.token) <= most or not wish.token.isascii() or not wish.token.isprintable():
        raise refusal(
            "bad_request", f"the token is {least} to {most} printable ASCII characters that nobody guesses", "openssl rand -hex 32"
        )
    if not 0 <= wish.wait_ms <= MAX_WAIT_MS:
        raise refusal("bad_request", f"a lease is waited for {format_duration_ms(MAX_WAIT_MS)} at most, then it is withdrawn")
    if not 0 <= wish.expected_ms <= MAX_WAIT_MS * 365:
        raise refusal("bad_request", "the expected duration is not negative, and at most a year")
    if not any((wish.cpu_milli, wish.memory_bytes, wish.storage_bytes, wish.gpu_milli)):
        raise refusal("bad_request", "a lease of nothing is of no use", "say what it is for: --gpus 0.5, --cpus 2, --memory 8G")


def _as_job(wish: LeaseRequest) -> SubmitRequest:
    """What of it any job has too."""
    purpose = wish.purpose or [wish.name or LEASE]
    return SubmitRequest(
        argv=purpose,
        cwd="/",
        key=wish.key,
        name=wish.name,
        cpu_milli=wish.cpu_milli,
        memory_bytes=wish.memory_bytes,
        storage_bytes=wish.storage_bytes,
        gpu_milli=wish.gpu_milli,
        gpu_memory_bytes=wish.gpu_memory_bytes,
        gpu_model=wish.gpu_model,
        labels=wish.labels,
        limit_ms=wish.ttl_ms,
        grace_ms=min(wish.grace_ms, wish.ttl_ms // MOST_GRACE),
        priority=wish.priority,
        project=wish.project,
        queue=wish.queue,
    )


def _asked(wish: LeaseRequest) -> str:
    """A digest of what was asked for, however long this call may take."""
    return blake2b(msgspec.json.encode(msgspec.structs.replace(wish, poll_ms=0)), digest_size=16).hexdigest()


__all__ = ["Inadmissible", "check_ttl", "digest_of", "lease_command"]
