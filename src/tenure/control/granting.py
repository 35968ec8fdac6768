"""From a request for a lease to a command for the store: a job without a program, and the terms that only leases have.

Everything else about it is admitted like a job. Invariant: a command that leaves this module has a time to live within the settings, a
wait that ends, and a secret that nobody guesses; of the secret it carries a digest.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from hashlib import blake2b, sha256

import msgspec

from tenure.control.admission import Admission, Inadmissible, refusal
from tenure.model.amounts import MIB, MILLI, format_duration_ms
from tenure.model.commands import LEASE, AcquireLease, Caller, Holder
from tenure.model.shape import Shape
from tenure.wire.dto import SubmitRequest
from tenure.wire.leases import LeaseRequest

MIN_TTL_MS = 1_000
MAX_WAIT_MS = 86_400_000
TOKEN_LENGTHS = (32, 200)
RANGE_WAIT_MS = 2_000
"""So long at least a range is waited for: going down it takes a plan for each step."""
STEPS = 8
"""In so many steps a range is gone down."""
_UNITS = {"cpu_milli": 10, "memory_bytes": MIB, "gpu_milli": 10, "gpu_memory_bytes": MIB}
MOST_GRACE = 3
"""The grace is at most this part of the time to live: a holder who renews in time is never warned."""


def lease_command(
    admission: Admission, wish: LeaseRequest, caller: Caller, holder: Holder, max_ttl_ms: int
) -> tuple[AcquireLease, tuple[Shape, ...]]:
    """The command for the store, which asks for the most that the nodes could hold, and the smaller shapes that would do as well, the
    least last. Raises Inadmissible."""
    check_ttl(wish.ttl_ms, max_ttl_ms)
    _check(wish)
    least = admission.command(_as_job(wish), caller)
    shapes = [shape for shape in map(partial(_shape_of, admission), alternatives(wish)[:-1]) if shape is not None]
    shapes = list(dict.fromkeys([*shapes, least.request.shape]))
    request = replace(least.request, kind=LEASE, shape=shapes[0])
    spec = replace(least.spec, holder=holder)
    wait_ms = max(wish.wait_ms, RANGE_WAIT_MS) if shapes[1:] else wish.wait_ms
    command = AcquireLease(wish.key, caller, request, spec, digest_of(wish.token), wait_ms, wish.expected_ms, _asked(wish))
    return command, tuple(shapes[1:])


def alternatives(wish: LeaseRequest) -> list[LeaseRequest]:
    """What would do: from the most to the least in `STEPS` equal steps, all amounts together. GPUs are whole ones from one on, and a
    step that gives no other request than the one before is left out. Raises Inadmissible for a range that ends below its beginning."""
    most = wish.most
    if most is None:
        return [wish]
    ends = {name: max(getattr(wish, name), getattr(most, name)) for name in most.__struct_fields__}
    if any(0 < getattr(most, name) < getattr(wish, name) for name in ends):
        raise refusal("bad_request", "a range ends below where it begins", "write the least first, as in 0.25..1")
    if ends["gpu_milli"] > MILLI and ends["gpu_milli"] % MILLI:
        raise refusal("bad_request", "more than one GPU is a whole number of them", "end the range with one, such as 0.25..2")
    found: list[LeaseRequest] = []
    for step in range(STEPS, -1, -1):
        amounts = {name: _between(name, getattr(wish, name), end, step) for name, end in ends.items()}
        one = msgspec.structs.replace(wish, most=None, **amounts)
        if not found or found[-1] != one:
            found.append(one)
    return found


def _between(name: str, least: int, most: int, step: int) -> int:
    """An amount so many steps above the least, rounded down to what people would write."""
    if step in (0, STEPS):
        return least if step == 0 else most
    exact = least + (most - least) * step // STEPS
    unit = MILLI if name == "gpu_milli" and exact >= MILLI else _UNITS[name]
    return max(least, exact // unit * unit)


def _shape_of(admission: Admission, wish: LeaseRequest) -> Shape | None:
    """The shape, None for one that no node could ever hold."""
    try:
        return admission.shape(_as_job(wish))
    except Inadmissible as error:
        if error.reply.code == "never_fits":
            return None
        raise


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
    if not any((wish.cpu_milli, wish.memory_bytes, wish.storage_bytes, wish.bandwidth_bps, wish.gpu_milli)):
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
        bandwidth_bps=wish.bandwidth_bps,
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


__all__ = ["Inadmissible", "alternatives", "check_ttl", "digest_of", "lease_command"]
