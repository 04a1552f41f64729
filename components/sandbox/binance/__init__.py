"""Binance spot and USD-M futures as a client sees them: market streams, their routes and limits, and REST."""
