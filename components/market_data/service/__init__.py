"""What market_data makes of its feeds: the trust in quotes, the sync of books; messages in, effects out, no I/O."""
