"""Every module explains itself, public things have a contract, and nothing is left undone or tied to one machine."""

from __future__ import annotations

import ast
import re

from tests.house import tree

_BANNED_CLASSES = re.compile(r"(Manager|Handler|Helper|Processor|Utils?|Data|Info)$")
_BANNED_MODULES = re.compile(r"(^|_)(utils?|helpers?|misc|common)$")
_UNDONE = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X{3}|HACK)\b")
_MACHINE = re.compile(r"(?<![\w.~-])(/work/(main|shared|venv)|/root/)|/home/(?!user\b|you\b|ada\b|\$|\{|<)[a-z]|/tmp/[a-z0-9_-]+/venv")
_ELSEWHERE = re.compile(r"§|\((?:[A-Z]+ )?T1?\d(?:, T1?\d)*[,)]|\b(?:SPEC|PEERS|DESIGN|ALGORITHMS|COMPONENTS) [A-Z]?\d")
_RULES = "tests/house/test_words.py"


def documented(node: ast.AST) -> bool:
    """Whether a module, class or function opens with a docstring."""
    return isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and bool(ast.get_docstring(node))


def test_modules_say_what_they_are() -> None:
    silent = [
        tree.name(path) for path in tree.files(".py", under=("src", "tests", "bench", "examples")) if not documented(tree.syntax(path))
    ]
    assert not [name for name in silent if not name.endswith("/__init__.py") or name.startswith("src/")]


def test_public_things_state_their_contract() -> None:
    silent = []
    for path in tree.modules():
        module = tree.syntax(path)
        silent += [
            f"{tree.name(path)}::{node.name}" for node in tree.classes(module) if not node.name.startswith("_") and not documented(node)
        ]
        for node in module.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_") and not documented(node):
                silent.append(f"{tree.name(path)}::{node.name}")
    assert not silent


def test_names_say_something() -> None:
    classes = [
        f"{tree.name(path)}::{node.name}"
        for path in tree.modules()
        for node in tree.classes(tree.syntax(path))
        if _BANNED_CLASSES.search(node.name)
    ]
    modules = [tree.name(path) for path in tree.modules() if _BANNED_MODULES.search(path.stem)]
    assert not classes
    assert not modules


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    """Every line of every text file that matches, as path:line."""
    paths = [path for path in (*tree.files(), *tree.top_files()) if tree.name(path) != _RULES]
    return [
        f"{tree.name(path)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_left_undone() -> None:
    assert not lines_matching(_UNDONE), "do it, or file an issue"


def test_no_path_of_one_machine() -> None:
    assert not lines_matching(_MACHINE)


def test_nothing_cites_a_document_that_is_not_here() -> None:
    assert not lines_matching(_ELSEWHERE), "say the thing itself"


def test_the_patterns_find_what_they_are_for() -> None:
    assert _UNDONE.search("# TO" + "DO: later")
    assert _MACHINE.search("see /work" + "/main") is not None
    assert _MACHINE.search("/home/" + "bob/x") is not None
    assert not _MACHINE.search("/var/work/main/x")
    assert all(map(_ELSEWHERE.search, ("see DESIGN 9", "as SPEC B3 says", "kept (T4, T5).", "in § 2")))
    assert not any(map(_ELSEWHERE.search, ("SPEC, ADA", "4xT4:16G", "GPUs (T4 or A100)", "PEERS for kind")))


def test_the_changelog_has_a_place_for_the_next_change() -> None:
    changelog = (tree.ROOT / "CHANGELOG.md").read_text()
    section = changelog.partition("## Unreleased")[2].partition("\n## ")[0]
    assert re.search(r"^- ", section, re.MULTILINE), "an Unreleased section with at least one entry"
