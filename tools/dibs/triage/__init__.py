"""Triage: what the rules propose for a task."""
