"""Simulated Binance spot and USD-M futures: market streams with their routes and limits, and REST."""
