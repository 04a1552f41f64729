"""Connections to venues: one folder per venue with the same modules in each, and the code that all venues share."""
