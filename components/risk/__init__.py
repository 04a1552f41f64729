"""Pre-trade risk: checks every intent, approves and seals it, keeps the account, halts trading."""
