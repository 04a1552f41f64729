"""Alpaca's orders, account, matching, price walk and response documents. Pure."""
