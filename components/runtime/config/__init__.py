"""Layered, closed, validated configuration."""
