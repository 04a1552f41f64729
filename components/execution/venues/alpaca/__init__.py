"""Alpaca: trading REST over httpx, the trade_updates stream over websockets."""
