"""Programs whose processes try to get away: new sessions, double forks, deaf to TERM."""

from __future__ import annotations

#: The main process waits; a grandchild in a session of its own, re-parented, ignores TERM and writes its pid.
STUBBORN = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    open({path!r}, 'w').write(f'{{os.getpid()}}\\n')
    while True:
        signal.pause()
os.wait()
"""

#: As above, and the main process ends with 0 at once.
LEAVES_ONE_BEHIND = STUBBORN + "while not os.path.exists({path!r}): time.sleep(0.01)\n"

#: The main process stays until it is told to end.
STAYS = STUBBORN + "signal.pause()\n"

#: A whole family below the main process, all deaf to TERM; the last one writes its pid.
DEAF_FAMILY = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(3):
    if os.fork():
        break
else:
    open({path!r}, 'w').write(f'{{os.getpid()}}\\n')
while True:
    signal.pause()
"""
