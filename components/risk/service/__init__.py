"""The risk service: requests and events in, records, commands and replies out; no socket, file or clock."""
