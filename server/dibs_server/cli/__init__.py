"""The CLI door: the ``dibs`` command."""
