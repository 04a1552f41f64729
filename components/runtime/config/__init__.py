"""Layered, validated configuration: an unknown key is an error."""
