"""``ps -w``: the listing, redrawn in place when something happens.

The stream of events says when; once a second the clocks are redrawn. Invariant: the screen is written in one piece and each line
cleared at its end, so nothing flickers, and the terminal is left as it was.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable
from threading import Event, Thread

from tenure.cli import console
from tenure.client.errors import TenureError
from tenure.wire.dto import JobsReply

_TICK_S = 1.0
_LEAST_S = 0.1
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


def watch_jobs(read: Callable[[], JobsReply], draw: Callable[[JobsReply, int], str]) -> None:
    """Redraw until Ctrl-C. Off a terminal it prints the listing anew after each change."""
    changed = Event()
    changed.set()
    reply = read()
    Thread(target=_listen, args=(reply.revision, changed), daemon=True).start()
    live = console.is_terminal()
    last = ""
    try:
        if live:
            sys.stdout.write(_ENTER)
        while True:
            if changed.is_set():
                changed.clear()
                reply = read()
            size = shutil.get_terminal_size((120, 40))
            shown = draw(reply, size.columns if live else 0)
            if live:
                _redraw(shown, size.lines)
            elif shown != last:
                console.out(shown)
                sys.stdout.flush()
            last = shown
            if changed.wait(_TICK_S):
                Event().wait(_LEAST_S)  # several events of one cycle make one picture
    except KeyboardInterrupt:
        pass
    finally:
        if live:
            sys.stdout.write(_LEAVE)
            sys.stdout.flush()


def _redraw(shown: str, lines: int) -> None:
    kept = shown.splitlines()[: max(1, lines - 1)]
    sys.stdout.write(_HOME + "".join(f"{line}{_CLEAR_LINE}\n" for line in kept) + _CLEAR_BELOW)
    sys.stdout.flush()


def _listen(after: int, changed: Event) -> None:
    """Set ``changed`` at each event, on a connection of its own."""
    from tenure.client.start import connect

    with contextlib.suppress(TenureError, OSError), connect() as client:
        for _ in client.events(after=after, follow=True):
            changed.set()
