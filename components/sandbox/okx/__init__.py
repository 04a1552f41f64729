"""Simulated OKX: websocket channels, REST replies, sequence resets and checksums."""
