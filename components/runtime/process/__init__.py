"""One running executable, from lock to drain."""
