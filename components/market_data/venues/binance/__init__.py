"""Binance, spot and USD-M futures: two markets of one family, with their own rules, routes and limits."""
