"""Waves: what one is, and how its tasks are put into rounds. Pure."""
