"""See the module docstrings; this package imports nothing on its own."""
