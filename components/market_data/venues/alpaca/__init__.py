"""Alpaca's stock stream: quotes and trades over one websocket."""
