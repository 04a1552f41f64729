"""Hears the market and our positions, says what it would like to trade and why, and trusts no broken book."""
