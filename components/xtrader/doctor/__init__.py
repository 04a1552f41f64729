"""Checks for problems that would prevent `xtrader up` from starting."""
