"""Fixtures: a supervisor with what the machine permits, and one without control groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.supervisor.node import Node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A running supervisor; control groups where the machine permits them."""
    node = Node(tmp_path)
    try:
        yield node.start()
    finally:
        node.close()


@pytest.fixture(params=["auto", "off"])
def any_node(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Node]:
    """A running supervisor, once with and once without control groups."""
    node = Node(tmp_path, "--cgroups", request.param)
    try:
        yield node.start()
    finally:
        node.close()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Node]:
    """A running supervisor that may not use control groups."""
    node = Node(tmp_path, "--cgroups", "off")
    try:
        yield node.start()
    finally:
        node.close()
