"""Adapters to trading venues; each translates between a venue's API and core.venue_messages."""
