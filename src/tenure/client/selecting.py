"""Which jobs: from what a caller writes to a selection. Apart from `requests`, so that looking at jobs costs little to import."""

from __future__ import annotations

from collections.abc import Iterable

from tenure.client.errors import usage
from tenure.wire.dto import Selection

Which = Selection | str | int | Iterable[str | int] | None


def selection(which: Which) -> Selection:
    """Which jobs: a `Selection` as it stands, one or several ids, or None for the active ones."""
    if isinstance(which, Selection):
        return which
    if which is None:
        return Selection(states=["active"])
    names = [which] if isinstance(which, str | int) else list(which)
    ids = [str(name) for name in names]
    for name in ids:
        check_ref(name)
    return Selection(ids=ids)


def check_ref(text: str) -> None:
    """Raise `BadRequest` when ``text`` does not name a job."""
    if text.isdecimal() or text == "last":
        return
    from tenure.wire.ids import parse_ref

    try:
        parse_ref(text)
    except ValueError as error:
        raise usage(str(error)) from error
