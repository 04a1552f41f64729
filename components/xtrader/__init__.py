"""The umbrella command: starts the whole system, watches it, and answers questions about it."""
