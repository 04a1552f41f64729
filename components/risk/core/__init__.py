"""Pure decisions: account state, checks, causes, positions; no I/O and no clock."""
