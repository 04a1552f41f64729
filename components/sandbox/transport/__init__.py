"""HTTP and websocket servers, credentials, rate limits, faults, and the interface of a crypto venue."""
