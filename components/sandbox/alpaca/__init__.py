"""Alpaca: the venue without I/O, its pure core and its server."""
