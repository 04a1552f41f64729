"""OKX: books chained by sequence ids and, where the venue still computes one, checked by a checksum."""
