"""Recordings of raw venue frames: capture, read, replay and verify."""
