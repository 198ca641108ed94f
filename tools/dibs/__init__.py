"""Dibs: many agents take work from one directory of Markdown task files, each task exactly once."""

__version__ = "0.1.0"
