"""Floor 1: the words the executables say to each other; no behaviour, no I/O."""
