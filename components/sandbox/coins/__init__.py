"""Alpaca's crypto beside its stocks: pairs, their books, and the stream that says them."""
