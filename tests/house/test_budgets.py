"""Files, functions and classes stay small; what is larger says why in budgets.toml."""

from __future__ import annotations

import ast
import statistics
import tomllib
from pathlib import Path

from tests.house import tree

FILE_LINES, FUNCTION_LINES, PUBLIC_METHODS, MEDIAN_LINES = 400, 50, 12, 10
_PYTHON = ("src", "tests", "bench", "examples")


def excused(kind: str) -> dict[str, str]:
    """The explained exceptions of one kind, key to reason."""
    table: dict[str, str] = tomllib.loads((Path(__file__).parent / "budgets.toml").read_text())[kind]
    return table


def compare(kind: str, found: dict[str, int], budget: int) -> None:
    """Fail for what exceeds its budget without a reason, and for a reason that is no longer needed."""
    over = {key: size for key, size in found.items() if size > budget}
    allowed = excused(kind)
    assert not {key: size for key, size in over.items() if key not in allowed}, (
        f"larger than {budget}: split it, or say why in budgets.toml"
    )
    assert not [key for key in allowed if key not in over], "no longer needed in budgets.toml"
    assert all(len(reason) > 20 for reason in allowed.values())


def test_files_are_short() -> None:
    compare("files", {tree.name(path): len(path.read_text().splitlines()) for path in tree.files(".py", under=_PYTHON)}, FILE_LINES)


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """From the first statement that is no docstring to the end; 0 for a function that only has one."""
    first = node.body[1:] if ast.get_docstring(node) else node.body
    return (node.end_lineno or 0) - first[0].lineno + 1 if first else 0


def lengths(folders: tuple[str, ...]) -> dict[str, int]:
    """The length in lines of every function in these folders: of what it does, without its signature and docstring."""
    return {
        f"{tree.name(path)}::{dotted}": body_lines(node)
        for path in tree.files(".py", under=folders)
        for dotted, node in tree.functions(tree.syntax(path))
    }


def test_functions_are_short() -> None:
    compare("functions", lengths(_PYTHON), FUNCTION_LINES)


def test_the_median_function_is_very_short() -> None:
    assert statistics.median(lengths(("src",)).values()) <= MEDIAN_LINES


def test_classes_offer_few_methods() -> None:
    found = {}
    for path in tree.modules():
        for node in tree.classes(tree.syntax(path)):
            methods = [item.name for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
            found[f"{tree.name(path)}::{node.name}"] = sum(not method.startswith(("_", "test_")) for method in methods)
    compare("classes", found, PUBLIC_METHODS)
