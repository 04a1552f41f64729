"""Alpaca's REST endpoints, websockets, admin API and persistent ledger."""
