"""Floor 2: the machinery every executable needs."""
