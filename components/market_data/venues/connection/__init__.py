"""WebSocket connections to a venue: connect, subscribe, supervise, arbitrate, deliver."""
