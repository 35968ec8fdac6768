"""A copy of the working directory: what is in it, under which name, and where the limit is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tenure.client.errors import BadRequest
from tenure.client.files import write_once
from tenure.client.snapshot import take


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    (work / "src").mkdir(parents=True)
    (work / "src" / "a.py").write_text("a")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "link").symlink_to("src/a.py")
    (work / "big.bin").write_text("x" * 1000)
    return work


def copied(path: str) -> set[str]:
    return {os.path.relpath(os.path.join(here, name), path) for here, _, names in os.walk(path) for name in names}


def test_the_whole_tree_without_git(tree: Path, tmp_path: Path) -> None:
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__" / "a.pyc").write_text("x")
    path = take(str(tree), str(tmp_path / "snapshots"))
    assert copied(path) == {"src/a.py", "run.sh", "link", "big.bin"}
    assert os.access(os.path.join(path, "run.sh"), os.X_OK)
    assert Path(path, "link").is_symlink()
    assert Path(path, "src/a.py").read_text() == "a"
    assert not Path(path, "src/a.py").stat().st_mode & 0o222


def test_what_git_ignores_stays(tree: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    (tree / ".gitignore").write_text("big.bin\n")
    (tree / "gone").write_text("1")
    subprocess.run(["git", "-C", str(tree), "add", "src", "gone"], check=True)
    (tree / "gone").unlink()
    path = take(str(tree), str(tmp_path / "snapshots"))
    assert copied(path) == {"src/a.py", "run.sh", "link", ".gitignore"}


def test_the_name_is_the_content(tree: Path, tmp_path: Path) -> None:
    root = str(tmp_path / "snapshots")
    first = take(str(tree), root)
    assert take(str(tree), root) == first
    (tree / "src" / "a.py").write_text("b")
    assert take(str(tree), root) != first
    assert Path(first, "src/a.py").read_text() == "a"
    assert not [name for name in os.listdir(root) if name.startswith(".")]


@pytest.mark.parametrize("limits", [(500, 10), (10_000, 2)])
def test_what_is_too_large_is_refused(tree: Path, tmp_path: Path, limits: tuple[int, int]) -> None:
    root = tmp_path / "snapshots"
    with pytest.raises(BadRequest, match="would copy more than"):
        take(str(tree), str(root), *limits)
    assert not root.exists(), "nothing is written of what will be refused"


def test_a_file_under_its_contents_name_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "scripts" / "x"
    write_once(str(path), b"1", 0o700)
    write_once(str(path), b"2", 0o700)
    assert path.read_bytes() == b"1"
    assert os.listdir(path.parent) == ["x"]
    assert path.stat().st_mode & 0o777 == 0o700
