"""Hears sealed commands and the venue, says what is to be written, sent and answered; no socket, file or clock."""
