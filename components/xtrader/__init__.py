"""The umbrella command: starts the whole system, supervises it, explains its orders, and tests it under faults."""
