"""Alpaca's trading API: REST requests and the trade_updates stream."""
