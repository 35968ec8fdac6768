"""Third-party packages are imported where their layer says and nowhere else. The layers themselves stand in .importlinter."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.house import tree

#: package -> the parts of tenure that may import it
ONLY_IN = {
    "sqlalchemy": ("store",),
    "alembic": ("store",),
    "sqlite3": ("store",),
    "fastapi": (),
    "starlette": ("api",),
    "uvicorn": ("api", "bootstrap", "mcp"),
    "uvloop": ("api", "bootstrap"),
    "httptools": ("client", "api"),
    "websockets": ("api",),
    "pydantic": ("mcp",),
    "mcp": ("mcp",),
    "typer": ("cli",),
    "click": ("cli",),
    "rich": ("cli",),
    "pynvml": ("monitors", "executors"),
    "psutil": ("monitors", "executors", "control", "bootstrap", "testing"),
    "numpy": ("core", "policies", "optimize", "sim", "testing"),
    "cryptography": ("client",),
    "pymoo": ("optimize",),
    "ortools": ("optimize",),
    "hypothesis": ("testing",),
    "pytest": ("testing",),
    "platformdirs": ("config", "client", "cli", "bootstrap"),
    "msgspec": ("wire", "config", "client", "cli", "api", "store", "control", "executors", "bootstrap", "mcp"),
    "asyncio": ("api", "bootstrap", "client", "mcp"),
}
SUPERVISOR = "executors/local/supervisor"


@cache
def imported(path: Path) -> tuple[tuple[str, int], ...]:
    """Top-level packages a file imports, with the line, ``if TYPE_CHECKING`` included; relative imports are left out."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree.syntax(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0], node.lineno


def part_of(path: Path) -> str:
    """The part of the package a file belongs to: ``store`` for src/tenure/store/x.py, ``config`` for src/tenure/config.py."""
    return path.relative_to(tree.ROOT / "src/tenure").parts[0].removesuffix(".py")


@pytest.mark.parametrize("package", sorted(ONLY_IN))
def test_a_package_is_imported_only_where_it_belongs(package: str) -> None:
    wrong = [
        f"{tree.name(path)}:{line}"
        for path in tree.modules()
        for name, line in imported(path)
        if name == package and part_of(path) not in ONLY_IN[package]
    ]
    assert not wrong


def test_every_third_party_package_has_a_place() -> None:
    known = {*ONLY_IN, *sys.stdlib_module_names, "tenure"}
    unknown = {f"{name} in {tree.name(path)}:{line}" for path in tree.modules() for name, line in imported(path) if name not in known}
    assert not unknown, "a new dependency needs an entry here and a line in docs/adr/0011-dependencies.md"


def test_the_supervisor_is_standard_library_alone() -> None:
    folder = tree.ROOT / "src/tenure" / SUPERVISOR
    wrong = [
        f"{tree.name(path)}:{line} {name}"
        for path in sorted(folder.rglob("*.py"))
        for name, line in imported(path)
        if name not in sys.stdlib_module_names
    ]
    assert not wrong
