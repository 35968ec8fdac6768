"""Published logs as workloads: one module per format."""
