"""A race of real servers on one directory, disturbed on purpose, judged from the files and the callers' records."""
