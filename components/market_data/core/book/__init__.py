"""One order book: its levels, sequence rules, synchronisation with the venue, and audits."""
