"""The messages that the executables exchange, and the values they are made of; no I/O."""
