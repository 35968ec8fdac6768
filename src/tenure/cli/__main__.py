"""``python -m tenure.cli`` is ``tenure``."""

from tenure.cli import main

main()
