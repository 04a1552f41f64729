"""Alpaca: quotes and trades of stocks, and books, quotes and trades of crypto, each over one websocket."""
