"""Drills: the real system is hurt on purpose, and what it kept is proven from what it wrote."""
