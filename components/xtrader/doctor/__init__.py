"""Looks for whatever would keep `up` from running, and says how to mend it."""
