"""Binance spot and USD-M futures: two adapters with their own sequence rules, routes and rate limits."""
