"""Benchmarks: each a program (``python -m bench.NAME --json [--quick]``) that measures Tenure beside its peers in the same run."""
