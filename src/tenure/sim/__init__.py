"""The simulator: the same core that decides in production, with a virtual clock and workloads from logs or generators."""
