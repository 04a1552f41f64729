"""The append-only, hash-chained, crash-safe journal: format, writer, group commit, reader."""
