"""Fault injection against a running system of its own, and proof that nothing was lost."""
