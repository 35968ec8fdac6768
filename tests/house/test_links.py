"""Every relative link in a Markdown file leads somewhere, anchors included, and every page is in the navigation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house import tree

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*$", re.MULTILINE)
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_PAGES = [*tree.files(".md"), *(path for path in tree.top_files() if path.suffix == ".md")]


def prose(path: Path) -> str:
    """A page without its code blocks."""
    return _FENCE.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as the site and the forge make them."""
    words = (re.sub(r"[`*_]", "", heading).lower() for heading in _HEADING.findall(prose(path)))
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", word)) for word in words}


def broken(path: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    wrong = []
    for target in _LINK.findall(prose(path)):
        if "://" in target or target.startswith("mailto:"):
            continue
        place, _, anchor = target.partition("#")
        page = (path.parent / place).resolve() if place else path
        if not page.exists() or (anchor and page.suffix == ".md" and anchor not in anchors(page)):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", _PAGES, ids=tree.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert not broken(page)


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# Here it is\n[good](#here-it-is) [bad](#there) [gone](b.md)\n")
    assert broken(page) == ["#there", "b.md"]


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r"[\w/-]+\.md", (tree.ROOT / "mkdocs.yml").read_text()))
    pages = {path.relative_to(tree.ROOT / "docs").as_posix() for path in tree.files(".md", under=("docs",))}
    assert pages == listed
