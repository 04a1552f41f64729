"""Messages between processes: publish, subscribe, request, recover."""
