"""Executables, and the two floors they stand on."""
