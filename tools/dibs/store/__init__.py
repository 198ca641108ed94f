"""The nouns: what is on disk, and what may happen to it. No protocol, no command line, no printing."""
