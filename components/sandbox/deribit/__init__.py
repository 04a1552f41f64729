"""Simulated Deribit: JSON-RPC over websocket and HTTP, order books with change ids, heartbeats with test requests."""
