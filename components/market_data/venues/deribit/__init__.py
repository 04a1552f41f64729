"""Deribit: perpetuals, futures, options and spot over JSON-RPC, raw with keys or every 100 ms without."""
