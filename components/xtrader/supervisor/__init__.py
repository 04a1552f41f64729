"""Start, watch, restart and stop the child processes."""
