"""The crypto venues' markets: instruments, seeded order flow, order books at any recent id. Pure."""
