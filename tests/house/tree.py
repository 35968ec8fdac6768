"""The checkout as the house rules see it: which files there are, and the syntax trees of the Python ones."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = ("src", "tests", "bench", "docs", "examples", ".ci")
_SKIPPED = ("__pycache__", ".egg-info", ".hypothesis", ".venv")
_TEXT = (".py", ".md", ".toml", ".yml", ".yaml", ".c", ".h", ".sh", ".txt", ".sql", ".json", "")


def files(*suffixes: str, under: tuple[str, ...] = _FOLDERS) -> list[Path]:
    """Files with these suffixes (all text files without any) in the project's folders, sorted by path."""
    found = [path for folder in under for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix in (suffixes or _TEXT)]
    return sorted(path for path in found if not any(part.endswith(_SKIPPED) for part in path.parts))


def top_files() -> list[Path]:
    """The text files at the top of the checkout. In a second working tree of git's, ``.git`` is a file: it is not ours."""
    wanted, not_ours = {".md", ".toml", ".yml", ""}, (".coverage", ".git")
    found = (path for path in ROOT.iterdir() if path.is_file() and path.suffix in wanted)
    return sorted(path for path in found if path.name == ".gitignore" or not path.name.startswith(not_ours))


def name(path: Path) -> str:
    """The path from the top of the checkout."""
    return path.relative_to(ROOT).as_posix()


@cache
def syntax(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(), filename=str(path))


def modules() -> list[Path]:
    """Every module that ships, sorted by path."""
    return files(".py", under=("src",))


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function with its dotted name, nested ones included."""
    yield from _functions(tree, "")


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + child.name, child
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)


def classes(tree: ast.Module) -> list[ast.ClassDef]:
    """Every class, in order of appearance."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
