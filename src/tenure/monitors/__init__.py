"""Watching machines, GPUs and containers. Everything here reads; nothing changes what it looks at."""
