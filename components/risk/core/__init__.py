"""The thinking of risk: limits, checks, causes and the account as the log tells it; no clock, no I/O."""
