"""OKX: order books chained by sequence ids and verified by a checksum where the venue sends one."""
