"""The edges of the venue: HTTP, websockets and the ledger on disk."""
