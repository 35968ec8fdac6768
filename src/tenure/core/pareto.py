"""Several objectives at once: which candidates no other beats, and which of them a person's weights prefer.

V. Pareto's order: one candidate *dominates* another when it is nowhere worse and somewhere better; the *front* is what nobody
dominates. Values are whole numbers on fixed scales, higher is better: with scales taken from the candidates themselves a candidate
that nobody would choose could turn the choice between two others. Invariants: the chosen one is on the front; adding a candidate that
is dominated, or the same weights times a constant, changes nothing; ties go to the first.
"""

from __future__ import annotations

from collections.abc import Sequence

Point = Sequence[int]


def dominates(one: Point, other: Point) -> bool:
    """Whether the one is nowhere worse and somewhere better."""
    return all(a >= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def front(points: Sequence[Point]) -> list[int]:
    """The positions of those that nobody dominates, in order."""
    return [place for place, point in enumerate(points) if not any(dominates(other, point) for other in points)]


def weighed(point: Point, weights: Sequence[int]) -> int:
    """The weighted sum."""
    return sum(value * weight for value, weight in zip(point, weights, strict=True))


def choose(points: Sequence[Point], weights: Sequence[int]) -> int:
    """The position of the one on the front with the largest weighted sum; the first of several. Raises ValueError of none at all.

    The filter matters where a weight is 0: of two that weigh the same, the dominated one is never chosen.
    """
    return max(front(points), key=lambda place: (weighed(points[place], weights), -place))
