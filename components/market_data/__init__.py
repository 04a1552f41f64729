"""Market data: venue feeds, synchronized order books, quotes and trades, each published with its health."""
