"""The pre-trade checks by theme, their order, and their re-evaluation from the log."""
