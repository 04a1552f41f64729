"""Deribit: perpetuals, futures, options and spot over JSON-RPC, raw with a login or every 100 ms without."""
