"""The live view of a terminal: what is shown, how it is laid out, and how it gets there without flicker."""
