"""Hears markets, orders and requests; judges, writes down, hands over; no socket, file or clock."""
