"""Tenure: a resource scheduler for AI work. Importing the package imports nothing else, so that every command starts fast."""

__version__ = "0.1.0"
