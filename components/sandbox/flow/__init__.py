"""The crypto venues' common ground: seeded order flow with its whole history, faults, and what a connection is."""
