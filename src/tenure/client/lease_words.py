"""What people write for a lease, read into the request: amounts, ranges of amounts, spans.

``0.25..1`` and ``(0.25, 1)`` are ranges: the most that is to be had at once, the least for which it is worth waiting. Invariant: what
is not understood is refused with one sentence that says how to write it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from tenure.client.errors import usage
from tenure.client.words import Gpus, bits_of, bytes_of, gpus_of, milli_of, priority_of, span_of
from tenure.wire.leases import Amounts, LeaseRequest

Word = str | float | int
Range = Word | tuple[Word, Word]
R = TypeVar("R")
TTL, WAIT, EXPECTED = "5m", 300.0, 60.0
"""The defaults: how long a lease lives without being renewed, how long it is waited for and expected to be held (seconds)."""


def lease_request(
    *,
    cpus: Range = 0,
    memory: Range = 0,
    storage: Word = 0,
    bandwidth: Word = 0,
    gpus: Range = 0,
    gpu_memory: Range = 0,
    gpu_model: str = "",
    labels: Sequence[str] = (),
    ttl: Word = TTL,
    wait: Word = WAIT,
    expected: Word = EXPECTED,
    grace: Word | None = None,
    priority: str | int = 1,
    project: str = "default",
    queue: str = "default",
    name: str = "",
    purpose: Sequence[str] = (),
    bound: bool = True,
) -> LeaseRequest:
    """A request from words: ``gpus=0.5, gpu_memory="8G", ttl="5m", wait=30``. Numbers for spans are seconds, for sizes bytes.

    ``bound``: it ends with this process. Raises `BadRequest` with one sentence for what cannot be read.
    """
    request = LeaseRequest(key=os.urandom(16).hex(), token=os.urandom(32).hex(), bound=bound)
    cpu, ram = _range(cpus, milli_of), _range(memory, _size)
    gpu, vram = _range(gpus, lambda word: gpus_of(word) if word else Gpus(0)), _range(gpu_memory, _size)
    request.cpu_milli, request.memory_bytes, request.storage_bytes = cpu[0], ram[0], _size(storage)
    request.bandwidth_bps = bits_of(bandwidth)
    request.gpu_milli, request.gpu_memory_bytes = gpu[0].milli, vram[0]
    request.gpu_model = gpu_model or gpu[0].model or gpu[1].model
    most = Amounts(cpu_milli=cpu[1], memory_bytes=ram[1], gpu_milli=gpu[1].milli, gpu_memory_bytes=vram[1])
    if most != Amounts(cpu_milli=cpu[0], memory_bytes=ram[0], gpu_milli=gpu[0].milli, gpu_memory_bytes=vram[0]):
        request.most = most
    request.labels, request.project, request.queue = list(labels), project, queue
    request.ttl_ms, request.wait_ms, request.expected_ms = span_of(ttl), span_of(wait), span_of(expected)
    request.grace_ms = request.grace_ms if grace is None else span_of(grace)
    request.priority, request.name = priority_of(priority), name
    request.purpose = list(purpose) or [os.path.basename(sys.argv[0]) or "python"]
    return request


def _size(value: Word) -> int:
    return bytes_of(value, "m") if isinstance(value, str) else int(value)


def _range(value: Range, read: Callable[[Word], R]) -> tuple[R, R]:
    """The two ends of a range; of a plain value twice the same."""
    least: Word
    most: Word
    if isinstance(value, str) and ".." in value:
        least, most = value.split("..", 1)
    elif isinstance(value, tuple | list):
        if len(value) != 2:
            raise usage(f"{value!r} is not a range", "write the least and the most: (0.25, 1) or 0.25..1")
        least, most = value
    else:
        return read(value), read(value)
    found = read(least), read(most)
    if _amount(found[1]) < _amount(found[0]):
        raise usage(f"the range {value!r} ends below where it begins", "write the least first, as in 0.25..1")
    return found


def _amount(value: object) -> int:
    return value.milli if isinstance(value, Gpus) else value if isinstance(value, int) else 0
