"""Running programs on tasks, each under a claim of its own."""
