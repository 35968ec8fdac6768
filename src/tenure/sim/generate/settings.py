"""A generator's settings as people write them: ``lublin:jobs=5000,nodes=256,seed=1``.

The settings of a generator are a frozen dataclass; its fields are the names that may be written, their defaults say the type.
Invariant: a setting that is not known is refused and the known ones are shown, with their defaults.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any, ClassVar, Protocol, TypeVar

from tenure.sim.workload import BadWorkload

MAX_JOBS = 1_000_000
MAX_SEED = 2**63


class Settings(Protocol):
    """Any dataclass whose fields all have defaults."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


S = TypeVar("S", bound=Settings)


def settings_of(name: str, text: str, kind: type[S]) -> S:
    """The settings in ``text`` (``key=value`` separated by commas, may be empty) as a ``kind``, which checks their ranges itself.

    Raises BadWorkload for a name, value or range that is wrong.
    """
    default = kind()
    defaults: dict[str, Any] = {field.name: getattr(default, field.name) for field in fields(default)}
    known = ", ".join(f"{key}={value}" for key, value in defaults.items())
    given: dict[str, object] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = item.partition("=")
        if key not in defaults or not equals or key in given:
            raise BadWorkload(f"{name}: {item!r} is no setting, or is written twice; the settings are {known}")
        try:
            given[key] = type(defaults[key])(value)
        except ValueError:
            raise BadWorkload(f"{name}: {value!r} is not a value of {key}, whose default is {defaults[key]}") from None
    try:
        return kind(**given)
    except ValueError as error:
        raise BadWorkload(f"{name}: {error}; the settings are {known}") from None


def within(name: str, value: float, least: float, most: float) -> None:
    """Raises ValueError unless least <= value <= most."""
    if not (math.isfinite(value) and least <= value <= most):
        raise ValueError(f"{name} is {value}, and must be from {least:,} to {most:,}")
