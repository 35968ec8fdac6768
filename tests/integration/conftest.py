"""Fixtures of the tests that run a real installation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.living import Installation, installation


@pytest.fixture
def living() -> Iterator[Installation]:
    """An installation with default settings and limits by sampling or control groups, whatever the machine permits."""
    with installation() as home:
        yield home


@pytest.fixture
def small() -> Iterator[Installation]:
    """An installation that offers exactly two cpus, so that queueing can be seen."""
    with installation('[node]\ncpus = "2"\n') as home:
        yield home
