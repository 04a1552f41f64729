"""Turns risk's sealed approvals into orders at the venue, each at most once, and says what became of them."""
