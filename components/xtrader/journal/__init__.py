"""The verbs around a journal's folder."""
