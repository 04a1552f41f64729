"""Deribit as a sandbox venue: JSON-RPC over websocket and HTTP, books with change ids, heartbeats that ask back."""
