"""Hears venue feeds, says quotes, trades and the trust in them, never passing a bad price as a good one."""
