"""The execution service: commands and venue events in, records and venue requests out; no socket, file or clock."""
