"""A venue that serves a recording of real frames."""
