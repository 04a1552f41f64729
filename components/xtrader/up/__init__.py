"""One trading run, from the first process to the comparison of positions."""
