"""Who holds how much, and what was used of late: the account of each user in each project.

Use is amount times time, and of past use half is forgotten every half-life: U(t) = integral of held(s) * 2^-((t - s) / H) ds. Between
two changes of what is held, U has a closed form, so an account is carried forward only when something starts or ends there, and the
store keeps one small row for it (`tenure.model.project.Usage`). Whoever has held the same amount for ever has U = amount * `window_ms`:
U / `window_ms` is the mean held of late, in the unit of what is held.

Everything is integer arithmetic, so every machine, the simulator included, finds the same numbers. Invariant: carrying forward in two
steps gives what one step gives, but for rounding by less than two units a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt

from tenure.core.feasibility import Ask
from tenure.model.amounts import MIB, MILLI
from tenure.model.job import RunningJob
from tenure.model.project import Bundle, Usage

ONE_BITS = 62
ONE = 1 << ONE_BITS
DIGIT_BITS, DIGITS = 6, 8
"""A fraction of a half-life is cut into so many digits of so many bits: the finest is 2^-48 of it."""
MOST = 2**62
"""No use is counted beyond this, which no cluster reaches."""

Account = tuple[int, int]
"""(project, user)."""

NOTHING = Bundle()


def _powers() -> tuple[tuple[int, ...], ...]:
    """2^-x for each x that has one digit alone, in units of 1 / `ONE`: by digit, the finest first, and by its value."""
    root, roots = ONE // 2, []
    for _ in range(DIGITS * DIGIT_BITS):
        root = isqrt(root << ONE_BITS)
        roots.append(root)
    found = []
    for digit in range(DIGITS):
        of_bits = roots[len(roots) - (digit + 1) * DIGIT_BITS :][:DIGIT_BITS][::-1]
        powers = [ONE]
        for bit in of_bits:
            powers += [power * bit >> ONE_BITS for power in powers]
        found.append(tuple(powers))
    return tuple(found)


_POWERS = _powers()


def remaining(age_ms: int, half_life_ms: int) -> int:
    """What of a use is not forgotten after so long, in units of 1 / `ONE`."""
    whole, rest = divmod(age_ms, half_life_ms)
    if whole > ONE_BITS:
        return 0
    left, fraction = ONE, (rest << DIGITS * DIGIT_BITS) // half_life_ms
    for powers in _POWERS:
        left = left * powers[fraction & (1 << DIGIT_BITS) - 1] >> ONE_BITS
        fraction >>= DIGIT_BITS
    return left >> whole


def window_ms(half_life_ms: int) -> int:
    """For how long a steady use counts in all: the half-life over ln 2."""
    return half_life_ms * 1_442_695_041 // 1_000_000_000


def carried(usage: Usage, held: Bundle, now_ms: int, half_life_ms: int) -> Usage:
    """The same account later, ``held`` all the while. An earlier time changes nothing; without a half-life nothing is kept."""
    if not half_life_ms:
        return Usage(usage.project, usage.user, max(now_ms, usage.as_of_ms))
    if now_ms <= usage.as_of_ms:
        return usage
    left = remaining(now_ms - usage.as_of_ms, half_life_ms)
    grown = window_ms(half_life_ms) * (ONE - left)
    rates = (held.cpu_milli, held.memory_bytes // MIB, held.gpu_milli)
    before = (usage.cpu_milli_ms, usage.memory_mib_ms, usage.gpu_milli_ms)
    after = [min(use * left + rate * grown + ONE // 2 >> ONE_BITS, MOST) for use, rate in zip(before, rates, strict=True)]
    return Usage(usage.project, usage.user, now_ms, *after)


def mean_held(usage: Usage, half_life_ms: int) -> Bundle:
    """What was held of late on average, by an account as it is: steady use for ever would show as what is held."""
    window = window_ms(half_life_ms)
    if not window:
        return NOTHING
    return Bundle(usage.cpu_milli_ms // window, usage.memory_mib_ms * MIB // window, usage.gpu_milli_ms // window)


def held_by(job: RunningJob) -> Bundle:
    """What a running job's allocations hold together."""
    parts = job.allocations
    return Bundle(
        sum(part.amounts.cpu_milli for part in parts),
        sum(part.amounts.memory_bytes for part in parts),
        sum(share.milli for part in parts for share in part.devices),
    )


def asked_by(ask: Ask) -> Bundle:
    """What one run of a shape will hold."""
    return Bundle(ask.need[0] * ask.tasks, ask.need[1] * ask.tasks, (ask.whole * MILLI + ask.milli) * ask.tasks)


class Ledger:
    """All accounts. ``held`` has those that hold something, ``used`` those that ever did, each as of its own time.

    ``running``, which its owner keeps up to date beside it, are those that hold something; they are counted once somebody asks.
    """

    def __init__(self, half_life_ms: int, running: Mapping[int, RunningJob] | None = None) -> None:
        self.half_life_ms = half_life_ms
        self.used: dict[Account, Usage] = {}
        self._held: dict[Account, Bundle] = {}
        self._running = running

    @property
    def held(self) -> dict[Account, Bundle]:
        """What each account holds."""
        if self._running is not None:
            jobs, self._running = self._running.values(), None
            for job in jobs:
                self.began(job)
        return self._held

    def began(self, job: RunningJob) -> None:
        """A job holds what it holds."""
        if self._running is None:
            self.hold((job.project, job.user), held_by(job))

    def ended(self, job: RunningJob) -> None:
        """It holds it no more."""
        if self._running is None:
            self.drop((job.project, job.user), held_by(job))

    def hold(self, account: Account, bundle: Bundle) -> None:
        """An account holds so much more; its use up to now is known, or will be told by `know`."""
        if any(bundle):
            held = self.held
            held[account] = held.get(account, NOTHING).plus(bundle)

    def drop(self, account: Account, bundle: Bundle) -> None:
        """An account holds so much less."""
        if any(bundle):
            left = self.held.pop(account).minus(bundle)
            if any(left):
                self._held[account] = left

    def know(self, usage: Usage) -> None:
        """The use of an account, as somebody who keeps it says."""
        self.used[usage.project, usage.user] = usage

    def settle(self, account: Account, now_ms: int) -> Usage:
        """Carry an account forward to now; to be done before what it holds changes."""
        usage = self.at(account, now_ms)
        self.used[account] = usage
        return usage

    def at(self, account: Account, now_ms: int) -> Usage:
        """An account as it is now, without keeping it."""
        usage = self.used.get(account)
        if usage is None:
            return Usage(*account, now_ms)
        return carried(usage, self.held.get(account, NOTHING), now_ms, self.half_life_ms)

    def copy(self) -> Ledger:
        """Another ledger with the same accounts."""
        other = Ledger(self.half_life_ms)
        other._held, other.used = dict(self.held), dict(self.used)
        return other
