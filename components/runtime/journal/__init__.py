"""The append-only, hash-chained, crash-safe log."""
